package binance

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

const (
	// dumpRequests is what a dump takes: the file and its checksum.
	dumpRequests = 2
	// maxDumpCandles bounds the memory of a dump. It lets a month of 1m and a day of 1s in, and keeps a month of 1s out.
	maxDumpCandles = 100_000
	// maxFileRow bounds the mean length of a row in bytes; one has about 130.
	maxFileRow = 256
	// maxZipped bounds what a row takes in the zip; one takes about 45.
	maxZipped = 100
	// dumpsPerSecond is polite; the files do not count against the API's limit.
	dumpsPerSecond = 10
	// dumpsPause is how long the files are left alone when their server does not answer.
	dumpsPause = 5 * time.Minute
)

// dumps are the files that the exchange publishes of days and months that are over.
type dumps struct {
	base   *url.URL
	client *service.Client
	budget service.Budget
	logger *slog.Logger
}

func newDumps(cfg Config) (*dumps, error) {
	base, err := url.Parse(cfg.DumpURL)
	if err != nil || base.Host == "" {
		return nil, errors.New(dumpURL + " is no URL")
	}
	budget := service.NewLocal(dumpsPerSecond, cfg.Now)
	return &dumps{
		base: base, budget: budget, logger: cfg.Logger,
		client: service.NewClient(service.Config{
			Name: Name + " dumps", Accounts: []service.Account{{Budget: budget}}, Failure: readDumpFailure, UserAgent: cfg.UserAgent,
			Concurrency: cfg.Concurrency, Logger: cfg.Logger, Now: cfg.Now,
		}),
	}, nil
}

// readDumpFailure is service.Config.Failure. Nobody has to wait for a file: without it the API is asked.
func readDumpFailure(status int, _ http.Header, _ []byte, _ time.Duration) service.Failure {
	if status == http.StatusNotFound {
		return service.Failure{Class: backfill.ClassPermanent}
	}
	return service.Failure{Class: backfill.ClassParked, RetryAfter: dumpsPause}
}

// dump is one file.
type dump struct {
	period candle.Range
	folder string // monthly or daily
	stamp  string
}

// within returns the dumps that cover a part of the range with fewer requests than the API, oldest first.
func (d *dumps) within(r candle.Range, interval candle.Interval, now time.Time) []dump {
	if d == nil {
		return nil
	}
	var found []dump
	r.To = min(r.To, now.Unix())
	for day := time.Unix(r.From+86_399, 0).UTC().Truncate(24 * time.Hour); day.Unix() < r.To; {
		end := day.AddDate(0, 0, 1)
		if day.Day() == 1 {
			month := dump{candle.Range{From: day.Unix(), To: day.AddDate(0, 1, 0).Unix()}, "monthly", day.Format("2006-01")}
			if month.period.To <= r.To && month.pays(interval) {
				found, day = append(found, month), day.AddDate(0, 1, 0)
				continue
			}
		}
		if one := (dump{candle.Range{From: day.Unix(), To: end.Unix()}, "daily", day.Format(time.DateOnly)}); end.Unix() <= r.To && one.pays(interval) {
			found = append(found, one)
		}
		day = end
	}
	return found
}

// pays compares requests. Each full page inside the period is one that the API need not be asked; a page that is not full
// may be asked for all the same, together with what lies beside the period.
func (d dump) pays(interval candle.Interval) bool {
	opens := d.period.Candles(interval)
	return opens/pageSize > dumpRequests && opens <= maxDumpCandles
}

// errNoDump: there is none, or none that can be used; the API has to be asked. Its cause has been logged.
var errNoDump = errors.New("no dump")

// published is what a dump has and has not.
type published struct {
	candles []candle.Candle
	// holes are the windows that the API is asked for, because the file has no candle somewhere in them.
	holes []candle.Range
	file  backfill.File
}

// load returns what a dump has. calls is how many requests it took.
func (d *dumps) load(ctx context.Context, symbol string, interval candle.Interval, file dump) (got published, calls int64, err error) {
	name := symbol + "-" + interval.String() + "-" + file.stamp
	address := d.base.JoinPath("data/spot", file.folder, "klines", symbol, interval.String(), name+".zip").String()
	checksum, calls, err := d.client.Get(ctx, service.Request{Address: address + ".CHECKSUM", Weight: 1})
	if err != nil {
		return published{}, calls, d.refuse(ctx, name, calls, err)
	}
	zipped, more, err := d.client.Get(ctx, service.Request{Address: address, Weight: 1, MaxBody: service.MaxBody(file.period.Candles(interval), maxZipped)})
	calls += more
	if err != nil {
		return published{}, calls, d.refuse(ctx, name, calls, err)
	}
	if err := verify(checksum.Body, zipped.Body, name+".zip"); err != nil {
		return published{}, calls, d.refuse(ctx, name, calls, err)
	}
	if got.candles, err = unpack(zipped.Body, name+".csv", question{interval, file.period, hasDollarQuote(symbol)}); err != nil {
		return published{}, calls, d.refuse(ctx, name, calls, err)
	}
	got.holes = holes(got.candles, file.period, interval)
	if pagesOf(interval, got.holes...) > pagesOf(interval, file.period)-dumpRequests {
		return published{}, calls, d.refuse(ctx, name, calls, errTooManyHoles)
	}
	got.file = backfill.File{Name: name + ".zip", SHA256: hex.EncodeToString(sum(zipped.Body)), Modified: lastModified(zipped.Header)}
	return got, calls, nil
}

// errTooManyHoles: asking for what the file lacks would take more than the file saves.
var errTooManyHoles = errors.New("it lacks more candles than it saves requests")

// holes are the windows of the period in which candles are missing, each as short as it can be but for those that one
// request takes together. A checksum proves the bytes of a file and not that it is whole: files have lacked days (R8).
func holes(candles []candle.Candle, period candle.Range, interval candle.Interval) (found []candle.Range) {
	page := pageSize * interval.Seconds()
	missing := func(from, to int64) {
		if last := len(found) - 1; last >= 0 && to-found[last].From <= page {
			found[last].To = to
		} else if from < to {
			found = append(found, candle.Range{From: from, To: to})
		}
	}
	next := interval.Ceil(period.From)
	for _, c := range candles {
		if !interval.OnGrid(c.OpenTime) || c.OpenTime < next {
			continue
		}
		if c.OpenTime > next {
			missing(next, c.OpenTime)
		}
		next = interval.Next(c.OpenTime)
	}
	if next < period.To {
		missing(next, period.To)
	}
	return found
}

// pagesOf is how many requests the API takes for windows at most.
func pagesOf(interval candle.Interval, windows ...candle.Range) (pages int64) {
	for _, w := range windows {
		pages += (w.Candles(interval) + pageSize - 1) / pageSize
	}
	return pages
}

func sum(body []byte) []byte {
	digest := sha256.Sum256(body)
	return digest[:]
}

func lastModified(header http.Header) time.Time {
	at, err := http.ParseTime(header.Get("Last-Modified"))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// refuse says why a dump is not used, where that is worth a line: a file that is not there is nothing unusual, and nothing
// is asked while the files are left alone.
func (d *dumps) refuse(ctx context.Context, name string, calls int64, err error) error {
	class := backfill.ClassOf(err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case class == backfill.ClassPermanent || calls == 0:
		return errNoDump
	case class == backfill.ClassUnavailable:
		d.budget.Park(ctx, dumpsPause)
	}
	d.logger.WarnContext(ctx, "dump not used, asking the API instead", "source", Name, "dump", name, "err", err)
	return errNoDump
}

// verify checks a file against its checksum: "<sha256>  <file>".
func verify(checksum, body []byte, name string) error {
	fields := strings.Fields(string(checksum))
	if len(fields) != 2 || fields[1] != name {
		return errors.New("the checksum is not of this file")
	}
	if !strings.EqualFold(fields[0], hex.EncodeToString(sum(body))) {
		return errors.New("the checksum differs")
	}
	return nil
}

// unpack returns the candles of a period, oldest first. What is not wholly of that period, or empty, proves nothing (R8).
func unpack(zipped []byte, name string, about question) ([]candle.Candle, error) {
	archive, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		return nil, fmt.Errorf("open the zip: %w", err)
	}
	file, err := archive.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the file in the zip: %w", err)
	}
	defer file.Close()
	candles, err := readRows(file, about)
	if err != nil {
		return nil, err
	}
	if len(candles) == 0 {
		return nil, errors.New("the file is empty")
	}
	slices.SortStableFunc(candles, byOpenTime)
	if first, last := candles[0].OpenTime, candles[len(candles)-1].OpenTime; !about.window.Contains(first) || !about.window.Contains(last) {
		return nil, errors.New("the file has candles of another time")
	}
	return candles, nil
}

// readRows reads at most as many candles as the period has. A header is possible: files of other markets have one.
func readRows(file io.Reader, about question) ([]candle.Candle, error) {
	most := about.window.Candles(about.interval)
	bounded := &io.LimitedReader{R: file, N: (most + 1) * maxFileRow}
	rows := csv.NewReader(bounded)
	rows.FieldsPerRecord = 12
	rows.ReuseRecord = true
	candles := make([]candle.Candle, 0, most)
	fits := false
	for line := 1; ; line++ {
		row, err := rows.Read()
		switch {
		case bounded.N == 0 || int64(len(candles)) > most:
			return nil, errors.New("the file is longer than its period")
		case errors.Is(err, io.EOF) && len(candles) > 0 && !fits:
			return nil, errOtherInterval
		case errors.Is(err, io.EOF):
			return candles, nil
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", line, err)
		case line == 1 && strings.EqualFold(row[0], "open_time"):
			continue
		}
		c, odd, err := parseRow(row, about.dollars)
		if err == nil && odd != "" {
			err = errors.New(odd) // the API returns each candle by itself
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		fits = fits || closesAfter(row, about.interval)
		candles = append(candles, c)
	}
}

// yieldFile yields the candles of a dump in pages, and between them what the API has where the file has nothing, oldest first.
// The first page carries the requests and the file. It reports whether to go on.
func (s *Source) yieldFile(ctx context.Context, token candle.Token, interval candle.Interval, got published, calls int64, yield func(backfill.Page, error) bool) bool {
	page := backfill.Page{APICalls: calls, Files: []backfill.File{got.file}}
	pass := func(candles []candle.Candle) bool {
		for part := range slices.Chunk(candles, pageSize) {
			page.Candles = part
			if !yield(page, nil) {
				return false
			}
			page = backfill.Page{}
		}
		return true
	}
	rest := got.candles
	for _, hole := range got.holes {
		before, _ := slices.BinarySearchFunc(rest, hole.From, opensAt)
		after, _ := slices.BinarySearchFunc(rest, hole.To, opensAt)
		if !pass(rest[:before]) {
			return false
		}
		added := newcomers{known: rest[before:after], yield: yield}
		if !s.askAPI(ctx, token, interval, hole, added.pass) || !pass(rest[before:after]) {
			return false
		}
		if added.count > 0 {
			s.dumps.logger.WarnContext(ctx, "dump lacked candles that the API has", "source", Name, "dump", got.file.Name,
				"from", candle.FormatTime(hole.From), "to", candle.FormatTime(hole.To), "candles", added.count)
		}
		rest = rest[after:]
	}
	return pass(rest) && (len(page.Files) == 0 || yield(page, nil))
}

func opensAt(c candle.Candle, open int64) int { return cmp.Compare(c.OpenTime, open) }

// newcomers passes on what a file did not have.
type newcomers struct {
	known []candle.Candle
	yield func(backfill.Page, error) bool
	count int
}

func (n *newcomers) pass(page backfill.Page, err error) bool {
	page.Candles = slices.DeleteFunc(page.Candles, func(c candle.Candle) bool {
		_, known := slices.BinarySearchFunc(n.known, c.OpenTime, opensAt)
		return known
	})
	n.count += len(page.Candles)
	return n.yield(page, err)
}
