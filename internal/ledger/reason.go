package ledger

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// errorCodes are the beginnings of errors by which Redis says what keeps it from doing what it is asked.
var errorCodes = map[string]backfill.WaitReason{
	"OOM": backfill.WaitMemory, "MISCONF": backfill.WaitDisk, "NOPERM": backfill.WaitRights, "READONLY": backfill.WaitRights,
	"NOAUTH": backfill.WaitLogin, "WRONGPASS": backfill.WaitLogin, "LOADING": backfill.WaitOverload, "BUSY": backfill.WaitOverload,
	"CLUSTERDOWN": backfill.WaitUnreachable, "MASTERDOWN": backfill.WaitUnreachable,
}

// Reason says why Redis does not do what it is asked.
func Reason(err error) backfill.WaitReason {
	if refused, ok := errors.AsType[redis.Error](err); ok {
		code, _, _ := strings.Cut(refused.Error(), " ")
		if reason, known := errorCodes[code]; known {
			return reason
		}
		return backfill.WaitOther
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return backfill.WaitCertificate
	}
	op, isOp := errors.AsType[*net.OpError](err)
	timeout, isNet := errors.AsType[net.Error](err) // not every time-out of the client is an OpError
	switch {
	case isOp && op.Op == "dial" && !op.Timeout():
		return backfill.WaitUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout), isNet && timeout.Timeout():
		return backfill.WaitNoAnswer
	case isOp, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return backfill.WaitUnreachable
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return backfill.WaitUnreachable
	}
	return backfill.WaitOther
}
