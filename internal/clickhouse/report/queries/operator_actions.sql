-- The latest actions, of one run or of all: the end of each where it has ended, else its beginning.
SELECT action_id, action, run_id, requested_by, address, reason, result, detail, recorded_at
FROM ohlcv_operator_actions
WHERE {run_id:UUID} = toUUID('00000000-0000-0000-0000-000000000000') OR run_id = {run_id:UUID}
ORDER BY recorded_at DESC, phase DESC
LIMIT 1 BY action_id
LIMIT {limit:UInt64}
