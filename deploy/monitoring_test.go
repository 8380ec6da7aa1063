package deploy_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"quantbot/internal/backfill"
	"quantbot/internal/local/localtest"
	"quantbot/internal/metrics"
	"quantbot/internal/tasks"
)

func TestAlertRules(t *testing.T) {
	t.Parallel()
	localtest.Promtool(t, nil, "check", "config", "prometheus/prometheus.yml") // its rules, too
	localtest.Promtool(t, nil, "test", "rules", "prometheus/alerts_test.yml", "prometheus/alerts_days_test.yml")
}

type rules struct {
	Groups []struct {
		Rules []struct {
			Alert       string
			Expr        string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func readRules(t *testing.T) rules {
	t.Helper()
	text, err := os.ReadFile("prometheus/alerts.yml")
	require.NoError(t, err)
	var r rules
	require.NoError(t, yaml.Unmarshal(text, &r))
	return r
}

// Each alert says what happened and what to do, and the runbook explains it.
func TestEveryAlertIsExplained(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	alerts := 0
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			alerts++
			require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
			require.NotEmpty(t, rule.Annotations["description"], rule.Alert)
			require.Contains(t, []string{"warning", "critical"}, rule.Labels["severity"], rule.Alert)
			require.Contains(t, string(runbook), "### "+rule.Alert+"\n")
		}
	}
	require.Greater(t, alerts, 15)
}

// registered are the names of all metrics that a worker has, whether or not they have a value yet.
func registered(t *testing.T) map[string]bool {
	t.Helper()
	m := metrics.New("v", "c")
	m.Watch(metrics.State{Now: time.Now, Leases: func() int { return 0 }})
	m.WatchWaits(func() []backfill.Wait { return nil }, time.Now)
	m.Register((&tasks.Queue{}).Collector())
	descriptions := make(chan *prometheus.Desc, 1_000)
	m.Registry().Describe(descriptions)
	close(descriptions)
	names := make(map[string]bool)
	for d := range descriptions {
		name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())
		require.NotNil(t, name, d)
		names[name[1]] = true
	}
	require.True(t, names["quantbot_queue_tasks"])
	return names
}

var metricName = regexp.MustCompile(`\b(?:quantbot|go|process)_[a-z0-9_]+`)

// used are the metrics in an expression.
func used(expression string) (names []string) {
	for _, name := range metricName.FindAllString(expression, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		names = append(names, name)
	}
	return names
}

func TestAlertsUseMetricsThatExist(t *testing.T) {
	t.Parallel()
	exist := registered(t)
	for _, group := range readRules(t).Groups {
		for _, rule := range group.Rules {
			for _, name := range used(rule.Expr) {
				require.True(t, exist[name], "%s uses %s", rule.Alert, name)
			}
		}
	}
}

func TestTheGrafanaDashboardUsesMetricsThatExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("grafana/dashboards/quantbot.json")
	require.NoError(t, err)
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID          int
			Title, Type string
			Datasource  struct{ UID string }
			Targets     []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.Equal(t, "quantbot", dashboard.UID)
	exist, shown, ids := registered(t), map[string]bool{}, map[int]bool{}
	for _, panel := range dashboard.Panels {
		require.False(t, ids[panel.ID], panel.Title)
		ids[panel.ID] = true
		if panel.Type == "row" {
			continue
		}
		require.Equal(t, "prometheus", panel.Datasource.UID, panel.Title)
		require.NotEmpty(t, panel.Targets, panel.Title)
		for _, target := range panel.Targets {
			names := used(target.Expr)
			require.NotEmpty(t, names, panel.Title)
			for _, name := range names {
				require.True(t, exist[name], "%s uses %s", panel.Title, name)
				shown[name] = true
			}
		}
	}
	for name := range exist {
		if strings.HasPrefix(name, "quantbot_") && name != "quantbot_queue_paused" && name != "quantbot_queue_executions_total" {
			require.True(t, shown[name], "%s is on no panel", name)
		}
	}
}

// The runbook lists every metric of ours, and none that is not there.
func TestTheRunbookListsTheMetrics(t *testing.T) {
	t.Parallel()
	runbook, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^\\| `(quantbot_[a-z_]+)").FindAllStringSubmatch(string(runbook), -1) {
		listed[match[1]] = true
	}
	exist := registered(t)
	maps.DeleteFunc(exist, func(name string, _ bool) bool { return !strings.HasPrefix(name, "quantbot_") })
	require.Equal(t, slices.Sorted(maps.Keys(exist)), slices.Sorted(maps.Keys(listed)), "the rows of docs/operations.md against the registered metrics")
}

func TestMonitoringIsWiredTogether(t *testing.T) {
	t.Parallel()
	project := load(t)
	require.Equal(t, []string{"--metrics-addr", ":9464"}, []string(project.Services["worker"].Command))
	config, err := os.ReadFile("prometheus/prometheus.yml")
	require.NoError(t, err)
	require.Contains(t, string(config), "names: [worker]")
	require.Contains(t, string(config), "port: 9464")
	for _, name := range []string{"prometheus", "grafana"} {
		require.Equal(t, []string{"monitoring"}, project.Services[name].Profiles)
		for _, volume := range project.Services[name].Volumes {
			if volume.Type == "bind" {
				require.DirExists(t, volume.Source)
				require.True(t, volume.ReadOnly, volume.Source)
			}
		}
	}
	datasource, err := os.ReadFile("grafana/provisioning/datasources/prometheus.yml")
	require.NoError(t, err)
	require.Contains(t, string(datasource), "url: http://prometheus:9090")
}
