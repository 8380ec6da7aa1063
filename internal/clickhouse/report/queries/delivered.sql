SELECT count() FROM ohlcv_alerts WHERE kind = {kind:String} AND event_id = {event_id:UUID}
