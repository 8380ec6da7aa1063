// Package candle holds the domain types that everything else speaks in: tokens, intervals, half-open ranges and OHLCV
// candles, with the rules by which a candle is valid and the score by which versions of it are compared.
//
// All times are Unix seconds in UTC. The package imports nothing else of the project and performs no I/O.
package candle
