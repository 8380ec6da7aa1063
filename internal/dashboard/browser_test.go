package dashboard_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserPages are opened in a real browser, wide, narrow and dark.
var browserPages = []struct {
	name string
	path func(history) string
	// says is a text that must be there.
	says string
}{
	{"runs", func(history) string { return "/" }, "candles inserted"},
	{"runs-none-fit", func(history) string { return "/?q=zzz" }, "No run fits"},
	{"run-completed", func(h history) string { return "/runs/" + h.completed.ID().String() }, "deduplicated"},
	{"run-failed", func(h history) string { return "/runs/" + h.failed.ID().String() + "?order=slowest" }, "Retry what failed"},
	{"run-running", func(h history) string { return "/runs/" + h.running.ID().String() }, "Progress"},
	{"run-rolled-back", func(h history) string { return "/runs/" + h.rolledBack.ID().String() }, "wrong source"},
	{"preview-rollback", func(h history) string { return "/runs/" + h.completed.ID().String() + "/rollback" }, "What it would do"},
	{"preview-retry", func(h history) string { return "/runs/" + h.failed.ID().String() + "/retry" }, "Take up"},
	{"preview-cancel", func(h history) string { return "/runs/" + h.running.ID().String() + "/cancel" }, "as cancelled"},
	{"preview-restore", func(h history) string { return "/runs/" + h.rolledBack.ID().String() + "/restore" }, "served again"},
	{"fleet", func(history) string { return "/fleet" }, "Rate budgets"},
	{"sweep", func(history) string { return "/sweep?preview=yes&older_than=0s" }, "What it would remove now"},
	{"login", func(history) string { return "/login" }, "Token"},
	{"not-found", func(history) string { return "/nowhere" }, "There is no such page."},
	{"queues", func(history) string { return "/queues/" }, "Queues"},
}

// screens are the ways in which pages are looked at.
var screens = []struct {
	name          string
	width, height int64
	dark          bool
}{{"wide", 1280, 900, false}, {"narrow", 400, 800, false}, {"dark", 1280, 900, true}}

// TestInABrowser runs everything that needs a browser in one Chromium, each test in a window with cookies of its own.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	for name, test := range map[string]func(*testing.T, *browser){
		"pages": testPages, "live progress": testLiveProgress, "progress without scripts": testProgressWithoutScripts,
		"actions": testActions, "refusal": testRefusal, "keyboard": testKeyboard,
		"pages of the history": testHistoryPages, "versions": testVersions, "heat map": testHeatMap,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, b)
		})
	}
}

// testPages opens every page on every kind of screen.
func testPages(t *testing.T, b *browser) {
	w := setup(t)
	h := w.seed(t)
	for _, screen := range screens {
		tab := b.tab(t, w)
		tab.screen(t, screen.width, screen.height, screen.dark)
		tab.logIn(t)
		for _, page := range browserPages {
			tab.open(t, page.path(h))
			tab.sees(t, page.says)
			tab.screenshot(t, page.name+"-"+screen.name)
			tab.requireNoSidewaysScroll(t, page.name+" "+screen.name)
			tab.requireQuietConsole(t, page.name+" "+screen.name)
		}
	}
}

// withoutFeatures are chromedp's own, and those by which each page gets a process of its own.
const withoutFeatures = "site-per-process,Translate,BlinkGenPropertyTrees,BackForwardCache,ProactivelySwapBrowsingInstance,SpareRendererForSitePerProcess"

// browser is one Chromium for a test.
type browser struct{ ctx context.Context }

func newBrowser(t testing.TB) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	require.NotEmpty(t, program, "no Chromium on the PATH: run scripts/setup tests")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("no-first-run", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-features", withoutFeatures), chromedp.Flag("disable-sync", true), chromedp.UserDataDir(t.TempDir()),
		chromedp.WSURLReadTimeout(time.Minute))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() { cancel(); release() })
	require.NoError(t, chromedp.Do(ctx), "start Chromium")
	return &browser{ctx: ctx}
}

// tab is a window with cookies of its own, whose console is listened to.
type tab struct {
	ctx context.Context
	w   *harness

	mu       sync.Mutex
	problems []string
}

func (b *browser) tab(t testing.TB, w *harness) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	one := &tab{ctx: ctx, w: w}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			one.problem("exception: " + e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" || e.Type == "warning" {
				one.problem(fmt.Sprintf("console %s: %s", e.Type, described(e.Args)))
			}
		case *cdplog.EventEntryAdded:
			if e.Entry.Level == "error" || e.Entry.Level == "warning" {
				one.problem(fmt.Sprintf("log %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
			}
		}
	})
	require.NoError(t, err)
	return one
}

// patience bounds each step in the browser; two busy cores make Chromium slow.
const patience = 45 * time.Second

// screen makes the window so large, and dark or light.
func (b *tab) screen(t testing.TB, width, height int64, dark bool) {
	t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.run(t, chromedp.EmulateViewport(width, height))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	require.NoError(t, err)
}

func (b *tab) problem(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.problems = append(b.problems, text)
}

// requireQuietConsole fails when the page complained. The browser's own note on an error status is no complaint, and what
// the queue monitor's charts say of a narrow screen is not ours.
func (b *tab) requireQuietConsole(t testing.TB, where string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, problem := range b.problems {
		if !strings.Contains(problem, "Failed to load resource: the server responded with a status of 40") && !strings.Contains(problem, "<rect> attribute ") {
			require.Fail(t, "the console is not quiet on "+where, problem)
		}
	}
	b.problems = nil
}

func (b *tab) run(t testing.TB, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(t, chromedp.Do(ctx, actions...))
}

// value evaluates an expression in the page.
func value[T any](t testing.TB, b *tab, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(t, err, expression)
	return found
}

func (b *tab) open(t testing.TB, path string) {
	t.Helper()
	b.run(t, chromedp.Navigate(b.w.server.URL+path))
}

// sees waits until the page shows a text.
func (b *tab) sees(t testing.TB, text string) {
	t.Helper()
	b.waits(t, fmt.Sprintf("document.body !== null && document.body.innerText.includes(%q)", text))
}

// waits until an expression in the page is true; pages may come and go meanwhile.
func (b *tab) waits(t testing.TB, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for ctx.Err() == nil {
		if found, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && found {
			return
		}
		_ = chromedp.Do(ctx, chromedp.Sleep(50*time.Millisecond)) // the deadline ends the loop
	}
	shown, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	require.Fail(t, "the page never came to: "+expression, shown)
}

func (b *tab) requireNoSidewaysScroll(t testing.TB, where string) {
	t.Helper()
	over := value[int](t, b, "document.documentElement.scrollWidth - window.innerWidth")
	if over > 0 {
		widest := value[[]string](t, b, `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth && !e.closest('table'))
			.map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40))`)
		require.Fail(t, "the page "+where+" is wider than the screen", "%d pixels over %d, by %q", over, value[int](t, b, "window.innerWidth"), widest)
	}
}

// screenshot keeps a picture of the whole page where QUANTBOT_SCREENSHOTS says, else among the test's artifacts, if these are kept
// (go test -artifacts).
func (b *tab) screenshot(t testing.TB, name string) {
	t.Helper()
	dir := os.Getenv("QUANTBOT_SCREENSHOTS")
	if dir == "" {
		if kept := flag.Lookup("test.artifacts"); kept == nil || kept.Value.String() != "true" {
			return
		}
		dir = t.ArtifactDir()
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600))
}

func (b *tab) logIn(t testing.TB) {
	t.Helper()
	b.open(t, "/login")
	b.run(t, chromedp.SendKeys(chromedp.CSS(`input[name="name"]`), "ana"), chromedp.SendKeys(chromedp.CSS(`input[name="token"]`), token+"\r"))
	b.sees(t, "Log out")
}

// described are the values that a script wrote to the console.
func described(args []*runtime.RemoteObject) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg.Description + string(arg.Value)
	}
	return strings.Join(words, " ")
}
