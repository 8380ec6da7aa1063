package tasks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"
)

// Describe is a task's payload as people read it: what it is about, then the payload itself. A payload that is not ours
// is shown as it is.
func Describe(taskType string, payload []byte) string {
	switch taskType {
	case TypeFill:
		if task, chunk, err := decodeFill(payload); err == nil {
			return fmt.Sprintf("run %s, attempt %d: %s candles of %s from %s to %s  %s", task.RunID, task.Attempt,
				chunk.Interval, chunk.Token, moment(chunk.Range.From), moment(chunk.Range.To), payload)
		}
	case TypeFinish:
		if runID, attempt, err := decodeFinish(payload); err == nil {
			return fmt.Sprintf("finish run %s, attempt %d  %s", runID, attempt, payload)
		}
	}
	return DescribeResult(payload)
}

// DescribeResult shows bytes as text where they are text: JSON in one line, else as it is; other bytes as their number.
func DescribeResult(data []byte) string {
	var compact bytes.Buffer
	switch {
	case len(data) == 0:
		return "–"
	case json.Compact(&compact, data) == nil:
		return compact.String()
	case utf8.Valid(data):
		return string(data)
	}
	return fmt.Sprintf("%d bytes that are no text", len(data))
}

func moment(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
