-- +goose NO TRANSACTION
-- +goose Up

-- The runs whose candles readers must not see now. Everything that hides runs reads this one view.
CREATE OR REPLACE VIEW ohlcv_rolled_back_runs AS
SELECT
    run_id,
    argMax(event, (sequence, event)) AS last_event
FROM ohlcv_run_visibility
GROUP BY run_id
HAVING last_event != 'restored';
