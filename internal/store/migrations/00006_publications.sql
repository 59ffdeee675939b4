-- Reports that stand in Sage for people to read.

-- +goose Up
-- activity_id is 0 while no record at Sage is known, digest that of the figures which were last written, empty while none were.
CREATE TABLE publications (
    location    TEXT    NOT NULL,
    report      TEXT    NOT NULL,
    month       TEXT    NOT NULL,
    account_id  BIGINT  NOT NULL,
    activity_id BIGINT  NOT NULL,
    edition     BIGINT  NOT NULL,
    digest      TEXT    NOT NULL,
    begun       BIGINT  NOT NULL,
    written_at  BIGINT  NOT NULL,
    gone        BOOLEAN NOT NULL,
    PRIMARY KEY (location, report, month)
);

-- +goose Down
DROP TABLE publications;
