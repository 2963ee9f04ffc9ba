-- +goose Up
-- Rows are locked for every batch and hardly ever changed.
CREATE TABLE channels (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     TEXT COLLATE "C" NOT NULL UNIQUE,
    epoch    TEXT NOT NULL,   -- random; another one is another life of the channel
    tail_seq BIGINT NOT NULL, -- the newest number that is no longer kept
    trim_at  BIGINT NOT NULL  -- when something of it may be too old
) WITH (fillfactor = 50);

CREATE INDEX channels_by_trim ON channels (trim_at);

-- A channel's numbers have no hole between its tail_seq and its newest one.
-- That its channel exists is seen to by the lock that every append takes: a
-- foreign key would take another one a message.
CREATE TABLE messages (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id BIGINT NOT NULL,
    seq        BIGINT NOT NULL,
    kind       SMALLINT NOT NULL, -- 0 JSON, 1 binary, 2 removed with its sender's account
    event      TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    username   TEXT NOT NULL,
    idem_key   TEXT,
    created_at BIGINT NOT NULL,
    data       BYTEA NOT NULL
);

ALTER TABLE messages ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX messages_by_seq ON messages (channel_id, seq);
CREATE UNIQUE INDEX messages_by_key ON messages (channel_id, user_id, idem_key) WHERE idem_key IS NOT NULL;

-- Accounts that are gone, whose messages are being gone through.
CREATE TABLE erasures (
    user_id  TEXT PRIMARY KEY,
    remove   SMALLINT NOT NULL, -- 1 removes the messages, 0 takes the name off them
    next_id  BIGINT NOT NULL,   -- the first message to look at
    due_at   BIGINT NOT NULL,   -- not before
    until_at BIGINT NOT NULL    -- when the last token of the account has ended
);

-- +goose Down
DROP TABLE erasures;
DROP TABLE messages;
DROP TABLE channels;
