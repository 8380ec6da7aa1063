package clickhouse

import (
	"time"

	"quantbot/internal/backfill"
)

// maxMonthsPerInsert is the server's max_partitions_per_insert_block; a block over more months is refused.
const maxMonthsPerInsert = 100

// splitByMonth cuts the chunks' candles into groups of at most limit months, in order. Almost always that is one group:
// 100 months of 1d candles are more than eight years.
func splitByMonth(writes []backfill.ChunkWrite, limit int) [][]backfill.ChunkWrite {
	split := monthSplit{limit: limit, months: map[time.Time]bool{}}
	for _, w := range writes {
		split.add(w)
	}
	split.close()
	return split.groups
}

type monthSplit struct {
	limit  int
	groups [][]backfill.ChunkWrite

	group  []backfill.ChunkWrite
	months map[time.Time]bool
}

// add puts the chunk's candles into the open group, and into new ones each time a month more would be too many.
func (s *monthSplit) add(w backfill.ChunkWrite) {
	start := 0
	var monthEnd, monthStart int64 // of the candle before, as most candles share its month
	for i := range w.Candles {
		t := w.Candles[i].OpenTime
		if monthStart <= t && t < monthEnd {
			continue
		}
		month := monthOf(t)
		monthStart, monthEnd = month.Unix(), month.AddDate(0, 1, 0).Unix()
		if s.months[month] {
			continue
		}
		if len(s.months) == s.limit {
			s.take(w, start, i)
			s.close()
			start = i
		}
		s.months[month] = true
	}
	s.take(w, start, len(w.Candles))
}

// take adds a stretch of the chunk's candles to the open group.
func (s *monthSplit) take(w backfill.ChunkWrite, start, end int) {
	if start == end {
		return
	}
	w.Candles = w.Candles[start:end]
	s.group = append(s.group, w)
}

func (s *monthSplit) close() {
	if len(s.group) > 0 {
		s.groups = append(s.groups, s.group)
	}
	s.group = nil
	clear(s.months)
}

func monthOf(unix int64) time.Time {
	t := time.Unix(unix, 0).UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}
