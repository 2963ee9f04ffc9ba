-- +goose Up
CREATE TABLE accounts (
    id            TEXT PRIMARY KEY,
    username      TEXT NOT NULL UNIQUE, -- PRECIS UsernameCaseMapped
    password_hash TEXT NOT NULL,        -- argon2id in PHC form
    role          TEXT NOT NULL,
    created_at    BIGINT NOT NULL       -- Unix milliseconds, as all times here
);

CREATE TABLE sessions (
    id           TEXT PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    refresh_hash BYTEA NOT NULL UNIQUE, -- SHA-256 of the refresh token
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);

CREATE INDEX sessions_by_account ON sessions (account_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- +goose Down
DROP TABLE sessions;
DROP TABLE accounts;
