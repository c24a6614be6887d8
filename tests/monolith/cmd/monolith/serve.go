package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"cutover/monolith/consume"
	"cutover/monolith/gate"
	"cutover/monolith/search"
)

// build names this program in cutover.instances; set by the linker.
var build = "unknown"

// The durables of the monolith's search, one for each subject family that documents depend on, and its replays.
func searchLanes() []consume.Lane {
	var lanes []consume.Lane
	for _, lane := range []struct{ name, stream, filter string }{
		{"contact", "CONTACT", "contact.>"},
		{"policy", "CORE", "policy.>"},
		{"profile", "CORE", "profile.>"},
		{"identity", "CORE", "identity.>"},
		{"channel", "CORE", "channel.>"},
		{"replay", "REPLAY", "replay.search-projector.monolith.*"},
	} {
		lanes = append(lanes, consume.Lane{Name: lane.name, Stream: lane.stream, Filter: lane.filter,
			Durable: "monolith-search-" + lane.name})
	}
	return lanes
}

func serve(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("serve")
	side := newServing(set, "monolith serve", pgURL)
	if err := parse(set, arguments); err != nil {
		return err
	}
	return side.run(ctx, gate.Gate{Worker: "search-projector", Events: search.Events}, searchLanes(), search.Apply)
}

// serving is what every command needs that consumes: servers, a name, threads.
type serving struct {
	application    string
	pgURL, natsURL *string
	instance       *string
	concurrency    *int
}

func newServing(set *flag.FlagSet, application string, pgURL *string) *serving {
	host, err := os.Hostname()
	if err != nil {
		host = "monolith"
	}
	return &serving{application, pgURL, natsFlag(set),
		set.String("instance", fmt.Sprintf("monolith-%s-%d", host, os.Getpid()), "`name` of this process, unique"),
		set.Int("concurrency", 4, "`number` of events at a time, 1 to 64")}
}

// run consumes until the context ends.
func (s *serving) run(ctx context.Context, side gate.Gate, lanes []consume.Lane, handle gate.Handler) error {
	if *s.concurrency < 1 || *s.concurrency > 64 {
		return usagef("--concurrency: %d is not from 1 to 64", *s.concurrency)
	}
	if strings.TrimSpace(*s.instance) == "" {
		return usagef("--instance: it is empty")
	}
	side.Instance, side.Build = *s.instance, build
	log.SetFlags(log.LUTC | log.Ldate | log.Lmicroseconds)
	pool, err := connect(ctx, *s.pgURL, s.application, int32(*s.concurrency)+3)
	if err != nil {
		return err
	}
	defer pool.Close()
	broker, err := connectNATS(*s.natsURL, s.application)
	if err != nil {
		return err
	}
	defer broker.Close()
	stream, err := broker.JetStream()
	if err != nil {
		return err
	}
	consumer := &consume.Consumer{Gate: &side, Database: pool, Broker: stream, Lanes: lanes, Handle: handle,
		Concurrency: *s.concurrency, Tally: consume.NewTally()}
	if err := consumer.Prepare(ctx); err != nil {
		return err
	}
	log.Printf("serving as %s", *s.instance)
	if err := consumer.Run(ctx); err != nil {
		return err
	}
	if err := broker.FlushTimeout(flushWait); err != nil { // the last acks
		log.Printf("flush: %v", err)
	}
	return printJSON(consumer.Tally.Counts())
}
