//go:build !linux

package local

import "errors"

// confine has nothing to work with; libchdb is for Linux.
func confine(string) error { return errors.ErrUnsupported }
