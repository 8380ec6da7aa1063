package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
)

func TestMain(m *testing.M) {
	logging.Disable() // as the programs do: what the client has to say comes as an error, too
	os.Exit(m.Run())
}

// certificates makes an authority and a certificate for loopback by it, and returns the files.
func certificates(t *testing.T) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority of a test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, private.Public(), private)
	require.NoError(t, err)
	ca = write("ca.pem", "CERTIFICATE", der)
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, server, authority, private.Public(), private)
	require.NoError(t, err)
	cert = write("server.pem", "CERTIFICATE", der)
	der, err = x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	return ca, cert, write("server.key", "EC PRIVATE KEY", der)
}

// secure are a server's settings for TLS on the port.
func secure(ca, cert, key string, port int) []string {
	return []string{
		"--tls-port", fmt.Sprint(port), "--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no",
	}
}

// The user of all rows; the one without a name has the same password.
var ana = []string{"--user", "ana", "on", ">p@ss/w", "~*", "&*", "+@all", "--requirepass", "p@ss/w"}

// tries shows by real servers that a URL reaches what it names: as the user, in the database, also through asynq.
func tries(t *testing.T, url, user string, db int) {
	t.Helper()
	ctx := t.Context()
	parsedURL := parsed(t, secret.Text(url))
	client, ok := parsedURL.MakeRedisClient().(redis.UniversalClient)
	require.True(t, ok)
	defer func() { require.NoError(t, client.Close()) }()
	name, err := client.Do(ctx, "ACL", "WHOAMI").Text()
	require.NoError(t, err, url)
	require.Equal(t, user, name, url)
	info, err := client.Do(ctx, "CLIENT", "INFO").Text()
	require.NoError(t, err)
	require.Contains(t, strings.Fields(info), fmt.Sprintf("db=%d", db), url)

	queue := asynq.NewClient(parsedURL)
	defer func() { require.NoError(t, queue.Close()) }()
	_, err = queue.EnqueueContext(ctx, asynq.NewTask("t", nil), asynq.Queue("ingest"), asynq.TaskID(url))
	require.NoError(t, err, url)
	inspector := asynq.NewInspector(parsedURL)
	defer func() { require.NoError(t, inspector.Close()) }()
	_, err = inspector.GetTaskInfo("ingest", url)
	require.NoError(t, err, url)
	found, err := client.Exists(ctx, "asynq:{ingest}:t:"+url).Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, found, url)
}

func TestURLsReachASingleServer(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t)
	port := localtest.FreePort(t)
	socket := filepath.Join(t.TempDir(), "s")
	server := localtest.StartRedis(t, append(append(secure(ca, cert, key, port), ana...), "--unixsocket", socket)...)
	tls := fmt.Sprintf("127.0.0.1:%d", port)
	for url, want := range map[string]struct {
		user string
		db   int
	}{
		"redis://ana:p%40ss%2Fw@" + server.Addr + "/2":      {"ana", 2},
		"redis://:p%40ss%2Fw@" + server.Addr:                {"default", 0},
		"redis-socket://ana:p%40ss%2Fw@" + socket + "?db=3": {"ana", 3},
		"redis-socket://:p%40ss%2Fw@" + socket:              {"default", 0},
		"rediss://ana:p%40ss%2Fw@" + tls + "/4?ca=" + ca:    {"ana", 4},
	} {
		tries(t, url, want.user, want.db)
	}
	untrusted := parsed(t, secret.Text("rediss://ana:p%40ss%2Fw@"+tls)).NewClient()
	defer func() { require.NoError(t, untrusted.Close()) }()
	require.ErrorContains(t, untrusted.Ping(t.Context()).Err(), "certificate signed by unknown authority")
}

func TestURLsReachAPrimaryThroughSentinels(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t)
	serverPort, sentinelTLS := localtest.FreePort(t), localtest.FreePort(t)
	// Sentinels name the port that they watch, so each way of connecting has a primary and a sentinel of its own.
	plain := localtest.StartRedis(t, ana...)
	sentinel := localtest.StartSentinel(t, plain, 1)
	tries(t, "redis-sentinel://ana:p%40ss%2Fw@127.0.0.1:1,"+sentinel.Addr+"/2?master=quant&sentinel_username=watch&sentinel_password=seen", "ana", 2)

	localtest.StartRedis(t, append(secure(ca, cert, key, serverPort), ana...)...)
	localtest.StartSentinel(t, &localtest.RedisProcess{Port: serverPort}, 1, append(secure(ca, cert, key, sentinelTLS), "--tls-replication", "yes")...)
	tries(t, fmt.Sprintf("rediss-sentinel://ana:p%%40ss%%2Fw@127.0.0.1:%d/3?master=quant&sentinel_username=watch&sentinel_password=seen&ca=%s", sentinelTLS, ca), "ana", 3)
}

func TestURLsReachACluster(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t)
	node := func(settings ...string) *localtest.RedisProcess {
		n := localtest.StartRedis(t, append(append(settings, ana...), "--cluster-enabled", "yes", "--cluster-port", fmt.Sprint(localtest.FreePort(t)),
			"--cluster-announce-ip", "127.0.0.1")...) // nodes learn their address from one another, and there is only one
		n.Do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
		return n
	}
	port := localtest.FreePort(t)
	plain, encrypted := node(), node(append(secure(ca, cert, key, port), "--tls-cluster", "yes")...)
	plain.AwaitLine(t, "cluster_state:ok", "CLUSTER", "INFO")
	encrypted.AwaitLine(t, "cluster_state:ok", "CLUSTER", "INFO")
	tries(t, "redis-cluster://ana:p%40ss%2Fw@127.0.0.1:1,"+plain.Addr, "ana", 0)
	tries(t, fmt.Sprintf("rediss-cluster://:p%%40ss%%2Fw@127.0.0.1:%d?ca=%s", port, ca), "default", 0)
}

// A server that stands still must not keep a caller longer than the caller wants to wait.
func TestDeadlinesBind(t *testing.T) {
	t.Parallel()
	server := localtest.StartRedis(t)
	client := parsed(t, secret.Text("redis://"+server.Addr)).NewClient()
	defer func() { require.NoError(t, client.Close()) }()
	require.NoError(t, client.Ping(t.Context()).Err())
	server.Stop()
	defer server.Continue()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, client.Set(ctx, "k", "v", 0).Err(), context.DeadlineExceeded)
	require.Less(t, time.Since(began), redisAnswer, "the client's own timeout ended it")
}

// A primary that has become a replica is left: the connection is closed, so that the next one goes to who is the primary then.
func TestAPrimaryThatBecomesAReplicaIsLeft(t *testing.T) {
	t.Parallel()
	server, other := localtest.StartRedis(t), localtest.StartRedis(t)
	client := parsed(t, secret.Text("redis://"+server.Addr)).NewClient()
	defer func() { require.NoError(t, client.Close()) }()
	before, err := client.ClientID(t.Context()).Result()
	require.NoError(t, err)
	server.Do(t, "REPLICAOF", "127.0.0.1", other.Port)
	require.ErrorContains(t, client.Set(t.Context(), "k", "v", 0).Err(), "READONLY")
	after, err := client.ClientID(t.Context()).Result()
	require.NoError(t, err)
	require.NotEqual(t, before, after, "the connection to it is not used again")
}

// What Redis repeats of a secret is in no error of its clients, whichever kind they are, alone and in pipelines.
func TestErrorsOfRedisAreRedacted(t *testing.T) {
	t.Parallel()
	const sensitive = "distinctive-key"
	server := localtest.StartRedis(t)
	redact := func(err error) error {
		if err != nil && strings.Contains(err.Error(), sensitive) {
			return fmt.Errorf("***: %w", redis.ErrClosed) // any other error will do
		}
		return err
	}
	client := parsed(t, secret.Text("redis://"+server.Addr)).Redacting(redact).NewClient()
	defer func() { require.NoError(t, client.Close()) }()
	require.NotContains(t, client.Do(t.Context(), sensitive).Err().Error(), sensitive)
	pipeline := client.Pipeline()
	first, second := pipeline.Do(t.Context(), sensitive), pipeline.Set(t.Context(), "k", "v", 0)
	_, err := pipeline.Exec(t.Context())
	require.ErrorContains(t, err, "***")
	require.NotContains(t, err.Error(), sensitive)
	require.NotContains(t, first.Err().Error(), sensitive)
	require.NoError(t, second.Err())
	require.ErrorIs(t, client.Get(t.Context(), "none").Err(), redis.Nil, "other errors stay what they are")
}
