// Package worklist says which tokens are to be fetched: it reads calls from a DuckDB file, or tokens from a list, and turns them
// into ranges per token. What cannot be understood is skipped, counted and listed, and never quietly taken for something
// else. It is the only package that links DuckDB.
package worklist
