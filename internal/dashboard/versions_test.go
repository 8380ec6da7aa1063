package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

func TestWhyServed(t *testing.T) {
	t.Parallel()
	version := func(quality uint8, rank uint64, price float64) report.Version {
		return report.Version{Quality: quality, Rank: rank, Candle: candle.Candle{Close: price}}
	}
	served := func(v report.Version) report.Version { v.Served = true; return v }
	hidden := func(v report.Version) report.Version { v.Hidden = true; return v }
	for name, c := range map[string]struct {
		versions []report.Version
		want     []string
	}{
		"alone":            {[]report.Version{served(version(122, 1, 1))}, []string{"served: it is the only version"}},
		"the rest is gone": {[]report.Version{hidden(version(122, 1, 1)), served(version(122, 2, 1))}, []string{"not served: its run is rolled back", "served: the only version whose run is not rolled back"}},
		"all are gone":     {[]report.Version{hidden(version(122, 1, 1))}, []string{"not served: its run is rolled back"}},
		"better": {
			[]report.Version{served(version(122, 1, 1)), version(22, 9, 1)},
			[]string{"served: the highest quality, 122 against 22", "not served: quality 22 is below 122"},
		},
		"newer": {
			[]report.Version{served(version(122, 1, 1)), version(122, 2, 2), version(122, 3, 1)},
			[]string{"served: of the highest quality, from the newest run", "not served: of the same quality, but its run started earlier", "not served: the same values from an older run"},
		},
		"together": {
			[]report.Version{served(version(122, 1, 1)), version(122, 1, 2)},
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
