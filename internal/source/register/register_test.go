package register_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/source/register"
)

// A sheet that leaves something out would make a source that nobody can plan, open or pay for.
func TestDataSheetsAreWhole(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	once := func(name string) {
		require.NotEmpty(t, name)
		require.False(t, seen[name], "%s is declared twice", name)
		seen[name] = true
	}
	for _, s := range register.Sheets() {
		once(s.Name)
		for _, variable := range s.Variables() {
			once(variable)
		}
		require.NotEmpty(t, s.Title, s.Name)
		require.NotEmpty(t, s.Help, s.Name)
		require.NotEmpty(t, s.Paging, s.Name)
		require.NotEmpty(t, s.Price, s.Name)
		require.NotEmpty(t, s.Places, s.Name)
		require.Equal(t, s.Name, s.Places[0].Name, "the first place is the API")
		require.False(t, s.Places[0].Optional, s.Name)
		require.NotEmpty(t, s.Chains, s.Name)
		require.True(t, slices.IsSorted(s.Intervals) && len(s.Intervals) > 0, s.Name)
		require.Positive(t, s.PageSize, s.Name)
		require.Positive(t, s.PageWeight, s.Name)
		require.Positive(t, s.SettleDelay, s.Name)
		require.Positive(t, s.Rate.Default, s.Name)
		require.Positive(t, s.Rate.Per, s.Name)
		require.NotNil(t, s.Open, s.Name)
		require.True(t, s.Supports(s.Chains[0], s.Intervals[0]))
	}
	require.True(t, seen[register.DefaultName])
}

// Every setting of a source is read, recorded in manifests, and a secret where it is a key.
func TestTheEnvironmentFollowsFromTheDataSheets(t *testing.T) {
	t.Parallel()
	set := make(map[string]string)
	for _, s := range register.Sheets() {
		for _, variable := range slices.Concat(s.Keys(), s.Variables()) {
			set[variable] = "1234567"
		}
		for _, place := range s.Places {
			set[place.Variable] = "https://u:1234567@somewhere.example"
		}
	}
	read := make(map[string]bool)
	_, err := register.LoadConfig(func(name string) string { read[name] = true; return "" })
	require.NoError(t, err)
	getenv := func(name string) string { return set[name] }
	recorded := register.Environment(getenv)
	require.ElementsMatch(t, slices.Collect(maps.Keys(set)), slices.Collect(maps.Keys(recorded)))
	secrets := register.Secrets(getenv)
	for _, s := range register.Sheets() {
		for _, variable := range slices.Concat(s.Keys(), s.Variables()) {
			require.True(t, read[variable], variable)
		}
		for _, key := range s.Keys() {
			require.Equal(t, "***", recorded[key], key)
			require.Contains(t, secrets, secret.Text(set[key]))
		}
		for _, place := range s.Places {
			require.Equal(t, "https://u:***@somewhere.example", recorded[place.Variable], place.Variable)
		}
	}
}

func TestTheVenueIsThatOfAllSources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names []string
		want  candle.Chain
	}{
		{nil, candle.Solana}, {[]string{"birdeye"}, candle.Solana}, {[]string{"binance"}, candle.BinanceSpot},
		{[]string{"binance", "binance"}, candle.BinanceSpot}, {[]string{"binance", "birdeye"}, candle.Solana},
		{[]string{"birdeye", "binance"}, candle.Solana}, {[]string{"nowhere"}, candle.Solana}, {[]string{"nowhere", "binance"}, candle.Solana},
	} {
		require.Equal(t, c.want, register.Venue(c.names), c.names)
	}
}

func TestNobodyKnowsAnUnknownSource(t *testing.T) {
	t.Parallel()
	require.Zero(t, register.SettleDelay([]string{"nowhere"}))
	require.False(t, register.Supports("nowhere", candle.Solana, candle.Interval1m))
	require.Equal(t, 1.0, register.CallsPerSecond("nowhere", config.Config{}))
	cfg, err := register.LoadConfig(func(name string) string {
		return map[string]string{"BIRDEYE_API_KEY": "a", "BIRDEYE_API_KEY_1": "b"}[name]
	})
	require.NoError(t, err)
	require.Equal(t, 30.0, register.CallsPerSecond("birdeye", cfg), "each key's account has the allowance")
	require.Equal(t, 45.0, register.CallsPerSecond("binance", cfg), "a page weighs 2")
	require.Equal(t, 20.0/60, register.CallsPerSecond("geckoterminal", cfg))
}
