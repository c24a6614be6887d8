// Command monolith stands in for the Go backend that the workers leave: it owns schema app, writes the outbox and
// consumes the same streams by its own code.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
)

const usage = `usage: monolith COMMAND [OPTIONS]
  seed    fill schema app with a world          monolith seed --world 1000 --seed 7
  load    change it and write the outbox        monolith load --rate 1000 --seconds 10 --seed 7
          (cutover relay publishes it)
  serve   consume the streams, event by event   monolith serve
  score   compute the network scores            monolith score --as-of 2026-01-31T00:00:00Z --out scores.csv
  effects count what is applied, for tests      monolith effects --worker search-projector --stream CONTACT
                                                  --filter 'contact.>' --events contact.edge_upserted
Every command takes --pg URL, serve and effects --nats URL as well; the defaults are $PG_URL and $NATS_URL.
monolith COMMAND --help lists the options. Exit status: 0 done, 1 failed, 2 wrong usage.
`

// A usageError is the caller's mistake: exit status 2.
type usageError struct{ error }

func usagef(format string, arguments ...interface{}) error {
	return usageError{fmt.Errorf(format, arguments...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "monolith: error: %v\n", err)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "monolith: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return usagef("no command")
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "seed":
		return seed(ctx, rest)
	case "load":
		return load(ctx, rest)
	case "serve":
		return serve(ctx, rest)
	case "score":
		return scoreCommand(ctx, rest)
	case "effects":
		return effectsCommand(ctx, rest)
	case "--help", "-h", "help":
		fmt.Print(usage)
		return nil
	default:
		fmt.Fprint(os.Stderr, usage)
		return usagef("unknown command %q", command)
	}
}

// parse reads the options of a command; a wrong one is a usageError. --help lists them on standard output.
func parse(set *flag.FlagSet, arguments []string) error {
	set.SetOutput(io.Discard)
	err := set.Parse(arguments)
	switch {
	case errors.Is(err, flag.ErrHelp):
		set.SetOutput(os.Stdout)
		fmt.Printf("usage: %s [OPTIONS]\n", set.Name())
		set.PrintDefaults()
		return err
	case err != nil:
		return usagef("%s: %v; --help lists the options", set.Name(), err)
	case set.NArg() > 0:
		return usagef("%s: unexpected argument %q", set.Name(), set.Arg(0))
	}
	return nil
}

func newFlags(command string) (set *flag.FlagSet, pgURL *string) {
	set = flag.NewFlagSet("monolith "+command, flag.ContinueOnError)
	pgURL = set.String("pg", os.Getenv("PG_URL"), "PostgreSQL `URL`, default $PG_URL")
	return set, pgURL
}

// connect opens a pool whose sessions ask as the given application.
func connect(ctx context.Context, url, application string, connections int32) (*pgxpool.Pool, error) {
	if url == "" {
		return nil, usagef("no database: give --pg URL or set PG_URL")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, usagef("--pg: %v", err)
	}
	config.MaxConns = connections
	config.ConnConfig.ConnectTimeout = 5 * time.Second
	config.ConnConfig.RuntimeParams["application_name"] = application
	pool, err := pgxpool.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not answer: %w", err)
	}
	return pool, nil
}

// printJSON writes one line.
func printJSON(value interface{}) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Println(strings.TrimSpace(string(line)))
	return err
}
