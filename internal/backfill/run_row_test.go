package backfill

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// filledRecord has a value in every field, also in those that are added later.
func filledRecord(t *testing.T) RunRecord {
	t.Helper()
	var record RunRecord
	fill(t, reflect.ValueOf(&record).Elem(), new(int64))
	record.Manifest.Interval = candle.Interval15m
	record.Stats = Stats{Fetched: 40, Inserted: 12, Rejected: 14, Deduplicated: 14, Shadowed: 5, Skipped: 9, ZeroVolume: 15, Dropped: 16, APICalls: 17, Credits: 18}
	return record
}

func fill(t *testing.T, v reflect.Value, count *int64) {
	t.Helper()
	*count++
	switch known := v.Addr().Interface().(type) {
	case *time.Time:
		*known = time.Unix(1_750_000_000+*count, 123e6).UTC()
		return
	case *uuid.UUID:
		*known = uuid.NewSHA1(uuid.Nil, []byte{byte(*count)})
		return
	case *map[string]any:
		*known = map[string]any{"from": "2024-01-01", "limit": 2.5}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), count)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), count)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0), count)
	case reflect.Map:
		value := reflect.New(v.Type().Elem()).Elem()
		fill(t, value, count)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name"), value)
	case reflect.String:
		v.SetString("text" + string(rune('a'+*count%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(float64(*count))
	case reflect.Int, reflect.Int64:
		v.SetInt(*count)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(uint64(*count % 200))
	default:
		t.Fatalf("no value for a %s: add one", v.Type())
	}
}

// A column that is added to the row must be filled by NewRunRow, and a field of a record must come back from Record.
func TestRunRowHasEveryFieldOfARecord(t *testing.T) {
	t.Parallel()
	record := filledRecord(t)
	row, err := NewRunRow(record)
	require.NoError(t, err)
	value := reflect.ValueOf(row)
	for i := range value.NumField() {
		field := value.Type().Field(i)
		require.Equal(t, field.Tag.Get("json"), field.Tag.Get("ch"), "RunRow.%s: the JSON key is the column", field.Name)
		require.False(t, value.Field(i).IsZero(), "NewRunRow leaves %s out", field.Tag.Get("ch"))
	}
	back, err := row.Record()
	require.NoError(t, err)
	requireSameFields(t, reflect.ValueOf(record), reflect.ValueOf(back))
}

// requireSameFields compares field by field, so that a failure names what RunRow.Record forgets.
func requireSameFields(t *testing.T, want, got reflect.Value) {
	t.Helper()
	for i := range want.NumField() {
		name := want.Type().String() + "." + want.Type().Field(i).Name
		if want.Field(i).Kind() == reflect.Struct && want.Field(i).Type() != reflect.TypeFor[time.Time]() {
			requireSameFields(t, want.Field(i), got.Field(i))
			continue
		}
		require.Equal(t, want.Field(i).Interface(), got.Field(i).Interface(), "RunRow.Record loses %s", name)
	}
}

func TestRunRowOfABareRecord(t *testing.T) {
	t.Parallel()
	row, err := NewRunRow(RunRecord{Status: StatusRunning})
	require.NoError(t, err)
	require.JSONEq(t, "{}", string(row.CLIArgs))
	require.JSONEq(t, "{}", string(row.EnvInfo))
	require.Nil(t, row.CompletedAt)
	require.Nil(t, row.DedupCompletedAt)
	require.Equal(t, "normal", row.Priority)
}
