// Package export writes rows to files and streams in the formats that research tools read: Parquet, CSV and JSON, the latter
// two also compressed. A file appears under its name when it is whole.
package export
