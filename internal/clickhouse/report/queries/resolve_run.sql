-- A few more than one are enough to say to the operator what the prefix could mean.
SELECT DISTINCT run_id
FROM ohlcv_run_lifecycle
WHERE startsWith(toString(run_id), {prefix:String})
ORDER BY toString(run_id)
LIMIT 5
