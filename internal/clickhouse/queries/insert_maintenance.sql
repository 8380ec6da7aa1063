INSERT INTO ohlcv_maintenance
    (beneficiary_run_id, removed_run_id, month, interval_seconds, operation_id, operation, versions_removed, performed_by, harmless_from)
