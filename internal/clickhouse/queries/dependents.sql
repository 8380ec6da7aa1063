-- Whose plans left ranges to this run: it had answered for them, or was about to. Only runs that were started count: what a run relies on is written before.
SELECT run_id, candles
FROM ohlcv_run_reliances FINAL
WHERE relied_on_run_id = {run_id:UUID} AND run_id IN (SELECT run_id FROM ohlcv_run_lifecycle)
  AND run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
ORDER BY candles DESC, run_id
