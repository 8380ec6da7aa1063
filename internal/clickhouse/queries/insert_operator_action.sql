INSERT INTO ohlcv_operator_actions (action_id, phase, action, run_id, requested_by, address, reason, result, detail)
