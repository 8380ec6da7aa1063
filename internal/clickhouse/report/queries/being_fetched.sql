-- The chunks that these attempts have no outcome of. FINAL, because the outcome replaces the planned row; the runs are a prefix of
-- the key. An empty list of tokens means all.
SELECT chain, token_address, run_id, range_from, range_to
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id IN {runs:Array(UUID)}
  AND has(arrayZip({runs:Array(UUID)}, {attempts:Array(UInt32)}), (run_id, attempt))
  AND status = 'planned'
  AND (empty({tokens:Array(String)}) OR token_address IN {tokens:Array(String)})
  AND range_from < toDateTime({to:UInt32}, 'UTC') AND range_to > toDateTime({from:UInt32}, 'UTC')
ORDER BY chain, token_address, run_id, range_from
