package register_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/source/datasheet"
	"quantbot/internal/source/register"
)

var update = flag.Bool("update", false, "write the parts of documents that follow from the data sheets")

// What people read of the sources, and what compose hands on, follows from the data sheets. To write it anew:
// go test ./internal/source/register -update
func TestDocumentsFollowFromTheDataSheets(t *testing.T) {
	t.Parallel()
	for file, lines := range map[string][]string{
		".env.example": exampleLines(), "docker-compose.yml": composeLines(), "docs/sources.md": tableLines(),
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			path := "../../../" + file
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			before, rest, found := strings.Cut(string(text), "data sheets: begin")
			require.True(t, found, "no mark of the beginning")
			mark, rest, _ := strings.Cut(rest, "\n")
			old, after, found := strings.Cut(rest, "data sheets: end")
			require.True(t, found, "no mark of the end")
			end := old[strings.LastIndex(old, "\n")+1:] // what begins the mark of the end, such as a comment's sign
			want := before + "data sheets: begin" + mark + "\n" + strings.Join(lines, "\n") + "\n" + end + "data sheets: end" + after
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
				return
			}
			require.Equal(t, want, string(text), "go test ./internal/source/register -update")
		})
	}
}

// exampleLines set every variable to its default in .env.example.
func exampleLines() (lines []string) {
	for _, s := range register.Sheets() {
		lines = append(lines, "# "+s.Help)
		if s.Key != "" {
			lines = append(lines, fmt.Sprintf("# More keys, of different accounts, each with that allowance: %s_1 to %[1]s_%d.", s.Key, config.MaxNumberedKeys))
			lines = append(lines, s.Key+"=")
		}
		for _, place := range s.Places {
			if place.Help != "" {
				lines = append(lines, "# "+place.Help)
			}
			lines = append(lines, place.Variable+"="+place.Default)
		}
		if s.Rate.Variable != "" {
			lines = append(lines, s.Rate.Variable+"="+number(s.Rate.Default))
		}
		lines = append(lines, "")
	}
	return lines[:len(lines)-1]
}

// composeLines hand every variable on to the containers.
func composeLines() (lines []string) {
	hand := func(name, otherwise string) {
		lines = append(lines, fmt.Sprintf("  %s: ${%s%s}", name, name, otherwise))
	}
	for _, s := range register.Sheets() {
		for _, name := range s.Keys() {
			hand(name, ":-")
		}
		for _, place := range s.Places {
			otherwise := ":-" + place.Default
			if place.Optional { // set to nothing is not the same as not set
				otherwise = "-" + place.Default
			}
			hand(place.Variable, otherwise)
		}
		if s.Rate.Variable != "" {
			hand(s.Rate.Variable, ":-"+number(s.Rate.Default))
		}
	}
	return lines
}

// tableLines compare the sources in docs/sources.md.
func tableLines() []string {
	rows := []struct {
		name string
		cell func(datasheet.Sheet) string
	}{
		{"", func(s datasheet.Sheet) string { return s.Title }},
		{"`--source`", func(s datasheet.Sheet) string { return "`" + s.Name + "`" }},
		{"chains", func(s datasheet.Sheet) string { return list(s.Chains) }},
		{"intervals", func(s datasheet.Sheet) string { return list(s.Intervals) }},
		{"chain of a token that names none", func(s datasheet.Sheet) string { return string(s.HomeVenue()) }},
		{"candles of a page", func(s datasheet.Sheet) string { return strconv.Itoa(s.PageSize) }},
		{"pages come", func(s datasheet.Sheet) string { return s.Paging }},
		{"a candle is final", func(s datasheet.Sheet) string { return duration(s.SettleDelay) + " after its close" }},
		{"history", retention},
		{"price", func(s datasheet.Sheet) string { return s.Price }},
		{"allowance of an account", allowance},
		{"filters outliers", func(s datasheet.Sheet) string { return yesNo(s.FiltersOutliers) }},
		{"`doctor` asks it", func(s datasheet.Sheet) string {
			if s.ProbeCosts {
				return "only with `--ask-sources`: it costs credits"
			}
			return "one free question"
		}},
		{"key", func(s datasheet.Sheet) string {
			if s.Key == "" {
				return "none"
			}
			return fmt.Sprintf("`%s`, `…_1` to `…_%d`", s.Key, config.MaxNumberedKeys)
		}},
		{"where", places},
	}
	var lines []string
	for i, row := range rows {
		line := "| " + row.name
		for _, s := range register.Sheets() {
			line += " | " + row.cell(s)
		}
		if lines = append(lines, line+" |"); i == 0 {
			lines = append(lines, "|---"+strings.Repeat("|---", len(register.Sheets()))+"|")
		}
	}
	return append(append([]string{""}, lines...), "")
}

func retention(s datasheet.Sheet) string {
	if s.Retention == 0 {
		return "from the token's beginning"
	}
	return fmt.Sprintf("%d days", s.Retention/(24*time.Hour))
}

func allowance(s datasheet.Sheet) string {
	text := number(s.Rate.Default) + " requests"
	if s.PageWeight > 1 {
		text = fmt.Sprintf("weight %s, of which a page takes %d,", number(s.Rate.Default), s.PageWeight)
	}
	text += " a " + strings.TrimPrefix(duration(s.Rate.Per), "1 ")
	if s.Rate.Variable != "" {
		text += " (`" + s.Rate.Variable + "`)"
	}
	return text
}

func places(s datasheet.Sheet) string {
	var texts []string
	for _, place := range s.Places {
		text := "`" + place.Variable + "` = " + place.Default
		if place.Optional {
			text += " (set to nothing: left out)"
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func number(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }

// duration writes whole minutes or seconds in words.
func duration(d time.Duration) string {
	n, unit := int(d/time.Second), "second"
	if d%time.Minute == 0 {
		n, unit = int(d/time.Minute), "minute"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", n, unit)
}

func list[T interface{ ~string | ~uint32 }](values []T) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(values), " ", ", "), "[]")
}
