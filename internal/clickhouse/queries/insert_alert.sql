-- delivered_at is left to the server.
INSERT INTO ohlcv_alerts (kind, run_id, attempt, event_id, text, delivered_by)
