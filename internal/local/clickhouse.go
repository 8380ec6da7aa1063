package local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/creack/pty"
)

// clickhouseEngine is the local ClickHouse: the program when it is installed, else libchdb in a child of ours.
type clickhouseEngine struct {
	dir      string
	port     int
	httpPort int
	name     string
	password string
	program  string // empty = libchdb
	library  string
	child    *child
	terminal *os.File // libchdb's standard input
}

// engineStart and engineStop bound how long an engine takes to come and to go; a large append-only file or many parts
// take seconds to load.
const (
	engineStart = 60 * time.Second
	engineStop  = 15 * time.Second
)

func startClickHouse(dir, library string) (*clickhouseEngine, error) {
	c := &clickhouseEngine{dir: filepath.Join(dir, "clickhouse"), password: newPassword()}
	if err := errors.Join(privateDirectory(c.dir), privateDirectory(c.temporary())); err != nil {
		return nil, fmt.Errorf("create ClickHouse's directory: %w", err)
	}
	c.name, c.library = "libchdb", library
	if library == "" {
		path, err := exec.LookPath("clickhouse")
		if err != nil {
			return nil, fmt.Errorf("find ClickHouse: %w", err)
		}
		c.name, c.program = "clickhouse", path
	}
	if err := c.writeConfig(); err != nil {
		return nil, fmt.Errorf("write ClickHouse's configuration: %w", err)
	}
	return c, startOnFreePorts(2, func(ports []int) error {
		c.port, c.httpPort = ports[0], ports[1]
		return c.start()
	})
}

func (c *clickhouseEngine) temporary() string { return filepath.Join(c.dir, "tmp") }

func (c *clickhouseEngine) start() error {
	log := filepath.Join(c.dir, "clickhouse.log")
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("open ClickHouse's log: %w", err)
	}
	defer out.Close()
	if c.program != "" {
		err = c.startProgram(out)
	} else {
		err = c.startLibrary(out)
	}
	if err != nil {
		return err
	}
	if err := c.child.await(engineStart, func() error { return c.probe(log) }); err != nil {
		c.child.kill()
		c.closeTerminal()
		return fmt.Errorf("start ClickHouse (%s) on ports %d and %d: %w\n%s", c.name, c.port, c.httpPort, err, tail(log))
	}
	return nil
}

// probe also reads the log: libchdb that cannot listen stays alive and says so only there.
func (c *clickhouseEngine) probe(log string) error {
	err := pingClickHouse(c.httpPort)
	if err == nil {
		return nil
	}
	if text, readErr := os.ReadFile(log); readErr == nil && bytes.Contains(text, []byte("Address already in use")) {
		return errPortTaken
	}
	return err
}

func (c *clickhouseEngine) settings() []string {
	return []string{
		"--path=" + filepath.Join(c.dir, "data") + "/", "--listen_host=127.0.0.1",
		"--tcp_port=" + strconv.Itoa(c.port), "--http_port=" + strconv.Itoa(c.httpPort),
	}
}

func (c *clickhouseEngine) startProgram(out *os.File) error {
	args := append([]string{"server", "--config-file=" + c.path(configFile), "--"}, c.settings()...)
	cmd := exec.Command(c.program, args...)
	cmd.Dir = c.dir
	cmd.Env = append(Environment(), "HOME="+c.dir, "TMPDIR="+c.temporary())
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = boundToParent(false)
	var err error
	c.child, err = startBound(cmd)
	return err
}

// startLibrary re-executes this program as the engine. It gets a terminal and --interactive: on any other standard input
// a single reset connection ends it. Its own home keeps a user's client configuration out.
func (c *clickhouseEngine) startLibrary(out *os.File) error {
	args := append([]string{"clickhouse", "--interactive", "--config-file=" + c.path(configFile), "--log-level=warning"}, c.settings()...)
	args = append(args, "--query", "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP")
	encoded, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("encode the engine's arguments: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find the own program: %w", err)
	}
	terminal, stdin, err := pty.Open()
	if err != nil {
		return fmt.Errorf("open a terminal for the engine: %w", err)
	}
	defer stdin.Close()
	cmd := exec.Command(program)
	cmd.Dir = c.dir
	cmd.Env = append(Environment(), roleVariable+"="+roleClickHouse, libraryVariable+"="+c.library, dirVariable+"="+c.dir,
		argumentsVariable+"="+string(encoded), "TERM=dumb", "HOME="+c.dir, "TMPDIR="+c.temporary())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, out, out
	cmd.SysProcAttr = boundToParent(true)
	if c.child, err = startBound(cmd); err != nil {
		return errors.Join(err, terminal.Close())
	}
	c.terminal = terminal
	go func() { // ends when the terminal is closed; a full terminal buffer would block the engine
		buffer := make([]byte, 4096)
		for {
			if _, err := terminal.Read(buffer); err != nil {
				return
			}
		}
	}()
	return nil
}

// stop ends the engine in order: the program by a signal, the library by end-of-file on its terminal.
func (c *clickhouseEngine) stop() {
	deadline := time.After(engineStop)
	for c.child.running() {
		if c.terminal != nil {
			_, _ = c.terminal.Write([]byte{4}) // it may have ended by itself
		} else {
			_ = c.child.cmd.Process.Signal(syscall.SIGTERM) // likewise
		}
		select {
		case <-c.child.ended:
		case <-deadline:
			c.child.kill()
		case <-time.After(50 * time.Millisecond):
		}
	}
	c.closeTerminal()
}

func (c *clickhouseEngine) closeTerminal() {
	if c.terminal != nil {
		_ = c.terminal.Close() // nothing is buffered
		c.terminal = nil
	}
}

// restart brings a dead engine back on its ports.
func (c *clickhouseEngine) restart() error {
	c.closeTerminal()
	return c.start()
}

func pingClickHouse(port int) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://127.0.0.1:" + strconv.Itoa(port) + "/ping")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("clickhouse answered %s", strings.TrimSpace(response.Status))
	}
	return nil
}
