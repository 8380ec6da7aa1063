package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLabelsAreUnderstoodOrRefused(t *testing.T) {
	t.Parallel()
	labels, err := parseLabels([]string{"study=wicks", "a.b-c_1=x=y z", "empty="})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"study": "wicks", "a.b-c_1": "x=y z", "empty": ""}, labels)
	for _, wrong := range [][]string{{"study"}, {"=x"}, {"1=x"}, {"a b=x"}, {"a=1", "a=2"}, {"a=" + strings.Repeat("x", 201)}, make([]string, 21)} {
		if wrong[0] == "" {
			for i := range wrong {
				wrong[i] = fmt.Sprintf("l%d=x", i)
			}
		}
		_, err := parseLabels(wrong)
		require.Error(t, err, wrong)
	}
}
