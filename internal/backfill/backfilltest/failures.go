package backfilltest

import "sync"

// failures makes calls fail that a test names.
type failures struct {
	mu     sync.Mutex
	before map[string]func() error
}

// Fail makes calls of a method return the error, without any effect, until it is called again with nil.
func (f *failures) Fail(method string, err error) {
	f.Before(method, func() error { return err })
}

// Before has do called at the beginning of each call of a method, which has no effect and returns the error if it is not nil. Several
// goroutines may call it at a time.
func (f *failures) Before(method string, do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before == nil {
		f.before = make(map[string]func() error)
	}
	f.before[method] = do
}

func (f *failures) fail(method string) error {
	f.mu.Lock()
	do := f.before[method]
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do()
}
