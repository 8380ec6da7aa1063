-- +goose NO TRANSACTION
-- +goose Up

-- Which item of an answer and which of its fields was no number. The value is NaN then, which says which field but not why.
ALTER TABLE ohlcv_rejected_candles ADD COLUMN IF NOT EXISTS detail String DEFAULT '' COMMENT 'empty = the rule and the values say it all';
