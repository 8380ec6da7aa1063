-- +goose NO TRANSACTION
-- +goose Up

-- Which published files the answer was read from, each as its name, its SHA-256 and when it was last modified: whoever publishes
-- them may replace them later. Empty: none, or the row is of an older program, which did not say.
ALTER TABLE ohlcv_ingestion_tasks ADD COLUMN IF NOT EXISTS files Array(String) AFTER source;
