package manifest

import "fmt"

// Outliers says what a source does with candles whose prices it holds for unlikely, such as long wicks.
type Outliers string

// OutliersKeep asks for the candles as they were traded, OutliersFilter for what the source makes of them. The zero value,
// of manifests made before it was recorded, is the source's default of the day.
const (
	OutliersKeep   Outliers = "keep"
	OutliersFilter Outliers = "filter"
)

// ParseOutliers reads "keep" or "filter".
func ParseOutliers(s string) (Outliers, error) {
	switch o := Outliers(s); o {
	case OutliersKeep, OutliersFilter:
		return o, nil
	}
	return "", fmt.Errorf("unknown treatment of outliers %q (known: keep, filter)", s)
}
