-- One dialect for SQLite and PostgreSQL. Times are microseconds since 1970 in UTC, 0 when absent; amounts are minor units
-- of the row's currency; lists are JSON in TEXT. The location begins every key.

-- +goose Up
CREATE TABLE links (
    location TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    ext_id   TEXT   NOT NULL,
    sage_id  BIGINT NOT NULL,
    PRIMARY KEY (location, kind, ext_id)
);

CREATE TABLE orders (
    location   TEXT    NOT NULL,
    order_id   TEXT    NOT NULL,
    sage_id    BIGINT  NOT NULL,
    adopted    BOOLEAN NOT NULL,
    as_of      BIGINT  NOT NULL,
    digest     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    currency   TEXT    NOT NULL,
    total      BIGINT  NOT NULL,
    paid       BIGINT  NOT NULL,
    refunded   BIGINT  NOT NULL,
    lines      TEXT    NOT NULL,
    brought_at BIGINT  NOT NULL,
    PRIMARY KEY (location, order_id)
);
CREATE INDEX orders_newest ON orders (brought_at, location, order_id);
CREATE INDEX orders_by_sage_id ON orders (location, sage_id);

CREATE TABLE sightings (
    location TEXT   NOT NULL,
    kind     TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    digest   TEXT   NOT NULL,
    seen_at  BIGINT NOT NULL,
    PRIMARY KEY (location, kind, id)
);
CREATE INDEX sightings_by_age ON sightings (location, kind, seen_at);

CREATE TABLE parked (
    location    TEXT   NOT NULL,
    process     TEXT   NOT NULL,
    object_id   TEXT   NOT NULL,
    kind        TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    candidates  TEXT   NOT NULL,
    attempts    BIGINT NOT NULL,
    parked_at   BIGINT NOT NULL,
    last_try    BIGINT NOT NULL,
    next_try    BIGINT NOT NULL,
    workflow_id TEXT   NOT NULL,
    PRIMARY KEY (location, process, object_id)
);
CREATE INDEX parked_oldest ON parked (parked_at, location, process, object_id);

CREATE TABLE decisions (
    location   TEXT   NOT NULL,
    order_id   TEXT   NOT NULL,
    sage_id    BIGINT NOT NULL,
    decided_at BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    PRIMARY KEY (location, order_id)
);

CREATE TABLE cursors (
    location TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (location, name)
);

CREATE TABLE audit (
    id       TEXT   NOT NULL PRIMARY KEY,
    at       BIGINT NOT NULL,
    location TEXT   NOT NULL,
    actor    TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    object   TEXT   NOT NULL,
    detail   TEXT   NOT NULL
);
CREATE INDEX audit_newest ON audit (at, id);

CREATE TABLE claims (
    location TEXT   NOT NULL,
    claim    TEXT   NOT NULL,
    holder   TEXT   NOT NULL,
    until    BIGINT NOT NULL,
    PRIMARY KEY (location, claim)
);

-- +goose Down
DROP TABLE audit;
DROP TABLE cursors;
DROP TABLE decisions;
DROP TABLE parked;
DROP TABLE sightings;
DROP TABLE orders;
DROP TABLE links;
DROP TABLE claims;
