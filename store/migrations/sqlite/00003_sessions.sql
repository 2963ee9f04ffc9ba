-- +goose Up
ALTER TABLE accounts ADD COLUMN disabled_at INTEGER NOT NULL DEFAULT 0; -- 0: it is not

DROP TABLE sessions; -- nothing could be done with those of before

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    family_hash  BLOB NOT NULL UNIQUE,  -- SHA-256 of what its refresh tokens share
    refresh_hash BLOB NOT NULL,         -- SHA-256 of the refresh token that is good now
    device       TEXT NOT NULL,
    address      TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    used_at      INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,      -- if it is not used before
    ends_at      INTEGER NOT NULL,      -- however much it is used
    tokens_end   INTEGER NOT NULL       -- when its last access token has ended, on every clock
);

CREATE INDEX sessions_by_account ON sessions (account_id, used_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Refresh tokens that were used: for a moment, each still answers its successor.
CREATE TABLE rotations (
    used_hash  BLOB PRIMARY KEY,        -- SHA-256 of the token
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seed       BLOB NOT NULL,           -- makes the successor, together with the token itself
    used_at    INTEGER NOT NULL
);

CREATE INDEX rotations_by_session ON rotations (session_id, used_at);

-- Access tokens that are not good any more, although they do not say so.
CREATE TABLE revocations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    mark       TEXT NOT NULL,           -- the session's ID, or one token's
    expires_at INTEGER NOT NULL         -- when the tokens end by themselves
);

CREATE INDEX revocations_by_expiry ON revocations (expires_at);

-- +goose Down
DROP TABLE revocations;
DROP TABLE rotations;
DROP TABLE sessions;
CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    refresh_hash BLOB NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
ALTER TABLE accounts DROP COLUMN disabled_at;
