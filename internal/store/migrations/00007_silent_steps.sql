-- Whether a step of which teams need be told no more was told to anybody.

-- +goose Up
-- Of the steps until now nobody knows, and most were told.
ALTER TABLE fulfillment_steps ADD COLUMN silent BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE fulfillment_steps DROP COLUMN silent;
