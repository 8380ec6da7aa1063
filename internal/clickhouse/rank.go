package clickhouse

import "time"

// rankTimeBits hold the run's start in milliseconds, inverted: enough until the year 10889.
const rankTimeBits = 48

const maxRankTime = 1<<rankTimeBits - 1

// Rank orders the versions of a candle, the best lowest: the higher quality first, and of the same quality the run that
// started later. It stands in the primary key, so that the best version comes first without sorting. A start outside
// [1970, 10889) counts as the nearest end.
func Rank(quality uint8, runStarted time.Time) uint64 {
	started := min(max(runStarted.UnixMilli(), 0), maxRankTime)
	return uint64(255-quality)<<rankTimeBits | uint64(maxRankTime-started)
}
