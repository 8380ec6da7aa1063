-- Where the runs that have candles of the source asked it: the service that they recorded or, in runs of before there was any,
-- the base URL in the enqueuer's environment; both empty = at the vendor's own address.
SELECT DISTINCT
    services[{source:String}] AS service,
    if(service = '', JSONExtractString(env_info, {variable:String}), '') AS base_url
FROM ohlcv_run_lifecycle
WHERE candles_fetched > 0 AND (source = {source:String} OR has(fallbacks, {source:String}))
