package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// templateFunctions are what templates may call. None of them makes HTML: escaping is the template's.
var templateFunctions = template.FuncMap{
	"asset": func(name string) string { return "/assets/" + name },
	"count": formatCount,
	"short": shortID,
	"plural": func(n int, one, many string) string {
		if n == 1 {
			return formatCount(n) + " " + one
		}
		return formatCount(n) + " " + many
	},
	"at":       formatTime,
	"minute":   formatMinute,
	"date":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"iso":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"duration": formatDuration,
	"worktree": worktree,
	"reason":   func(o *backfill.Outcome) string { return backfill.FailureReason(*o) },
	"percent":  formatPercent,
	"path":     tokenPath,
	"unix":     func(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() },
	"words":    func(s string) string { return strings.ReplaceAll(s, "_", " ") },
	"clip":     clip,
	"begin":    begin,
	"add":      func(a, b int) int { return a + b },
	"share":    ratio,
	"next":     func(attempt uint32) uint32 { return attempt + 1 },
	"millis":   formatMillis,
	"rate":     func(perSecond float64) string { return strconv.FormatFloat(perSecond, 'g', 3, 64) },
	"zero":     func(id uuid.UUID) bool { return id == uuid.Nil },
	"took": func(from, to time.Time) string {
		if from.IsZero() || to.IsZero() {
			return "–"
		}
		return formatDuration(to.Sub(from))
	},
	"month": func(yyyymm uint32) string { return fmt.Sprintf("%d-%02d", yyyymm/100, yyyymm%100) },
	"sum": func(numbers ...int64) (total int64) {
		for _, n := range numbers {
			total += n
		}
		return total
	},
	"price": formatPrice,
	// recorded is a number that is known to be there.
	"recorded": func(n *int64) int64 { return *n },
	"deref": func(t *time.Time) time.Time {
		if t == nil {
			return time.Time{}
		}
		return *t
	},
}

// shortID is the beginning of a run id, which the commands take too, and its end, which distinguishes runs of the same minute
// apart.
func shortID(id uuid.UUID) string {
	text := id.String()
	return text[:8] + "…" + text[len(text)-4:]
}

// formatCount groups the digits of a whole number: 1 234 567, with spaces that do not break.
func formatCount(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "−", digits[1:]
	}
	var grouped strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			grouped.WriteRune('\u202f')
		}
		grouped.WriteRune(c)
	}
	return sign + grouped.String()
}

// formatTime is a moment in UTC; the zero time is a dash.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// formatDuration is short: 850 ms, 12.4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h.
func formatDuration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// worktree says whether the commit was all that ran: clean, dirty or unknown. Templates take any pointer for true.
func worktree(dirty *bool) string {
	switch {
	case dirty == nil:
		return "unknown"
	case *dirty:
		return "dirty"
	}
	return "clean"
}

// formatMillis is a duration given in milliseconds, or a dash.
func formatMillis(millis any) string {
	switch ms := millis.(type) {
	case *float64:
		if ms != nil {
			return formatDuration(time.Duration(*ms * float64(time.Millisecond)))
		}
	case *int64:
		if ms != nil {
			return formatDuration(time.Duration(*ms) * time.Millisecond)
		}
	}
	return "–"
}

// formatPercent shows a share of 0 to 1; what is more than nothing is never shown as 0 %, and less than all never as 100 %.
func formatPercent(share float64) string {
	switch {
	case math.IsNaN(share):
		return "–"
	case share > 0 && share < 0.0005:
		return "<0.1 %"
	case share < 1 && share > 0.9995:
		return ">99.9 %"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + " %"
}

// begin is the beginning of a text.
func begin(most int, text string) string {
	letters := []rune(text)
	if len(letters) <= most {
		return text
	}
	return string(letters[:most-1]) + "…"
}

// clip shortens a text in its middle, so that the beginning and the end of an address stay.
func clip(most int, text string) string {
	letters := []rune(text)
	if len(letters) <= most || most < 5 {
		return text
	}
	head := (most - 1) * 2 / 3
	return string(letters[:head]) + "…" + string(letters[len(letters)-(most-1-head):])
}
