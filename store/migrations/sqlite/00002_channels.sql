-- +goose Up
CREATE TABLE channels (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    epoch    TEXT NOT NULL,    -- random; another one is another life of the channel
    tail_seq INTEGER NOT NULL, -- the newest number that is no longer kept
    trim_at  INTEGER NOT NULL  -- when something of it may be too old
);

CREATE INDEX channels_by_trim ON channels (trim_at);

-- A channel's numbers have no hole between its tail_seq and its newest one.
-- That its channel exists is seen to by the one writer.
CREATE TABLE messages (
    id         INTEGER PRIMARY KEY,
    channel_id INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    kind       INTEGER NOT NULL, -- 0 JSON, 1 binary, 2 removed with its sender's account
    event      TEXT NOT NULL,
    client_id  TEXT NOT NULL,
    user_id    TEXT NOT NULL,
    username   TEXT NOT NULL,
    idem_key   TEXT,
    created_at INTEGER NOT NULL,
    data       BLOB NOT NULL
);

CREATE UNIQUE INDEX messages_by_seq ON messages (channel_id, seq);
CREATE UNIQUE INDEX messages_by_key ON messages (channel_id, user_id, idem_key) WHERE idem_key IS NOT NULL;

-- Accounts that are gone, whose messages are being gone through.
CREATE TABLE erasures (
    user_id  TEXT PRIMARY KEY,
    remove   INTEGER NOT NULL, -- 1 removes the messages, 0 takes the name off them
    next_id  INTEGER NOT NULL, -- the first message to look at
    due_at   INTEGER NOT NULL, -- not before
    until_at INTEGER NOT NULL  -- when the last token of the account has ended
);

-- +goose Down
DROP TABLE erasures;
DROP TABLE messages;
DROP TABLE channels;
