// Command live is a tool for applications that use package live.
//
//	go run github.com/swampline/live/cmd/live types [-func LiveHub] [-import module] [-o file] [packages]
//
// The subcommand types writes the TypeScript types of an application's routers, see package typescript. It looks in the packages, the
// one of the directory by default, for an exported func without parameters that makes the hub and registers its routers:
//
//	func LiveHub() *live.Hub
//
// and runs it, in a program of its own that is compiled inside of the module; no file of the module is written but that of -o. The func
// is run where the go command is, with its environment; what it prints goes to the standard error.
//
// A package main cannot be imported, and a func in a test file is not found. Where that, or a vendor directory without package
// typescript, is in the way, or Options are wanted, write the five lines that package typescript shows.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = "usage: live types [-func LiveHub] [-import module] [-o file] [packages]"

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "live:", err)
		os.Exit(1)
	}
}

// errUsage is a wrong command line.
var errUsage = errors.New(usage)

// run is the command.
func run(args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	if args[0] != "types" {
		return fmt.Errorf("no subcommand %q\n%w", args[0], errUsage)
	}
	var t typesCommand
	flags := flag.NewFlagSet("live types", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&t.name, "func", "LiveHub", "the `name` of the func that returns the hub")
	flags.StringVar(&t.module, "import", "", "the `module` that the client's types come from (default \"@swampline/live\")")
	out := flags.String("o", "", "the `file` to write, instead of the standard output")
	flags.Usage = func() {
		fmt.Fprintln(stderr, usage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w\n%w", err, errUsage)
	}
	t.patterns, t.stderr = flags.Args(), stderr
	text, err := t.run()
	if err != nil {
		return err
	}
	if *out == "" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(*out, text, 0o666)
}
