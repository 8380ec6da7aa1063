package birdeye

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

// quotaWait is how long an account whose quota is used up is left alone; the period renews at a time we do not know.
const quotaWait = time.Hour

// failure is the body of an error.
type failure struct {
	Success *bool  `json:"success"`
	Message string `json:"message"`
}

// quotaMessage comes with a plain 400 when the account's compute units are used up.
const quotaMessage = "compute units usage limit exceeded"

// readFailure is service.Config.Failure.
func readFailure(status int, _ http.Header, body []byte, retryAfter time.Duration) service.Failure {
	var f failure
	isJSON := json.Unmarshal(body, &f) == nil
	switch {
	case strings.Contains(strings.ToLower(f.Message), quotaMessage):
		return service.Failure{Class: backfill.ClassParked, Message: f.Message, RetryAfter: quotaWait}
	case status == http.StatusForbidden && !isJSON: // the firewall in front of the service answers in HTML
		return service.Failure{Class: backfill.ClassUnavailable}
	}
	return service.Failure{Class: service.StatusClass(status), Message: f.Message, RetryAfter: retryAfter}
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
		return nil, fmt.Errorf("answer without success: %s", service.Clean(a.Message))
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
