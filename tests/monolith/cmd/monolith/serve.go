package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"cutover/monolith/consume"
	"cutover/monolith/dispute"
	"cutover/monolith/gate"
	"cutover/monolith/registry"
	"cutover/monolith/score"
	"cutover/monolith/search"

	"github.com/jackc/pgx/v4/pgxpool"
)

// build names this program in cutover.instances; set by the linker.
var build = "unknown"

// domain is work that leaves the monolith one day: whose events, through which durables, by which rules.
type domain struct {
	gate   gate.Gate
	lanes  []consume.Lane
	handle gate.Handler
	beside func(context.Context, *pgxpool.Pool) error // runs beside its lanes; nil: nothing
}

// lanesOf are durables named monolith-<domain>-<lane>, and that of the replays of the worker's name.
func lanesOf(domain, worker string, filters [][3]string) []consume.Lane {
	var lanes []consume.Lane
	for _, lane := range append(filters, [3]string{"replay", "REPLAY", "replay." + worker + ".monolith.*"}) {
		lanes = append(lanes, consume.Lane{Name: lane[0], Stream: lane[1], Filter: lane[2],
			Durable: "monolith-" + domain + "-" + lane[0]})
	}
	return lanes
}

// One durable for each subject family that documents depend on.
func searchDomain() domain {
	return domain{gate.Gate{Worker: "search-projector", Events: search.Events},
		lanesOf("search", "search-projector", [][3]string{
			{"contact", "CONTACT", "contact.>"},
			{"policy", "CORE", "policy.>"},
			{"profile", "CORE", "profile.>"},
			{"identity", "CORE", "identity.>"},
			{"channel", "CORE", "channel.>"},
		}), search.Apply, nil}
}

func scoreDomain() domain {
	return domain{gate.Gate{Worker: "score-orchestrator", Events: score.Events},
		lanesOf("score", "score-orchestrator", [][3]string{{"request", "GRAPH", "score.recompute_requested"}}), score.Apply, score.Daily}
}

func disputeDomain() domain {
	filters := [][3]string{
		{"urgent", "CORE", "security.*.urgent"},
		{"normal", "CORE", "security.*.normal"},
		{"plain", "CORE", "security.*"},
	}
	for _, lane := range []string{"p0", "p1", "p2", "p3"} {
		filters = append(filters, [3]string{lane, "CORE", "dispute.*." + lane})
	}
	return domain{gate.Gate{Worker: "dispute-processor", Events: dispute.Events, Ordered: true},
		lanesOf("dispute", "dispute-processor", filters), dispute.Apply, nil}
}

var domains = map[string]func() domain{"search": searchDomain, "score": scoreDomain, "dispute": disputeDomain}

func serve(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("serve")
	side := newServing(set, "monolith serve", pgURL)
	named := set.String("domains", "search", "`what` it does, with commas: search, score, dispute")
	if err := parse(set, arguments); err != nil {
		return err
	}
	var chosen []domain
	for _, name := range strings.Split(*named, ",") {
		side.answers = side.answers || strings.TrimSpace(name) == "dispute"
		make := domains[strings.TrimSpace(name)]
		if make == nil {
			return usagef("--domains: unknown domain %q", name)
		}
		chosen = append(chosen, make())
	}
	return side.run(ctx, chosen...)
}

// serving is what every command needs that consumes: servers, a name, threads.
type serving struct {
	application    string
	pgURL, natsURL *string
	instance       *string
	concurrency    *int
	answers        bool // to what cases ask of channels, whoever decides cases
}

func newServing(set *flag.FlagSet, application string, pgURL *string) *serving {
	host, err := os.Hostname()
	if err != nil {
		host = "monolith"
	}
	return &serving{application: application, pgURL: pgURL, natsURL: natsFlag(set),
		instance:    set.String("instance", fmt.Sprintf("monolith-%s-%d", host, os.Getpid()), "`name` of this process, unique"),
		concurrency: set.Int("concurrency", 4, "`number` of events at a time, 1 to 64")}
}

// run consumes until the context ends. Several domains are several instances: <name>, <name>-2, ...
func (s *serving) run(ctx context.Context, domains ...domain) error {
	if *s.concurrency < 1 || *s.concurrency > 64 {
		return usagef("--concurrency: %d is not from 1 to 64", *s.concurrency)
	}
	if strings.TrimSpace(*s.instance) == "" {
		return usagef("--instance: it is empty")
	}
	log.SetFlags(log.LUTC | log.Ldate | log.Lmicroseconds)
	pool, err := connect(ctx, *s.pgURL, s.application, int32(len(domains)*(*s.concurrency+3)+1))
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
	tally := consume.NewTally()
	var consumers []*consume.Consumer
	for i := range domains {
		side := domains[i].gate
		side.Instance, side.Build = *s.instance, build
		if i > 0 {
			side.Instance = fmt.Sprintf("%s-%d", *s.instance, i+1)
		}
		consumer := &consume.Consumer{Gate: &side, Database: pool, Broker: stream, Lanes: domains[i].lanes,
			Handle: domains[i].handle, Concurrency: *s.concurrency, Tally: tally}
		if err := consumer.Prepare(ctx); err != nil {
			return err
		}
		consumers = append(consumers, consumer)
	}
	runs := make([]func(context.Context) error, len(consumers))
	for i, consumer := range consumers {
		runs[i] = consumer.Run
	}
	for i := range domains {
		if domains[i].beside != nil {
			beside := domains[i].beside
			runs = append(runs, func(ctx context.Context) error { return beside(ctx, pool) })
		}
	}
	if s.answers {
		answers := &registry.Registry{Database: pool, Broker: stream}
		if err := answers.Prepare(); err != nil {
			return err
		}
		runs = append(runs, answers.Run)
	}
	log.Printf("serving as %s", *s.instance)
	if err := runAll(ctx, runs); err != nil {
		return err
	}
	if err := broker.FlushTimeout(flushWait); err != nil { // the last acks
		log.Printf("flush: %v", err)
	}
	return printJSON(tally.Counts())
}

// runAll ends all when one fails.
func runAll(ctx context.Context, runs []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(runs))
	for _, run := range runs {
		go func(run func(context.Context) error) { ended <- run(ctx) }(run)
	}
	var first error
	for range runs {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}
