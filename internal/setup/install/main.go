// Command install is what `make deps` runs: it installs the components named,
// those that are missing, and says for each where it is.
//
//	go run ./internal/setup/install [-try NAME,NAME] NAME...
//
// A component after -try may fail: the failure is printed, and the exit status
// stays 0. With -where NAME it installs nothing and prints where the component
// is, with exit status 1 if it is missing.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/ftk-go/ftk/internal/setup"
)

func main() {
	try := flag.String("try", "", "components that may fail, separated by commas")
	where := flag.String("where", "", "print where this component is")
	flag.Parse()
	if *where != "" {
		os.Exit(tell(*where))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, flag.Args(), strings.FieldsFunc(*try, func(r rune) bool { return r == ',' })))
}

func tell(name string) (status int) {
	component, err := setup.Find(name)
	if err == nil && component.Where() == "" {
		err = fmt.Errorf("%s is not installed; run: make deps", name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "deps:", err)
		return 1
	}
	fmt.Println(component.Where())
	return 0
}

func run(ctx context.Context, needed, tried []string) (status int) {
	for _, name := range append(slices.Clone(needed), tried...) {
		component, err := setup.Find(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "deps:", err)
			return 2
		}
		if err := component.Ensure(ctx, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "deps:", err)
			if slices.Contains(needed, name) {
				status = 1
			}
		}
	}
	return status
}
