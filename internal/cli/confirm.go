package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm asks a question unless yes was given. Without an answer nothing is done.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := a.readAnswer(ctx)
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, errors.New("interrupted: nothing was done")}
	case answer == "y" || answer == "yes":
		return nil
	case err != nil && answer == "":
		return &exitError{exitRefused, errors.New("nobody answered: nothing was done; give --yes to go on without being asked")}
	}
	return &exitError{exitRefused, errors.New("nothing was done")}
}

// longestAnswer is far more than yes takes; what comes without an end is not read on.
const longestAnswer = 1 << 10

// readAnswer reads a line in a goroutine of its own: reading a terminal does not heed a context, and Ctrl-C must end the
// question. The goroutine stays behind with the process.
func (a *app) readAnswer(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, longestAnswer)).ReadString('\n')
		answers <- answer{line, err}
	}()
	select {
	case got := <-answers:
		return strings.ToLower(strings.TrimSpace(got.line)), got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
