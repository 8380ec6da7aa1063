// Package report reads what lists, pages and exports show: runs and their chunks, coverage, versions, served and resampled
// candles, quality. It changes nothing; the statements are in queries, one per file.
package report
