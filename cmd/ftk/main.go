// Command ftk fine-tunes pretrained ONNX models in Go.
//
// This package holds one file per subcommand: its flags, the calls into the
// library packages, and what it prints. Everything ftk does is done by those
// packages and can be done by a Go program too.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit statuses of ftk.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError marks a command line that asks for something that does not exist:
// ftk ends with exit status 2.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// usagef makes a usageError.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func main() {
	// The first Ctrl-C cancels the context, so that long work can end cleanly
	// and keep what it has; the second one ends the process at once.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string) (status int) {
	defer func() {
		if r := recover(); r != nil {
			status = exitFailed
			fmt.Fprintf(os.Stderr, "ftk: internal error: %v; this is a fault of ftk: please report it with the command line\n", r)
			if os.Getenv("FTK_DEBUG") != "" {
				panic(r)
			}
		}
	}()
	root := newRootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	// An error is one line, whatever a library put into it.
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "ftk: ")
	var file *fs.PathError
	if errors.As(err, &file) { // the name says it; that it was stat or open does not matter
		text = strings.Replace(text, file.Error(), file.Path+": "+file.Err.Error(), 1)
	}
	if ctx.Err() != nil {
		text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	}
	fmt.Fprintln(os.Stderr, "ftk:", text)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}
