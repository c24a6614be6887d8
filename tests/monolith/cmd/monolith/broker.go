package main

import (
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
)

const flushWait = 5 * time.Second

func natsFlag(set *flag.FlagSet) *string {
	return set.String("nats", os.Getenv("NATS_URL"), "broker `URL`, default $NATS_URL")
}

// connectNATS connects, and keeps reconnecting for ever once it was connected.
func connectNATS(url, name string) (*nats.Conn, error) {
	if url == "" {
		return nil, usagef("no broker: give --nats URL or set NATS_URL")
	}
	connection, err := nats.Connect(url, nats.Name(name), nats.Timeout(5*time.Second), nats.MaxReconnects(-1),
		nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		return nil, fmt.Errorf("the broker at %s does not answer: %w", url, err)
	}
	return connection, nil
}
