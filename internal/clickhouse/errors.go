package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"quantbot/internal/backfill"
)

// ErrNoDatabase means that the server is there, and our database or one of its tables is not.
var ErrNoDatabase = errors.New("apply the migrations first: quantbot migrate")

// ErrMomentGone means that an as-of read would have gaps.
var ErrMomentGone = errors.New("versions that were served at that moment have been removed by a sweep or purge: only later moments can be read")

// Error codes of the server that have a cause which a person can put right.
const (
	codeNoSuchColumnInTable  = 16
	codeUnknownTable         = 60
	codeUnknownDatabase      = 81
	codeTimeoutExceeded      = 159
	codeReadonly             = 164
	codeQuotaExceeded        = 201
	codeTooManyQueries       = 202
	codeMemoryLimit          = 241
	codeTableIsReadOnly      = 242
	codeNotEnoughSpace       = 243
	codeTooManyParts         = 252
	codeCannotWrite          = 75  // to a file: the disk is full, or broken
	codeThrown               = 395 // by throwIf, which only ohlcv_candles_as_of has
	codeAccessDenied         = 497
	codeAuthenticationFailed = 516
)

// waitReasons say why the server refuses, by its code.
var waitReasons = map[int32]backfill.WaitReason{
	codeNoSuchColumnInTable: backfill.WaitSchema, codeUnknownTable: backfill.WaitSchema, codeUnknownDatabase: backfill.WaitSchema,
	codeTimeoutExceeded: backfill.WaitOverload, codeTooManyQueries: backfill.WaitOverload,
	codeReadonly: backfill.WaitRights, codeAccessDenied: backfill.WaitRights, codeTableIsReadOnly: backfill.WaitRights,
	codeQuotaExceeded: backfill.WaitQuota, codeMemoryLimit: backfill.WaitMemory,
	codeNotEnoughSpace: backfill.WaitDisk, codeCannotWrite: backfill.WaitDisk,
	codeTooManyParts: backfill.WaitParts, codeAuthenticationFailed: backfill.WaitLogin,
}

// waitReason says why the store does not take what it is given.
func (db *DB) waitReason(err error) backfill.WaitReason {
	if exception, ok := errors.AsType[*driver.Exception](err); ok {
		if reason, known := waitReasons[exception.Code]; known {
			return reason
		}
		return backfill.WaitOther
	}
	switch {
	case untrusted(err):
		return backfill.WaitCertificate
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, driver.ErrAcquireConnTimeout), isTimeout(err):
		return backfill.WaitNoAnswer
	case db.unreachable(err):
		return backfill.WaitUnreachable
	}
	return backfill.WaitOther
}

// untrusted recognizes a certificate that is not accepted, by us or by the server.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, alert := errors.AsType[tls.AlertError](err)
	return alert
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Failed says which action failed and why, as trouble with our own store: the caller tries again until it works.
// That holds for errors of type or schema as well: they come from a database that is not migrated (yet), and giving a
// chunk up would not make its candles arrive. A cancelled caller is no trouble of the store and stays unclassified.
func (db *DB) Failed(action string, err error) error {
	if err == nil {
		return nil
	}
	reason := db.waitReason(err)
	err = fmt.Errorf("%s: %w", action, db.explain(err))
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &backfill.ClassError{Class: backfill.ClassStore, Reason: reason, Err: err}
}

// explain is where the server's words enter: what it says of our secrets is taken out, and what to do is put in front.
func (db *DB) explain(err error) error { return db.secrets.Error(db.advise(err)) }

// advise puts what to do in front of errors that have one remedy.
func (db *DB) advise(err error) error {
	if exception, ok := errors.AsType[*driver.Exception](err); ok {
		return db.explainException(exception)
	}
	if untrusted(err) {
		return fmt.Errorf("the certificate of ClickHouse at %s is not trusted (%w): put its authority into this machine's certificates (SSL_CERT_FILE)", db.addr, err)
	}
	if isTimeout(err) && strings.Contains(err.Error(), "handshake") {
		return fmt.Errorf("what listens at %s took the connection and did not answer as ClickHouse (%w): it hangs, or CLICKHOUSE_PORT is not that of its native protocol (9000 by default)", db.addr, err)
	}
	if hint := otherProtocol(err); hint != "" {
		return fmt.Errorf("ClickHouse at %s does not speak its native protocol (%w): %s", db.addr, err, hint)
	}
	if db.unreachable(err) {
		return fmt.Errorf("ClickHouse at %s does not answer (%w): start it, or set CLICKHOUSE_HOST and CLICKHOUSE_PORT to where it runs; quantbot --local needs no server", db.addr, err)
	}
	if errors.Is(err, driver.ErrAcquireConnTimeout) {
		return fmt.Errorf("no connection to ClickHouse at %s became free within %s: %w", db.addr, dialTimeout, err)
	}
	return err
}

// otherProtocol says what to do when something else than the native protocol was spoken; "" when it was not. The driver
// names only the first byte that came: 72 is the H of HTTP/1.1, 21 an alert of TLS.
func otherProtocol(err error) string {
	text := err.Error()
	switch {
	case !strings.Contains(text, "unexpected packet ["):
		return ""
	case strings.Contains(text, "unexpected packet [72]"):
		return "that is the HTTP port; CLICKHOUSE_PORT must be the native one (9000, or 9440 with TLS)"
	case strings.Contains(text, "unexpected packet [21]"):
		return "that port wants TLS; take the one without (9000), or CLICKHOUSE_DSN with secure=true"
	}
	return "set CLICKHOUSE_HOST and CLICKHOUSE_PORT to the native port (9000, or 9440 with TLS)"
}

func (db *DB) explainException(e *driver.Exception) error {
	switch e.Code {
	case codeAuthenticationFailed:
		return fmt.Errorf("ClickHouse at %s refuses user %q: check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD (code %d)", db.addr, db.user, e.Code)
	case codeUnknownDatabase:
		return fmt.Errorf("ClickHouse at %s has no database %q: %w", db.addr, db.database, ErrNoDatabase)
	case codeUnknownTable:
		return fmt.Errorf("%w: %w", e, ErrNoDatabase)
	case codeThrown:
		return ErrMomentGone
	case codeAccessDenied:
		return fmt.Errorf("user %q of ClickHouse at %s lacks a right: %w", db.user, db.addr, e)
	case codeReadonly:
		return fmt.Errorf("user %q of ClickHouse at %s may only read (setting readonly of its profile): %w", db.user, db.addr, e)
	}
	return e
}

// unreachable distinguishes a server that is not there from one that answers badly. A deadline of ours counts as not there only
// while dialing.
func (db *DB) unreachable(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op == "dial" || !op.Timeout()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func isServerCode(err error, code int32) bool {
	exception, ok := errors.AsType[*driver.Exception](err)
	return ok && exception.Code == code
}
