package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
)

func TestWhyServed(t *testing.T) {
	t.Parallel()
	version := func(quality uint8, rank uint64, price float64) clickhouse.Version {
		return clickhouse.Version{Quality: quality, Rank: rank, Candle: candle.Candle{Close: price}}
	}
	served := func(v clickhouse.Version) clickhouse.Version { v.Served = true; return v }
	hidden := func(v clickhouse.Version) clickhouse.Version { v.Hidden = true; return v }
	for name, c := range map[string]struct {
		versions []clickhouse.Version
		want     []string
	}{
		"alone":            {[]clickhouse.Version{served(version(122, 1, 1))}, []string{"served: it is the only version"}},
		"the rest is gone": {[]clickhouse.Version{hidden(version(122, 1, 1)), served(version(122, 2, 1))}, []string{"not served: its run is rolled back", "served: the only version whose run is not rolled back"}},
		"all are gone":     {[]clickhouse.Version{hidden(version(122, 1, 1))}, []string{"not served: its run is rolled back"}},
		"better": {
			[]clickhouse.Version{served(version(122, 1, 1)), version(22, 9, 1)},
			[]string{"served: the highest quality, 122 against 22", "not served: quality 22 is below 122"},
		},
		"newer": {
			[]clickhouse.Version{served(version(122, 1, 1)), version(122, 2, 2), version(122, 3, 1)},
			[]string{"served: of the highest quality, from the newest run", "not served: of the same quality, but its run started earlier", "not served: the same values from an older run"},
		},
		"together": {
			[]clickhouse.Version{served(version(122, 1, 1)), version(122, 1, 2)},
			[]string{"served: of the highest quality; of runs that started together the lower run id counts", "not served: of runs that started together the lower run id counts"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i := range c.versions {
				require.Equal(t, c.want[i], whyServed(c.versions, i))
			}
		})
	}
}
