package wiring

import (
	"errors"
	"fmt"
	"syscall"
)

// ListenError says in words why nothing can be served at the address, and which flag chooses another one.
func ListenError(flag, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s %s: another program listens there: choose another port, or 0 for a free one", flag, address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s %s: this user may not listen there: choose a port above 1023", flag, address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s %s: this machine does not have the address: 127.0.0.1 is itself, 0.0.0.0 all of its addresses", flag, address)
	}
	return fmt.Errorf("%s %s: %w", flag, address, err)
}
