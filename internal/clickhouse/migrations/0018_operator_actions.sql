-- +goose NO TRANSACTION
-- +goose Up

-- What people did through the dashboard, append-only: one row when an action was asked for, one when it has ended. An
-- action without the second row was broken off, or its end could not be written.
--
-- ORDER BY time: it is read from its end, and is small. run_id is the zero id where an action is not about a run.
CREATE TABLE IF NOT EXISTS ohlcv_operator_actions
(
    action_id    UUID,
    phase        Enum8('asked' = 1, 'ended' = 2),
    action       LowCardinality(String) COMMENT 'rollback, restore, retry, cancel, sweep, queues',
    run_id       UUID,
    requested_by String COMMENT 'the name given at login, or bearer',
    address      String COMMENT 'where the request came from',
    reason       String,
    result       LowCardinality(String) COMMENT 'started, done, refused or failed',
    detail       String,
    recorded_at  DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (recorded_at, action_id);
