-- The lifecycles of orders' goods: the state of record, what teams were told of it, delivery news, which order a parcel
-- belongs to, and shipments that are being made known at HighLevel.

-- +goose Up
CREATE TABLE fulfillments (
    location    TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    sage_id     BIGINT  NOT NULL,
    state       TEXT    NOT NULL,
    lifecycle   TEXT    NOT NULL,
    closed      BOOLEAN NOT NULL,
    partial     BOOLEAN NOT NULL,
    source_word TEXT    NOT NULL,
    agreed      TEXT    NOT NULL,
    paid_at     BIGINT  NOT NULL,
    opened_at   BIGINT  NOT NULL,
    changed_at  BIGINT  NOT NULL,
    checked_at  BIGINT  NOT NULL,
    version     BIGINT  NOT NULL,
    PRIMARY KEY (location, order_id)
);
CREATE INDEX fulfillments_oldest ON fulfillments (paid_at, location, order_id);
-- What is open is little beside what is closed, and it is what every sweep asks for.
CREATE INDEX fulfillments_open ON fulfillments (location, paid_at) WHERE NOT closed;

CREATE TABLE fulfillment_steps (
    location    TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    step        TEXT    NOT NULL,
    position    BIGINT  NOT NULL,
    state       TEXT    NOT NULL,
    shipment_id TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    activity_id BIGINT  NOT NULL,
    task_id     BIGINT  NOT NULL,
    begun       BIGINT  NOT NULL,
    told        BOOLEAN NOT NULL,
    given_up    BOOLEAN NOT NULL,
    PRIMARY KEY (location, order_id, step)
);

CREATE TABLE delivery_news (
    location    TEXT    NOT NULL,
    order_id    TEXT    NOT NULL,
    tracking    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    received_at BIGINT  NOT NULL,
    source      TEXT    NOT NULL,
    applied     BOOLEAN NOT NULL,
    PRIMARY KEY (location, order_id, tracking, state)
);
CREATE INDEX delivery_news_of_tracking ON delivery_news (location, tracking);
CREATE INDEX delivery_news_open ON delivery_news (location, received_at) WHERE NOT applied;

CREATE TABLE order_trackings (
    location TEXT NOT NULL,
    tracking TEXT NOT NULL,
    order_id TEXT NOT NULL,
    PRIMARY KEY (location, tracking, order_id)
);
CREATE INDEX order_trackings_of_order ON order_trackings (location, order_id);

CREATE TABLE shipment_posts (
    location     TEXT   NOT NULL,
    order_id     TEXT   NOT NULL,
    plan         TEXT   NOT NULL,
    known        TEXT   NOT NULL,
    attempted_at BIGINT NOT NULL,
    PRIMARY KEY (location, order_id)
);

-- Hooks of Sage name an order without its location.
CREATE INDEX orders_by_order_id ON orders (order_id, location);

-- +goose Down
DROP INDEX orders_by_order_id;
DROP TABLE shipment_posts;
DROP TABLE order_trackings;
DROP TABLE delivery_news;
DROP TABLE fulfillment_steps;
DROP TABLE fulfillments;
