package dashboard_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func (b *tab) click(t testing.TB, what string) {
	t.Helper()
	b.run(t, chromedp.Click(chromedp.CSS(what)))
}

func (b *tab) fill(t testing.TB, field, text string) {
	t.Helper()
	b.run(t, chromedp.SendKeys(chromedp.CSS(field), text))
}

// A running run is followed without loading the page again, and shown with its exact numbers when it has ended.
func testLiveProgress(t *testing.T, b *browser) {
	w := setup(t)
	w.market(t, simmarket.Fault{Kind: "slow", Rate: 1, Delay: 700 * time.Millisecond})
	run := w.launch(t, 10, 4)
	tab := b.tab(t, w)
	tab.open(t, "/runs/"+run.ID().String())
	tab.sees(t, "of 40")
	value[bool](t, tab, "window.sameDocument = true")
	w.work(t)
	tab.waits(t, `window.sameDocument && Number(document.querySelector('[data-live="done"]').textContent) > 8`)
	tab.waits(t, `window.sameDocument && /\d/.test(document.querySelector('[data-live="left"]').textContent)`)
	tab.screenshot(t, "live-progress")
	fleet := b.tab(t, w)
	fleet.screen(t, 1280, 900, false)
	fleet.open(t, "/fleet")
	fleet.sees(t, "looks after the runs")
	fleet.waits(t, `/:\d+$/.test(document.querySelector('[aria-labelledby="workers-title"] td').textContent)`)
	fleet.screenshot(t, "fleet-working")
	fleet.requireQuietConsole(t, "fleet")
	require.Positive(t, value[float64](t, tab, `document.querySelector('[data-live="bar"]').value`))
	tab.sees(t, "completed")
	tab.sees(t, "deduplicated")
	tab.requireQuietConsole(t, "live progress")
}

// Without scripts the page shows the state as it is.
func testProgressWithoutScripts(t *testing.T, b *browser) {
	w := setup(t)
	w.market(t)
	run := w.launch(t, 2, 2)
	tab := b.tab(t, w)
	tab.run(t, chromedp.EmulateViewport(1280, 900))
	_, err := chromedp.Call(tab.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	tab.open(t, "/runs/"+run.ID().String())
	tab.sees(t, "of 4")
	tab.sees(t, "Cancel")
	tab.requireQuietConsole(t, "run without scripts")
}

// Each action is previewed, asked for and carried out by clicking.
func testActions(t *testing.T, b *browser) {
	w := setup(t)
	h := w.seed(t)
	tab := b.tab(t, w)
	tab.logIn(t)

	tab.open(t, "/runs/"+h.completed.ID().String())
	tab.click(t, `a[href$="/rollback"]`)
	tab.sees(t, "Candles disappear")
	tab.fill(t, `input[name="reason"]`, "wrong prices")
	tab.click(t, `main button.danger`)
	tab.sees(t, "The run is rolled back")
	tab.sees(t, "wrong prices")
	tab.screenshot(t, "action-rolled-back")
	tab.click(t, `a[href$="/restore"]`)
	tab.sees(t, "served again, at once")
	tab.click(t, `main button.primary`)
	tab.sees(t, "The run is served again.")

	tab.open(t, "/runs/"+h.failed.ID().String())
	tab.click(t, `a[href$="/retry"]`)
	tab.sees(t, "Take up 2 chunks again")
	tab.click(t, `main button.primary`)
	tab.sees(t, "taken up again")
	tab.sees(t, "attempt 2")

	tab.open(t, "/runs/"+h.running.ID().String())
	tab.click(t, `a[href$="/cancel"]`)
	tab.sees(t, "End 12 chunks as cancelled")
	tab.click(t, `main button.danger`)
	tab.sees(t, "The run is cancelled.")
	tab.waits(t, `document.querySelector('.heading .status').textContent === 'cancelled'`)

	tab.open(t, "/fleet")
	tab.sees(t, "wrong prices")
	tab.screenshot(t, "fleet-actions")
	tab.click(t, `a[href="/sweep"]`)
	tab.fill(t, `input[name="older_than"]`, "0s")
	tab.click(t, `main button`)
	tab.sees(t, "What it would remove now")
	if strings.Contains(value[string](t, tab, "document.body.innerText"), "removed for good") {
		tab.click(t, `main button.danger`)
		tab.sees(t, "The last one")
	}
	tab.requireQuietConsole(t, "actions")
}

// Who has not logged in sees what an action would do, and no button; who cannot log in reads why.
func testRefusal(t *testing.T, b *browser) {
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 1)
	tab := b.tab(t, w)
	tab.open(t, "/runs/"+run.ID().String()+"/cancel")
	tab.sees(t, "Log in to do it")
	require.Zero(t, value[int](t, tab, `document.querySelectorAll('main button').length`))
	tab.click(t, `main a.button`)
	tab.fill(t, `input[name="token"]`, "guess\r")
	tab.sees(t, "That is not the token.")
	tab.screenshot(t, "login-refused")
	tab.fill(t, `input[name="token"]`, token+"\r")
	tab.sees(t, "Cancel the run")
	require.Equal(t, "running", w.status(t, run))

	closed := setup(t, withoutToken)
	closed.market(t)
	run = closed.launch(t, 1, 1)
	tab = b.tab(t, closed)
	tab.open(t, "/runs/"+run.ID().String()+"/cancel")
	tab.sees(t, "Nobody can act here")
	tab.screenshot(t, "refused")
	require.Zero(t, value[int](t, tab, `document.querySelectorAll('main button').length`))
	status := value[int](t, tab, `(() => { const r = new XMLHttpRequest(); r.open('POST', location.href, false); r.send(); return r.status })()`)
	require.Equal(t, http.StatusForbidden, status)
	require.Equal(t, "running", closed.status(t, run))
}

// The keyboard reaches everything, and where it is can be seen.
func testKeyboard(t *testing.T, b *browser) {
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 1)
	tab := b.tab(t, w)
	tab.open(t, "/")
	tab.run(t, chromedp.KeyEvent("\t"))
	require.Equal(t, "Skip to the content", value[string](t, tab, "document.activeElement.textContent"))
	require.NotEqual(t, "none", value[string](t, tab, "getComputedStyle(document.activeElement).outlineStyle"))
	var reached []string
	for range 25 {
		tab.run(t, chromedp.KeyEvent("\t"))
		reached = append(reached, value[string](t, tab, "(document.activeElement.getAttribute('href') || document.activeElement.name || document.activeElement.tagName)"))
	}
	for _, place := range []string{"/", "/fleet", "/queues", "q", "status", "token", "/runs/" + run.ID().String()} {
		require.Contains(t, reached, place)
	}
	tab.run(t, chromedp.Focus(chromedp.CSS(`input[name="q"]`)), chromedp.KeyEvent("zzz\r"))
	tab.sees(t, "No run fits")
}
