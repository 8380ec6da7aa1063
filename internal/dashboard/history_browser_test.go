package dashboard_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// hourOf is the address of the hour of a token in which candles have several versions, with some time around it.
func (d *filledHistory) hourOf(token candle.Token) string {
	return tokenPath(token) + "?from=" + candle.FormatTime(d.revised-3600) + "&to=" + candle.FormatTime(d.revised+3*3600)
}

// testHistoryPages opens coverage, tokens and quality on every kind of screen.
func testHistoryPages(t *testing.T, b *browser) {
	w := setup(t)
	d := fillHistory(t, w)
	at := "&at=" + candle.FormatTime(d.revised+120)
	for _, screen := range screens {
		tab := b.tab(t, w)
		tab.screen(t, screen.width, screen.height, screen.dark)
		for _, page := range []struct{ name, path, says string }{
			{"coverage", "/coverage", "confirmed empty"},
			{"coverage-long", "/coverage?from=-120d", "Only the last 92"},
			{"coverage-none", "/coverage?token=zzzz", "No token was asked for"},
			{"token", tokenPath(d.tokens[1]), "in buckets of 5m"},
			{"token-gap", tokenPath(d.tokens[0]) + "?from=" + candle.FormatTime(d.day(2).From) + "&to=" + candle.FormatTime(d.day(2).To), "Runs that asked"},
			{"token-versions", d.hourOf(d.tokens[0]) + at, "served: of the highest quality, from the newest run"},
			{"token-failed", tokenPath(d.tokens[2]) + "?from=" + candle.FormatTime(d.day(1).From) + "&to=now", "HTTP 503"},
			{"token-silent", tokenPath(d.tokens[4]), "No candle in this range."},
			{"quality", "/quality", "runs-retry"},
			{"quality-runs", "/quality?by=run", "100% of the candles without volume"},
			{"quality-none", "/quality?to=2020-01-01", "No run started in this range."},
		} {
			tab.open(t, page.path)
			tab.sees(t, page.says)
			tab.screenshot(t, page.name+"-"+screen.name)
			tab.requireNoSidewaysScroll(t, page.name+" "+screen.name)
			tab.requireQuietConsole(t, page.name+" "+screen.name)
		}
	}
}

// testVersions chooses candles by mouse and by keyboard, with scripts and without.
func testVersions(t *testing.T, b *browser) {
	w := setup(t)
	d := fillHistory(t, w)
	tab := b.tab(t, w)
	tab.screen(t, 1280, 900, false)
	tab.open(t, d.hourOf(d.tokens[0]))
	value[bool](t, tab, "window.sameDocument = true")
	chosen := `#chart a[href*="` + `at=` + queryTime(d.revised+120) + `"] .hit`
	tab.click(t, chosen)
	tab.waits(t, `window.sameDocument && document.querySelectorAll('#candle tbody tr').length === 4`)
	require.Equal(t, 1, value[int](t, tab, `document.querySelectorAll('#candle tr.served').length`))
	require.Contains(t, value[string](t, tab, `document.querySelector('#candle tr.served a').getAttribute('href')`), d.second.ID().String())
	require.Contains(t, value[string](t, tab, "location.search"), "at=", "the address can be shared")

	before := value[string](t, tab, `document.getElementById('readout').textContent`)
	tab.run(t, chromedp.KeyEvent(kb.ArrowRight))
	tab.waits(t, `document.getElementById('readout').textContent !== `+quoted(before))
	tab.run(t, chromedp.KeyEvent(kb.Enter))
	tab.waits(t, `window.sameDocument && document.querySelector('#candle h2').textContent.includes('01:03')`)
	tab.requireQuietConsole(t, "versions")

	plain := b.tab(t, w)
	plain.screen(t, 1280, 900, false)
	_, err := chromedp.Call(plain.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	plain.open(t, d.hourOf(d.tokens[0]))
	plain.click(t, chosen)
	plain.sees(t, "not served: its run is rolled back")
	plain.open(t, tokenPath(d.tokens[0])+"?from="+candle.FormatTime(d.day(2).From)+"&to="+candle.FormatTime(d.day(2).To))
	plain.sees(t, "in buckets of 5m")
	plain.click(t, `#chart a:nth-of-type(20) .hit`)
	plain.sees(t, "Choose a candle to see its versions.")
}

// testHeatMap moves through the cells by arrow keys, and follows one to the chart of its day.
func testHeatMap(t *testing.T, b *browser) {
	w := setup(t)
	d := fillHistory(t, w)
	tab := b.tab(t, w)
	tab.screen(t, 400, 800, false)
	tab.open(t, "/coverage")
	tab.sees(t, "never asked")
	require.Equal(t, 1, value[int](t, tab, `document.querySelectorAll('a.cell[tabindex="0"]').length`), "one stop for Tab")
	value[bool](t, tab, `document.querySelector('a.cell[tabindex="0"]').focus() === undefined`)
	tab.run(t, chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.ArrowLeft), chromedp.KeyEvent(kb.End))
	at := value[[]int](t, tab, `[document.activeElement.closest('tr').rowIndex - 2, document.activeElement.closest('td').cellIndex - 3]`)
	require.Equal(t, []int{1, historyDays - 1}, at)
	tab.run(t, chromedp.KeyEvent(kb.Enter))
	tab.sees(t, "Runs that asked for this range")
	require.Equal(t, queryTime(d.day(historyDays-1).From), value[string](t, tab, `location.search.match(/from=([^&]*)/)[1]`))
	tab.requireQuietConsole(t, "heat map")
}
