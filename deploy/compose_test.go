package deploy_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"

	"quantbot/internal/source/register"
)

func load(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"},
		cli.WithEnv([]string{"CLICKHOUSE_PASSWORD=secret"}), cli.WithProfiles([]string{"cli", "dashboard", "monitoring"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	return project
}

func TestComposeKeepsTasksAndTheLedgerSafe(t *testing.T) {
	t.Parallel()
	command := strings.Join(load(t).Services["redis"].Command, " ")
	require.Contains(t, command, "--appendonly yes")
	require.Contains(t, command, "--maxmemory-policy noeviction")
}

func TestComposeStartsInOrder(t *testing.T) {
	t.Parallel()
	project := load(t)
	for _, name := range []string{"redis", "clickhouse"} {
		require.NotNil(t, project.Services[name].HealthCheck, name)
		require.NotEmpty(t, project.Services[name].Volumes, name)
	}
	require.Equal(t, types.ServiceConditionHealthy, project.Services["migrate"].DependsOn["clickhouse"].Condition)
	for _, name := range []string{"worker", "enqueuer", "dashboard"} {
		require.Equal(t, types.ServiceConditionHealthy, project.Services[name].DependsOn["redis"].Condition, name)
		require.Equal(t, types.ServiceConditionCompletedSuccessfully, project.Services[name].DependsOn["migrate"].Condition, name)
	}
	require.Contains(t, project.Services, "asynqmon")
}

func TestWorkersScaleAndStopGracefully(t *testing.T) {
	t.Parallel()
	worker := load(t).Services["worker"]
	require.Empty(t, worker.ContainerName)
	require.Empty(t, worker.Ports)
	require.Equal(t, 2, *worker.Deploy.Replicas)
	require.GreaterOrEqual(t, worker.StopGracePeriod.String(), "1m0s")
	require.True(t, worker.ReadOnly)
}

// --scale holds until the next "up": what the documents tell people to do must last.
func TestTheNumberOfWorkersLasts(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithEnv([]string{"CLICKHOUSE_PASSWORD=secret", "WORKERS=8"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	require.Equal(t, 8, *project.Services["worker"].Deploy.Replicas)
	for _, file := range []string{"../docker-compose.yml", "../README.md", "../docs/operations.md", "prometheus/alerts.yml"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(text), "--scale worker", file)
	}
}

// "up" waits for migrations: a wrong password must end them, not begin them again for ever.
func TestMigrationsThatFailEnd(t *testing.T) {
	t.Parallel()
	require.Equal(t, types.RestartPolicyNo, load(t).Services["migrate"].Restart)
}

// What is promised to work is what the tests ran on.
func TestClickHouseIsTheTestedVersion(t *testing.T) {
	t.Parallel()
	setup, err := os.ReadFile("../scripts/setup")
	require.NoError(t, err)
	tested := regexp.MustCompile(`lib-linux-x64-gnu@(\d+\.\d+)\.`).FindSubmatch(setup)
	require.NotNil(t, tested)
	require.Equal(t, "clickhouse/clickhouse-server:"+string(tested[1]), load(t).Services["clickhouse"].Image)
}

func TestPortsAreBoundToLoopback(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		for _, port := range service.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, name)
		}
	}
}

func TestImagesRunAsNobody(t *testing.T) {
	t.Parallel()
	for name, service := range load(t).Services {
		if service.Build == nil {
			require.Regexp(t, `:v?[0-9]`, service.Image, "%s is pinned", name)
			continue
		}
		dockerfile, err := os.ReadFile("../" + service.Build.Dockerfile)
		require.NoError(t, err)
		require.Contains(t, string(dockerfile), "\nUSER 65532:65532\n", name)
	}
}

// Every variable that the programs read is explained.
func TestEnvExampleListsWhatTheProgramsRead(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../.env.example")
	require.NoError(t, err)
	for _, file := range []string{"config.go", "reader.go", "traces.go"} {
		source, err := os.ReadFile("../internal/config/" + file)
		require.NoError(t, err)
		names := regexp.MustCompile(`"((?:REDIS|CLICKHOUSE|DUCKDB|QUANTBOT|OTEL)_[A-Z0-9_]+)"`).FindAllStringSubmatch(string(source), -1)
		require.NotEmpty(t, names)
		for _, name := range names {
			require.Contains(t, string(example), name[1]+"=", name[1])
		}
	}
	for _, sheet := range register.Sheets() {
		for _, name := range sheet.Variables() {
			require.Contains(t, string(example), name+"=", name)
		}
	}
}

// What somebody writes into .env reaches the programs, except what compose decides itself or keeps to one service.
func TestComposeHandsTheEnvironmentOn(t *testing.T) {
	t.Parallel()
	example, err := os.ReadFile("../.env.example")
	require.NoError(t, err)
	own := []string{"REDIS_URL", "CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_HTTP_PORT", "CLICKHOUSE_DSN", "DUCKDB_PATH", "QUANTBOT_DASHBOARD_TOKEN", "GRAFANA_PASSWORD", "WORKERS", "GIT_BRANCH"}
	var names, env []string
	for _, line := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]+)=`).FindAllStringSubmatch(string(example), -1) {
		if !slices.Contains(own, line[1]) {
			names = append(names, line[1])
		}
	}
	for _, sheet := range register.Sheets() {
		names = append(names, sheet.Keys()...)
	}
	for _, name := range names {
		env = append(env, name+"=mine-"+name)
	}
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithEnv(env), cli.WithProfiles([]string{"cli", "dashboard"}))
	require.NoError(t, err)
	project, err := options.LoadProject(t.Context())
	require.NoError(t, err)
	for _, service := range []string{"worker", "enqueuer", "dashboard"} {
		for _, name := range names {
			require.NotNil(t, project.Services[service].Environment[name], "%s does not get %s", service, name)
			require.Equal(t, "mine-"+name, *project.Services[service].Environment[name], service)
		}
	}
}
