-- The history of what the ledger otherwise holds only as it is now: refunds step by step, subscriptions change by change;
-- and of which products an order was, so that its payments can be shared out.

-- +goose Up
-- HighLevel tells only how much of a payment was given back so far. A step is what that grew by, or fell by where a refund
-- failed or a chargeback was won: minor, which is signed, up to the sum upto. month is as in entries.
CREATE TABLE refund_steps (
    location TEXT   NOT NULL,
    id       TEXT   NOT NULL,
    step     BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    month    BIGINT NOT NULL,
    currency TEXT   NOT NULL,
    minor    BIGINT NOT NULL,
    upto     BIGINT NOT NULL,
    PRIMARY KEY (location, id, step)
);
CREATE INDEX refund_steps_by_time ON refund_steps (location, at);

-- What a subscription was from "since" on, until the next row of it.
CREATE TABLE subscription_states (
    location   TEXT   NOT NULL,
    id         TEXT   NOT NULL,
    side       TEXT   NOT NULL,
    record     TEXT   NOT NULL,
    since      BIGINT NOT NULL,
    currency   TEXT   NOT NULL,
    minor      BIGINT NOT NULL,
    status     TEXT   NOT NULL,
    every      TEXT   NOT NULL,
    until_at   BIGINT NOT NULL,
    product_id TEXT   NOT NULL,
    PRIMARY KEY (location, id, side, record, since)
);

-- What the lines of an order come to by product, before discount, tax and shipping: the weights of its payments' shares.
CREATE TABLE order_products (
    location   TEXT   NOT NULL,
    order_id   TEXT   NOT NULL,
    product_id TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    currency   TEXT   NOT NULL,
    minor      BIGINT NOT NULL,
    PRIMARY KEY (location, order_id, product_id)
);

-- Of what is known already, the present is the best there is.
INSERT INTO refund_steps (location, id, step, at, month, currency, minor, upto)
SELECT location, id, 1, at, month, currency, minor, minor
FROM entries WHERE kind = 'refund' AND side = 'ghl' AND minor <> 0;

INSERT INTO subscription_states (location, id, side, record, since, currency, minor, status, every, until_at, product_id)
SELECT location, id, side, record, CASE WHEN updated_at > 0 AND updated_at <= seen_at THEN updated_at ELSE seen_at END,
    currency, minor, status, every, until_at, product_id
FROM entries WHERE kind = 'subscription';

-- +goose Down
DROP TABLE order_products;
DROP TABLE subscription_states;
DROP TABLE refund_steps;
