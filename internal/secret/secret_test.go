package secret_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/secret"
)

func TestEmptySecretShowsThatItIsEmpty(t *testing.T) {
	t.Parallel()
	require.Equal(t, `|""|""|`, fmt.Sprintf("%v|%q|%#v|", secret.Text(""), secret.Text(""), secret.Text("")))
	encoded, err := json.Marshal(secret.Text(""))
	require.NoError(t, err)
	require.Equal(t, `""`, string(encoded))
}
