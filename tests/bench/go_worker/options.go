package worker

import (
	"flag"
	"runtime/debug"
)

// Collecting less often takes a third off the CPU of the batched worker, for 20 MiB more.
const gcPercent = 400

// Options are the same for both workers.
type Options struct {
	Nats, Postgres, Stream, Durable string
	Events                          int64
	Goroutines, LatencySkip         int
}

// ParseOptions reads the command line and tunes the garbage collector.
func ParseOptions(goroutines int) Options {
	var o Options
	flag.StringVar(&o.Nats, "nats", "nats://127.0.0.1:4222", "address of the broker")
	flag.StringVar(&o.Postgres, "postgres", "dbname=postgres", "libpq connection string")
	flag.StringVar(&o.Stream, "stream", "CORE", "stream")
	flag.StringVar(&o.Durable, "durable", "bench-main", "durable consumer")
	flag.Int64Var(&o.Events, "events", 50000, "ends after so many deliveries")
	flag.IntVar(&o.Goroutines, "goroutines", goroutines, "goroutines, each with a connection")
	flag.IntVar(&o.LatencySkip, "latency-skip", 0, "first events without latency")
	flag.Parse()
	debug.SetGCPercent(gcPercent)
	return o
}
