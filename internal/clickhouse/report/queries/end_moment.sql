-- From which moment on an as-of read shows all of the run: when it had ended and its last outcome was written, which follows
-- the candles. completed_at is the clock of the worker that ended the run; where that is behind the server's, the run's
-- candles came after it.
SELECT greatest(
    (SELECT assumeNotNull(max(completed_at)) FROM ohlcv_run_lifecycle WHERE run_id = {run_id:UUID} AND phase = 'ended'),
    (SELECT max(recorded_at) FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID} AND status != 'planned'))
