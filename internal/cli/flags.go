package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
	"quantbot/internal/worklist"
)

func checkFormat(format string) error {
	if format != "table" && format != "json" {
		return fmt.Errorf("--format %q is neither table nor json", format)
	}
	return nil
}

func parseRange(from, to string, now time.Time) (candle.Range, error) {
	if from == "" || to == "" {
		return candle.Range{}, errors.New("--from and --to are required, for example --from 2024-01-01 --to 2024-02-01")
	}
	begin, err := config.ParseTime(from, now)
	if err != nil {
		return candle.Range{}, fmt.Errorf("--from: %w", err)
	}
	end, err := config.ParseTime(to, now)
	if err != nil {
		return candle.Range{}, fmt.Errorf("--to: %w", err)
	}
	if !begin.Before(end) {
		return candle.Range{}, fmt.Errorf("--from (%s) must be before --to (%s)", begin.Format(time.RFC3339), end.Format(time.RFC3339))
	}
	return candle.Range{From: begin.Unix(), To: end.Unix()}, nil
}

// intervalHelp is what --interval says in every command that has it.
func intervalHelp() string {
	names := candle.IntervalNames()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// chainHelp is what --chain says in every command that has it.
const chainHelp = "chain of tokens that name none (default solana; with --source of an exchange, its market)"

// parseChain reads --chain. Where it was not given, a source that has one exchange alone implies that.
func parseChain(text string, sources ...string) (candle.Chain, error) {
	if text == "" {
		return register.Venue(sources), nil
	}
	chain, err := candle.ParseChain(text)
	if err != nil {
		return "", fmt.Errorf("--chain: %w", err)
	}
	return chain, nil
}

// Bounds of labels: they are for people, and a run carries them wherever it goes.
const (
	maxLabels    = 20
	maxLabelSize = 200 // bytes of a name, and of a value
)

var labelName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// parseLabels reads NAME=VALUE.
func parseLabels(given []string) (map[string]string, error) {
	labels := make(map[string]string, len(given))
	for _, text := range given {
		name, value, found := strings.Cut(text, "=")
		_, twice := labels[name]
		switch {
		case !found || !labelName.MatchString(name):
			return nil, fmt.Errorf("--label %q is not like study=wicks: a name of letters, digits, _ . and -, then = and a value", text)
		case twice:
			return nil, fmt.Errorf("--label %s is given twice", name)
		case len(name) > maxLabelSize || len(value) > maxLabelSize:
			return nil, fmt.Errorf("--label %s has more than %d bytes", name[:min(len(name), 20)], maxLabelSize)
		}
		labels[name] = candle.Printable(value)
	}
	if len(labels) > maxLabels {
		return nil, fmt.Errorf("--label: at most %d", maxLabels)
	}
	return labels, nil
}

// parseLength reads the duration that a flag gives, which is a length of time and never negative.
func parseLength(flag, text string) (time.Duration, error) {
	d, err := config.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("--%s: %w", flag, err)
	}
	if d < 0 {
		return 0, fmt.Errorf("--%s must not be negative, as %s is", flag, text)
	}
	return d, nil
}

// checkLimit keeps what a command holds in memory, and prints, within bounds.
func checkLimit(limit, most int) error {
	if limit < 1 || limit > most {
		return fmt.Errorf("--limit must be between 1 and %d, not %d", most, limit)
	}
	return nil
}

// parseAnyToken reads chain:address, or an address that may be on any chain, as it would be stored.
func parseAnyToken(text string) (candle.Token, error) {
	switch {
	case text == "":
		return candle.Token{}, nil
	case strings.Contains(text, ":"):
		return worklist.ParseToken(text, "")
	}
	for _, chain := range []candle.Chain{candle.Solana, candle.Ethereum, candle.BinanceSpot} { // one of each form
		if token, err := candle.NewToken(chain, text); err == nil {
			return candle.Token{Address: token.Address}, nil
		}
	}
	return candle.Token{}, fmt.Errorf("%q is neither an address nor a symbol", text)
}
