package main

import (
	"context"
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
	natsURL := natsFlag(set)
	host, err := os.Hostname()
	if err != nil {
		host = "monolith"
	}
	instance := set.String("instance", fmt.Sprintf("monolith-%s-%d", host, os.Getpid()),
		"`name` of this process, unique")
	concurrency := set.Int("concurrency", 4, "`number` of events at a time, 1 to 64")
	if err := parse(set, arguments); err != nil {
		return err
	}
	if *concurrency < 1 || *concurrency > 64 {
		return usagef("--concurrency: %d is not from 1 to 64", *concurrency)
	}
	if strings.TrimSpace(*instance) == "" {
		return usagef("--instance: it is empty")
	}
	log.SetFlags(log.LUTC | log.Ldate | log.Lmicroseconds)
	pool, err := connect(ctx, *pgURL, "monolith serve", int32(*concurrency)+3)
	if err != nil {
		return err
	}
	defer pool.Close()
	broker, err := connectNATS(*natsURL, "monolith serve")
	if err != nil {
		return err
	}
	defer broker.Close()
	stream, err := broker.JetStream()
	if err != nil {
		return err
	}
	consumer := &consume.Consumer{
		Gate:     &gate.Gate{Worker: "search-projector", Instance: *instance, Build: build, Events: search.Events},
		Database: pool, Broker: stream, Lanes: searchLanes(), Handle: search.Apply, Concurrency: *concurrency,
		Tally: consume.NewTally(),
	}
	if err := consumer.Prepare(ctx); err != nil {
		return err
	}
	log.Printf("serving as %s", *instance)
	if err := consumer.Run(ctx); err != nil {
		return err
	}
	if err := broker.FlushTimeout(flushWait); err != nil { // the last acks
		log.Printf("flush: %v", err)
	}
	return printJSON(consumer.Tally.Counts())
}
