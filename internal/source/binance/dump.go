package binance

import (
	"archive/zip"
	"bytes"
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
		return nil, errors.New("BINANCE_DUMP_URL is no URL")
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
	opens := d.period.Opens(interval)
	return opens/pageSize > dumpRequests && opens <= maxDumpCandles
}

// errNoDump: there is none, or none that can be used; the API has to be asked. Its cause has been logged.
var errNoDump = errors.New("no dump")

// load returns the candles of a dump. calls is how many requests it took.
func (d *dumps) load(ctx context.Context, symbol string, interval candle.Interval, file dump) (candles []candle.Candle, calls int64, err error) {
	name := symbol + "-" + interval.String() + "-" + file.stamp
	address := d.base.JoinPath("data/spot", file.folder, "klines", symbol, interval.String(), name+".zip").String()
	checksum, calls, err := d.client.Get(ctx, service.Request{Address: address + ".CHECKSUM", Weight: 1})
	if err != nil {
		return nil, calls, d.refuse(ctx, name, calls, err)
	}
	zipped, more, err := d.client.Get(ctx, service.Request{Address: address, Weight: 1, MaxBody: service.MaxBody(file.period.Opens(interval), maxZipped)})
	calls += more
	if err != nil {
		return nil, calls, d.refuse(ctx, name, calls, err)
	}
	if err := verify(checksum.Body, zipped.Body, name+".zip"); err != nil {
		return nil, calls, d.refuse(ctx, name, calls, err)
	}
	if candles, err = unpack(zipped.Body, name+".csv", question{interval, file.period, hasDollarQuote(symbol)}); err != nil {
		return nil, calls, d.refuse(ctx, name, calls, err)
	}
	return candles, calls, nil
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
	sum := sha256.Sum256(body)
	if !strings.EqualFold(fields[0], hex.EncodeToString(sum[:])) {
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
	most := about.window.Opens(about.interval)
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
			err = errors.New(odd) // the API tells each candle apart
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		fits = fits || closesAfter(row, about.interval)
		candles = append(candles, c)
	}
}

// yieldAll yields the candles of a dump in pages. The first carries the requests. It reports whether to go on.
func yieldAll(candles []candle.Candle, calls int64, yield func(backfill.Page, error) bool) bool {
	for part := range slices.Chunk(candles, pageSize) {
		if !yield(backfill.Page{Candles: part, APICalls: calls}, nil) {
			return false
		}
		calls = 0
	}
	return true
}
