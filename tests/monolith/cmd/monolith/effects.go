package main

import (
	"context"
	"strings"
	"time"

	"cutover/monolith/consume"
	"cutover/monolith/effects"
	"cutover/monolith/gate"
)

// effectsCommand consumes one stream in the name of any worker, for tests that count what was applied.
func effectsCommand(ctx context.Context, arguments []string) error {
	set, pgURL := newFlags("effects")
	side := newServing(set, "monolith effects", pgURL)
	worker := set.String("worker", "", "`name` of the worker whose events these are")
	stream := set.String("stream", "", "`name` of the stream")
	filter := set.String("filter", "", "`subjects` of it, such as contact.>")
	events := set.String("events", "", "`names` of the events that are handled, with commas")
	emit := set.String("emit", "out.effect_noted", "`name` of the outgoing event")
	ackWait := set.Duration("ack-wait", 30*time.Second, "redelivery of what was not acknowledged after this `time`")
	if err := parse(set, arguments); err != nil {
		return err
	}
	for name, value := range map[string]string{"worker": *worker, "stream": *stream, "filter": *filter, "events": *events} {
		if value == "" {
			return usagef("--%s is missing", name)
		}
	}
	handled := map[string]bool{}
	for _, name := range strings.Split(*events, ",") {
		handled[name] = true
	}
	lanes := []consume.Lane{
		{Name: "main", Stream: *stream, Filter: *filter, Durable: "monolith-" + *worker + "-main", AckWait: *ackWait},
		{Name: "replay", Stream: "REPLAY", Filter: "replay." + *worker + ".monolith.*",
			Durable: "monolith-" + *worker + "-replay"},
	}
	return side.run(ctx, domain{gate.Gate{Worker: *worker, Events: handled}, lanes, effects.Handler(*emit), nil})
}
