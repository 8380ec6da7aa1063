-- +goose NO TRANSACTION
-- +goose Up

-- The log of events that hide a run from readers or show it again, append-only: one small insert is what makes a
-- rollback of any size visible at once and atomically.
--
-- sequence orders the events of a run (the next number is given out under the maintenance lock, so no clock decides).
--   If two events ever share a number, the one listed later in the enum counts: hiding is the safe side.
-- purging hides like rolled_back and cannot be taken back: versions are being deleted.
-- recorded_at answers "was it hidden at moment T" for as-of reads.
CREATE TABLE IF NOT EXISTS ohlcv_run_visibility
(
    run_id       UUID,
    sequence     UInt64,
    event        Enum8('restored' = 1, 'rolled_back' = 2, 'purging' = 3),
    requested_by String,
    reason       String,
    recorded_at  DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (run_id, sequence, event);
