package birdeye

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// maxBody bounds an answer; a full page is about 1 MB.
const maxBody = 8 << 20

// quotaWait is how long a source whose quota is used up is left alone; the period renews at a time we do not know.
const quotaWait = time.Hour

// send returns the body of a successful answer, or an error with its class.
func (s *Source) send(ctx context.Context, request *http.Request) ([]byte, error) {
	response, err := s.client.Do(request)
	if err != nil {
		return nil, transportError(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, transportError(ctx, err)
	}
	if len(body) > maxBody {
		return nil, backfill.WithClass(backfill.ClassUnavailable, fmt.Errorf("answer above %d MB", maxBody>>20))
	}
	if response.StatusCode != http.StatusOK {
		return nil, s.statusError(response, body)
	}
	return body, nil
}

// transportError drops the URL from the error, which net/http puts there: the chunk names what was asked already, and a
// base URL may hold a password.
func transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return contextError(ctx, err)
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return backfill.WithClass(backfill.ClassUnavailable, fmt.Errorf("no whole answer: %w", err))
}

// contextError tells an interruption from a fault of the service.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// failure is the body of an error.
type failure struct {
	Success *bool  `json:"success"`
	Message string `json:"message"`
}

func (s *Source) statusError(response *http.Response, body []byte) error {
	var f failure
	isJSON := json.Unmarshal(body, &f) == nil
	err := fmt.Errorf("HTTP %d: %s", response.StatusCode, clean(f.Message))
	if !isJSON || f.Message == "" {
		err = fmt.Errorf("HTTP %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	}
	class := classify(response.StatusCode, f.Message, isJSON)
	classified := &backfill.ClassError{Class: class, Err: err}
	switch class {
	case backfill.ClassRateLimited:
		classified.RetryAfter = retryAfter(response.Header, s.now())
	case backfill.ClassParked:
		classified.RetryAfter = quotaWait
	}
	return classified
}

// quotaMessage comes with a plain 400 when the account's compute units are used up.
const quotaMessage = "compute units usage limit exceeded"

func classify(status int, message string, isJSON bool) backfill.Class {
	switch {
	case strings.Contains(strings.ToLower(message), quotaMessage):
		return backfill.ClassParked
	case status == http.StatusTooManyRequests:
		return backfill.ClassRateLimited
	case status == http.StatusUnauthorized:
		return backfill.ClassKeyRejected
	case status == http.StatusForbidden && isJSON:
		return backfill.ClassKeyRejected
	case status == http.StatusForbidden: // the firewall in front of the service answers in HTML
		return backfill.ClassUnavailable
	case status == http.StatusRequestTimeout || status >= http.StatusInternalServerError:
		return backfill.ClassUnavailable
	default:
		return backfill.ClassPermanent
	}
}

// retryAfter reads Retry-After, in seconds or as a date, else X-RateLimit-Reset in Unix seconds; 0 without either.
func retryAfter(header http.Header, now time.Time) time.Duration {
	const most = time.Hour
	text := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), most)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	if reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		return min(max(time.Unix(reset, 0).Sub(now), 0), most)
	}
	return 0
}

// clean makes a foreign message fit for a row and a log.
func clean(message string) string {
	const most = 200
	message = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(message, "?"))
	if runes := []rune(message); len(runes) > most {
		message = string(runes[:most]) + "…"
	}
	return message
}

// answer is the body of a success.
type answer struct {
	failure
	Data *struct {
		Items *[]item `json:"items"`
	} `json:"data"`
}

type item struct {
	UnixTime  *int64   `json:"unix_time"`
	Open      *float64 `json:"o"`
	High      *float64 `json:"h"`
	Low       *float64 `json:"l"`
	Close     *float64 `json:"c"`
	Volume    float64  `json:"v"`
	VolumeUSD float64  `json:"v_usd"`
}

// decodePage refuses what is no whole answer, so that a cut or foreign body is never taken for an empty range (R8).
func decodePage(body []byte) ([]candle.Candle, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("answer is no whole JSON (%d bytes)", len(bytes.TrimSpace(body)))
	}
	if a.Success == nil || !*a.Success {
		return nil, fmt.Errorf("answer without success: %s", clean(a.Message))
	}
	if a.Data == nil || a.Data.Items == nil {
		return nil, errors.New("answer without items")
	}
	candles := make([]candle.Candle, 0, len(*a.Data.Items))
	for i, it := range *a.Data.Items {
		if it.UnixTime == nil || it.Open == nil || it.High == nil || it.Low == nil || it.Close == nil {
			return nil, fmt.Errorf("item %d of the answer lacks its time or a price", i)
		}
		if *it.UnixTime < 0 || *it.UnixTime > math.MaxUint32 {
			return nil, fmt.Errorf("item %d of the answer has the time %d", i, *it.UnixTime)
		}
		candles = append(candles, candle.Candle{
			OpenTime: *it.UnixTime, Open: *it.Open, High: *it.High, Low: *it.Low, Close: *it.Close,
			Volume: it.Volume, VolumeUSD: it.VolumeUSD,
		})
	}
	return candles, nil
}
