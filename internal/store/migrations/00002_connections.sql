-- Connections, their sealed tokens and settings, the keys that sealed them, and the writes a read-only run would have
-- sent. A sealed value is two columns: the id of its key, and its text, which this database cannot open; both are empty
-- where there is none.

-- +goose Up
CREATE TABLE connections (
    location      TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    company       TEXT    NOT NULL,
    access        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    note          TEXT    NOT NULL,
    sage          TEXT    NOT NULL,
    sealed_key    TEXT    NOT NULL,
    sealed        TEXT    NOT NULL,
    connected_at  BIGINT  NOT NULL,
    state_at      BIGINT  NOT NULL,
    state_version BIGINT  NOT NULL,
    told          BOOLEAN NOT NULL,
    version       BIGINT  NOT NULL,
    settled       BIGINT  NOT NULL
);
CREATE INDEX connections_oldest ON connections (connected_at, location);

CREATE TABLE tokens (
    owner        TEXT   NOT NULL PRIMARY KEY,
    sealed_key   TEXT   NOT NULL,
    sealed       TEXT   NOT NULL,
    expires      BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    scopes       TEXT   NOT NULL,
    generation   BIGINT NOT NULL,
    holder       TEXT   NOT NULL,
    until        BIGINT NOT NULL
);

CREATE TABLE sealing_keys (
    id        TEXT   NOT NULL PRIMARY KEY,
    key_check TEXT   NOT NULL,
    since     BIGINT NOT NULL,
    until     BIGINT NOT NULL
);

CREATE TABLE planned (
    location   TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    vendor     TEXT   NOT NULL,
    operation  TEXT   NOT NULL,
    method     TEXT   NOT NULL,
    path       TEXT   NOT NULL,
    sealed_key TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    times      BIGINT NOT NULL,
    first_at   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    PRIMARY KEY (location, digest)
);
CREATE INDEX planned_oldest ON planned (first_at, location, digest);

-- +goose Down
DROP TABLE planned;
DROP TABLE sealing_keys;
DROP TABLE tokens;
DROP TABLE connections;
