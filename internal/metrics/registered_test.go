package metrics

import (
	"reflect"
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// A metric that is counted and not registered is shown nowhere, and nothing else would say so.
func TestEveryMetricIsRegistered(t *testing.T) {
	t.Parallel()
	m := New("v1", "abc")
	fields := reflect.ValueOf(m).Elem()
	counted := 0
	for i := range fields.NumField() {
		field := fields.Field(i)
		collector, ok := reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Interface().(prometheus.Collector)
		if name := fields.Type().Field(i).Name; ok && name != "registry" {
			var registered prometheus.AlreadyRegisteredError
			require.ErrorAs(t, m.registry.Register(collector), &registered, "Metrics.%s is not in the list that New registers", name)
			counted++
		}
	}
	require.GreaterOrEqual(t, counted, 14)
}
