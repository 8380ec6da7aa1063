package local_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/stretchr/testify/require"

	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
)

// neighbourVariable makes the test binary try, as another user of the machine, what that user may not do.
const neighbourVariable = "TEST_NEIGHBOUR"

// neighbourhood is what another user can find out: where the engines are, and which processes they have.
type neighbourhood struct {
	Dir, EnvFile string
	Redis        string
	Native, HTTP string
	PIDs         []int
	succeeded    []string
	tried        int
}

// attempt notes something that was tried, and what it was when it was not refused.
func (n *neighbourhood) attempt(refused bool, format string, args ...any) {
	n.tried++
	if !refused {
		n.succeeded = append(n.succeeded, fmt.Sprintf(format, args...))
	}
}

// trespass prints what the neighbour managed to do, and how much it tried.
func trespass(target string) {
	var n neighbourhood
	if err := json.Unmarshal([]byte(target), &n); err != nil {
		n.attempt(false, "the target is not JSON: %v", err)
	}
	n.tryRedis()
	n.tryHTTP()
	n.tryNative()
	n.tryFiles()
	for _, success := range n.succeeded {
		fmt.Println(success)
	}
	fmt.Printf("tried %d as user %d\n", n.tried, os.Getuid())
}

func (n *neighbourhood) tryRedis() {
	for _, command := range []string{
		"PING", "FLUSHALL", "FLUSHDB", "CONFIG GET dir", "CONFIG SET dir /tmp", "INFO", "KEYS *", "SET a 1", "SHUTDOWN NOSAVE", "EVAL return(1) 0",
		"SAVE", "CLIENT LIST", "ACL LIST", "AUTH guess", "AUTH default guess", "HELLO 3", "MODULE LIST", "DEBUG SLEEP 0", "REPLICAOF 127.0.0.1 1",
	} {
		conn, err := net.DialTimeout("tcp", n.Redis, 5*time.Second)
		if err != nil {
			n.attempt(false, "redis is not there any more: %v", err)
			return
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte(command + "\r\n"))
		reply, _ := bufio.NewReader(conn).ReadString('\n')
		_ = conn.Close()
		n.attempt(strings.HasPrefix(reply, "-"), "redis %s: %q", command, reply)
	}
}

// tryHTTP asks as a web page can: a browser sends such a request, of plain text, without asking the server first.
func (n *neighbourhood) tryHTTP() {
	queries := []string{
		"SELECT 1", "SELECT * FROM system.tables", "SELECT file('/etc/passwd')", "SELECT * FROM file('/etc/passwd', 'LineAsString')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "SYSTEM STOP LISTEN TCP", "SYSTEM STOP LISTEN HTTP", "DROP DATABASE quantbot",
		"INSERT INTO FUNCTION file('/tmp/neighbour', 'CSV', 'a Int8') VALUES (1)", "SYSTEM SHUTDOWN", "KILL QUERY WHERE 1", "SHOW USERS",
	}
	who := []url.Values{
		{}, {"user": {"default"}}, {"user": {"default"}, "password": {""}, "session_id": {"a"}}, {"user": {"quantbot"}}, {"user": {"quantbot"}, "password": {"guess"}},
		{"user": {"default"}, "max_sessions_for_user": {"9"}}, {"profile": {"default"}},
	}
	client := http.Client{Timeout: 30 * time.Second}
	for _, query := range queries {
		for _, parameters := range who {
			response, err := client.Post("http://"+n.HTTP+"/?"+parameters.Encode(), "text/plain", strings.NewReader(query))
			if err != nil {
				n.attempt(false, "clickhouse is not there any more: %v", err)
				return
			}
			_ = response.Body.Close()
			n.attempt(response.StatusCode >= http.StatusBadRequest, "clickhouse, %s: %s: %s", parameters, query, response.Status)
		}
	}
}

func (n *neighbourhood) tryNative() {
	for _, who := range []driver.Auth{{Username: "default"}, {Username: "quantbot"}, {Username: "quantbot", Password: "guess"}} {
		conn, err := driver.Open(&driver.Options{Addr: []string{n.Native}, Auth: who, DialTimeout: 10 * time.Second})
		if err == nil {
			err = conn.Exec(context.Background(), "SELECT 1")
			_ = conn.Close()
		}
		n.attempt(err != nil, "clickhouse, natively as %q", who.Username)
	}
}

func (n *neighbourhood) tryFiles() {
	names, err := os.ReadDir(n.Dir)
	n.attempt(err == nil, "the directory should be open in this test")
	for _, name := range names {
		n.tryFile(filepath.Join(n.Dir, name.Name()))
	}
	for _, name := range []string{"redis/redis.log", "redis/appendonlydir", "clickhouse/config.xml", "clickhouse/users.xml", "clickhouse/clickhouse.log", "clickhouse/data"} {
		n.tryFile(filepath.Join(n.Dir, name))
	}
	n.tryFile(n.EnvFile)
	for _, pid := range n.PIDs {
		for _, name := range []string{"environ", "maps", "mem", "fd/1"} {
			n.tryFile("/proc/" + strconv.Itoa(pid) + "/" + name)
		}
	}
	n.attempt(os.WriteFile(filepath.Join(n.Dir, "planted"), nil, 0o600) != nil, "may write to %s", n.Dir)
}

// tryFile tries to read a file or to list a directory.
func (n *neighbourhood) tryFile(path string) {
	file, err := os.Open(path)
	if err == nil {
		_ = file.Close()
	}
	n.attempt(errors.Is(err, fs.ErrPermission), "may open %s: %v", path, err)
}

// Another user of the machine, and a web page in somebody's browser, can do nothing with the engines: not read, not write,
// not empty, not stop them. The directory itself is open to all here: what is in it must be closed by itself.
func TestAnotherUserOfTheMachineCanDoNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	dir, err := os.MkdirTemp("", "quantbot-test-neighbour-") //nolint:usetesting // others may not even enter a TempDir
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	engines := startEngines(t, dir)
	t.Cleanup(func() { stopEngines(t, engines) })
	vars := engines.Vars()
	redis, err := url.Parse(vars["REDIS_URL"])
	require.NoError(t, err)
	n := neighbourhood{
		Dir: dir, EnvFile: filepath.Join(dir, "env"), Redis: redis.Host, PIDs: engines.PIDs(),
		Native: net.JoinHostPort(vars["CLICKHOUSE_HOST"], vars["CLICKHOUSE_PORT"]), HTTP: net.JoinHostPort(vars["CLICKHOUSE_HOST"], vars["CLICKHOUSE_HTTP_PORT"]),
	}
	require.NoError(t, engines.WriteEnvFile(n.EnvFile, nil))
	target, err := json.Marshal(n)
	require.NoError(t, err)

	child := exec.Command("/proc/self/exe") // where the test binary is, others may not go
	child.Env = []string{neighbourVariable + "=" + string(target)}
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	said, err := child.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Regexp(t, `^tried 1\d\d as user 65534\n$`, string(said), "nothing may have succeeded")
	require.Equal(t, engines.PIDs(), startedAgain(t, dir).PIDs(), "no engine had to be started again")
}

// startedAgain joins the engines and lets go of them.
func startedAgain(t *testing.T, dir string) *local.Engines {
	t.Helper()
	e := startEngines(t, dir)
	t.Cleanup(func() { stopEngines(t, e) })
	return e
}

// Whoever knows the password has no way to other files and hosts either: a page or a program that got hold of it cannot
// read what the owner can.
func TestTheConnectingUserReachesNoFilesAndNoHosts(t *testing.T) {
	t.Parallel()
	env := localtest.New(t)
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("hunter2"), 0o600))
	ask := func(query string) {
		answer, err := env.TryClickHouse(query)
		require.Error(t, err, "%s: %s", query, answer)
		require.NotContains(t, err.Error(), "hunter2")
		require.NotContains(t, err.Error(), "Code: 62", "%s: it must be understood to be refused", query)
	}
	file := "'" + secret + "'"
	log, err := os.ReadFile(filepath.Join(env.Engines.Dir(), "clickhouse", "clickhouse.log"))
	require.NoError(t, err)
	if strings.Contains(string(log), "does not confine ClickHouse") {
		t.Log("this kernel has no Landlock: the function file() stays open to who knows the password")
	} else {
		for _, path := range []string{secret, "/etc/passwd", "/proc/" + strconv.Itoa(os.Getpid()) + "/environ", "/proc/self/root/etc/passwd", os.Args[0]} {
			ask("SELECT file('" + path + "')")
		}
	}
	for _, query := range []string{
		"SELECT * FROM file(" + file + ", 'LineAsString')", "SELECT * FROM `" + secret + "`",
		"SELECT * FROM filesystem('/etc')", "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')", "SELECT * FROM s3('http://127.0.0.1:1/bucket/a', 'CSV', 'a String')",
		"SELECT * FROM remote('127.0.0.1:1', system.one)", "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
		"SELECT * FROM sqlite(" + file + ", 'a')", "SELECT * FROM executable('ls', 'CSV', 'a String')",
		"INSERT INTO FUNCTION file(" + file + ", 'CSV', 'a Int8') VALUES (1)",
		"CREATE TABLE " + env.Database + ".a (a String) ENGINE = File(LineAsString, " + file + ")", "CREATE TABLE " + env.Database + ".b (a String) ENGINE = URL('http://127.0.0.1:1/', CSV)",
		"CREATE DICTIONARY " + env.Database + ".d (a UInt64, b String) PRIMARY KEY a SOURCE(HTTP(URL 'http://127.0.0.1:1/' FORMAT 'TSV')) LIFETIME(0) LAYOUT(FLAT())",
		"CREATE DATABASE elsewhere ENGINE = Filesystem('/etc')", "CREATE DATABASE elsewhere ENGINE = MySQL('127.0.0.1:1', 'a', 'b', 'c')",
		"BACKUP DATABASE " + env.Database + " TO File('/tmp/neighbour')", "CREATE USER more IDENTIFIED BY 'x'", "GRANT SOURCES ON *.* TO quantbot", "SYSTEM SHUTDOWN",
		"SYSTEM STOP LISTEN TCP",
	} {
		ask(query)
	}
	require.Equal(t, "1\n", env.ClickHouse(t, "SELECT 1"))
}

// Command lines can be read by everybody, and an engine's environment by whoever makes the engine read it: neither holds a
// password of the engines, an API key or a token. Nor do the logs.
func TestEnginesKnowNoSecretsOfTheirOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const secret = "hunter2-of-the-owner"
	user := exec.Command(os.Args[0])
	user.Env = append(os.Environ(), "TEST_ENGINES_USER="+dir, "BIRDEYE_API_KEY="+secret, "QUANTBOT_DASHBOARD_TOKEN="+secret, "SOMETHING_NEW="+secret)
	out, err := user.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, user.Start())
	line := make([]byte, 6)
	_, err = out.Read(line)
	require.NoError(t, err)
	require.Equal(t, "ready\n", string(line))
	e := startEngines(t, dir)
	t.Cleanup(func() {
		_ = user.Process.Kill()
		_ = user.Wait()
		stopEngines(t, e)
	})

	redis, err := url.Parse(e.Vars()["REDIS_URL"])
	require.NoError(t, err)
	redisPassword, _ := redis.User.Password()
	require.Greater(t, len(redisPassword), 20)
	require.Greater(t, len(e.Vars()["CLICKHOUSE_PASSWORD"]), 20)
	secrets := []string{secret, redisPassword, e.Vars()["CLICKHOUSE_PASSWORD"]}
	var texts []string
	for _, pid := range e.PIDs() {
		for _, name := range []string{"cmdline", "environ"} {
			texts = append(texts, "/proc/"+strconv.Itoa(pid)+"/"+name)
		}
	}
	for _, log := range []string{"keeper.log", "redis/redis.log", "clickhouse/clickhouse.log", "clickhouse/config.xml", "clickhouse/users.xml"} {
		texts = append(texts, filepath.Join(dir, log))
	}
	for _, path := range texts {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, one := range secrets {
			require.NotContains(t, string(text), one, path)
		}
	}
	for _, one := range secrets {
		require.NotContains(t, e.Describe(), one)
	}
}

// Each start has passwords of its own.
func TestPasswordsAreOfOneStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startEngines(t, dir)
	before := first.Vars()
	stopEngines(t, first)
	second := startEngines(t, dir)
	t.Cleanup(func() { stopEngines(t, second) })
	require.NotEqual(t, before["CLICKHOUSE_PASSWORD"], second.Vars()["CLICKHOUSE_PASSWORD"])
	password := func(vars map[string]string) string {
		u, err := url.Parse(vars["REDIS_URL"])
		require.NoError(t, err)
		p, _ := u.User.Password()
		return p
	}
	require.NotEqual(t, password(before), password(second.Vars()))
}

// Whoever may write to the directory could say that the engines are elsewhere.
func TestADirectoryThatEverybodyMayWriteToIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := local.Start(ctx, local.Options{Dir: dir})
	require.ErrorContains(t, err, "every user of this machine may write to "+dir)
}
