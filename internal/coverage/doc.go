// Package coverage says what is known of the candles of a token: which are there, for which the source confirmed that there are
// none, which failed, and which were never asked for. From that follows what a plan need not ask for again. It is pure.
package coverage
