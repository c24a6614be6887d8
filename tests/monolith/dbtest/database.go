// Package dbtest gives a test a database of its own with schema app and cutover's tables.
package dbtest

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v4/pgxpool"
)

// New makes a database from cutover_template on the server that the file $CUTOVER_TEST_ENV names, and drops it with the
// test. Without that variable the test is skipped.
func New(t *testing.T) *pgxpool.Pool {
	t.Helper()
	server := serverURL(t)
	name := fmt.Sprintf("monolith_test_%d_%d", os.Getpid(), time.Now().UnixNano())
	admin := open(t, server, "postgres")
	if _, err := admin.Exec(context.Background(), "CREATE DATABASE "+name+" TEMPLATE cutover_template"); err != nil {
		t.Fatal(err)
	}
	pool := open(t, server, name)
	t.Cleanup(func() {
		pool.Close()
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		admin.Close()
	})
	return pool
}

// Run runs statements and fails the test on an error.
func Run(t *testing.T, pool *pgxpool.Pool, sql string, arguments ...interface{}) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), sql, arguments...); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func serverURL(t *testing.T) *url.URL {
	t.Helper()
	path := os.Getenv("CUTOVER_TEST_ENV")
	if path == "" {
		t.Skip("CUTOVER_TEST_ENV names no servers")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if text := strings.TrimPrefix(lines.Text(), "PG_URL="); text != lines.Text() {
			server, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			return server
		}
	}
	t.Fatalf("%s has no PG_URL", path)
	return nil
}

func open(t *testing.T, server *url.URL, database string) *pgxpool.Pool {
	t.Helper()
	named := *server
	named.Path = "/" + database
	config, err := pgxpool.ParseConfig(named.String())
	if err != nil {
		t.Fatal(err)
	}
	config.MaxConns = 4
	pool, err := pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}
