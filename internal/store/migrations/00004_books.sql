-- The books: what each side says of each order, payment, refund and subscription, what a reconciliation has come to, and
-- what operators were alerted of.

-- +goose Up
-- The id comes before the side in the key: what both sides say of a record lies together, so comparing them is one pass
-- along the key. month is year * 12 + month - 1 of "at" in UTC, -1 without one.
CREATE TABLE entries (
    location        TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    side            TEXT    NOT NULL,
    record          TEXT    NOT NULL,
    ext_id          TEXT    NOT NULL,
    order_id        TEXT    NOT NULL,
    subscription_id TEXT    NOT NULL,
    contact_id      TEXT    NOT NULL,
    product_id      TEXT    NOT NULL,
    currency        TEXT    NOT NULL,
    minor           BIGINT  NOT NULL,
    status          TEXT    NOT NULL,
    word            TEXT    NOT NULL,
    at              BIGINT  NOT NULL,
    month           BIGINT  NOT NULL,
    until_at        BIGINT  NOT NULL,
    next_at         BIGINT  NOT NULL,
    every           TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    updated_at      BIGINT  NOT NULL,
    test            BOOLEAN NOT NULL,
    gone            BOOLEAN NOT NULL,
    edited          BOOLEAN NOT NULL,
    apart           BOOLEAN NOT NULL,
    first_seen      BIGINT  NOT NULL,
    seen_at         BIGINT  NOT NULL,
    changed_at      BIGINT  NOT NULL,
    digest          TEXT    NOT NULL,
    agreed          TEXT    NOT NULL,
    agreed_at       BIGINT  NOT NULL,
    PRIMARY KEY (location, kind, id, side, record)
);
-- The time comes second: until it has statistics, PostgreSQL takes an index that begins as the key does for as good as
-- that, and would look ids up along a whole side.
CREATE INDEX entries_by_time ON entries (location, at, kind, side);
-- What is not agreed is little beside what is, and it is what every sweep asks for. HighLevel's entries have no record.
CREATE INDEX entries_unagreed ON entries (location, kind, at, side, id) WHERE record = '' AND digest <> agreed AND NOT test;
-- Sage's lists of what was deleted name its own records only.
CREATE INDEX entries_by_record ON entries (location, kind, record) WHERE record <> '';
CREATE INDEX entries_of_subscription ON entries (location, subscription_id, kind) WHERE subscription_id <> '';

CREATE TABLE alerts (
    location    TEXT    NOT NULL,
    cause       TEXT    NOT NULL,
    text        TEXT    NOT NULL,
    since       BIGINT  NOT NULL,
    told_at     BIGINT  NOT NULL,
    reminder_at BIGINT  NOT NULL,
    over_at     BIGINT  NOT NULL,
    over_told   BOOLEAN NOT NULL,
    PRIMARY KEY (location, cause)
);

CREATE TABLE progress (
    location    TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    stage       TEXT   NOT NULL,
    position    TEXT   NOT NULL,
    from_at     BIGINT NOT NULL,
    before_at   BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    pages       BIGINT NOT NULL,
    records     BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    began_at    BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    PRIMARY KEY (location, run)
);

-- +goose Down
DROP TABLE progress;
DROP TABLE alerts;
DROP TABLE entries;
