// Package consume reads durables of the broker, event by event: one transaction each, ack after its commit.
package consume

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4/pgxpool"
	"github.com/nats-io/nats.go"
)

// Lane is one durable.
type Lane struct {
	Name    string
	Stream  string
	Filter  string
	Durable string
	AckWait time.Duration // of a durable that is made; 0: 30 s
}

// Consumer feeds the events of its lanes to a handler. One key is never worked on twice at a time.
type Consumer struct {
	Gate        *gate.Gate
	Database    *pgxpool.Pool
	Broker      nats.JetStreamContext
	Lanes       []Lane
	Handle      gate.Handler
	Concurrency int
	Tally       *Tally

	mutex   sync.Mutex
	streams map[string]stream // guarded by mutex
	shards  []chan delivery
}

type stream struct {
	createdAt   time.Time
	incarnation int
}

type delivery struct {
	message *gate.Message
	raw     *nats.Msg
	lane    string
}

const (
	ackWait   = 30 * time.Second
	fetchMax  = 100
	fetchWait = time.Second
	errorWait = 250 * time.Millisecond
	// Events that wait for an earlier version count: at 1,000 they kept a seized backlog from being delivered, which came
	// behind them.
	ackPendingMax  = 10000
	processTimeout = 5 * time.Minute // an import of a million contacts is one event
)

// Prepare makes the worker known, looks the streams up and makes the durables that are not there; call it before Run.
func (c *Consumer) Prepare(ctx context.Context) error {
	if err := c.Gate.Register(ctx, c.Database); err != nil {
		return err
	}
	c.streams = map[string]stream{}
	for _, lane := range c.Lanes {
		if err := c.prepare(ctx, lane); err != nil {
			return err
		}
	}
	return nil
}

func (c *Consumer) prepare(ctx context.Context, lane Lane) error {
	info, err := c.Broker.StreamInfo(lane.Stream)
	if errors.Is(err, nats.ErrStreamNotFound) {
		return fmt.Errorf("the broker has no stream %s; cutover streams apply makes it", lane.Stream)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", lane.Stream, err)
	}
	incarnation, err := gate.Incarnation(ctx, c.Database, lane.Stream, info.Created)
	if err != nil {
		return err
	}
	c.mutex.Lock()
	c.streams[lane.Stream] = stream{info.Created, incarnation}
	c.mutex.Unlock()
	_, err = c.Broker.ConsumerInfo(lane.Stream, lane.Durable)
	if errors.Is(err, nats.ErrConsumerNotFound) {
		wait := lane.AckWait
		if wait == 0 {
			wait = ackWait
		}
		_, err = c.Broker.AddConsumer(lane.Stream, &nats.ConsumerConfig{Durable: lane.Durable,
			FilterSubject: lane.Filter, AckPolicy: nats.AckExplicitPolicy, AckWait: wait,
			MaxAckPending: ackPendingMax, MaxDeliver: -1})
	}
	if err != nil {
		return fmt.Errorf("durable %s of stream %s: %w", lane.Durable, lane.Stream, err)
	}
	return nil
}

// Run works until the context ends, which is no error: what has begun is finished, what has not is handed back.
func (c *Consumer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(c.Lanes)+c.Concurrency+1)
	c.shards = make([]chan delivery, c.Concurrency)
	var readers, workers sync.WaitGroup
	for i := range c.shards {
		c.shards[i] = make(chan delivery, 8)
		workers.Add(1)
		go func(shard <-chan delivery) {
			defer workers.Done()
			c.work(ctx, shard, failed)
		}(c.shards[i])
	}
	for _, lane := range c.Lanes {
		readers.Add(1)
		go func(lane Lane) {
			defer readers.Done()
			if err := c.follow(ctx, lane); err != nil {
				failed <- err
			}
		}(lane)
	}
	readers.Add(1)
	go func() {
		defer readers.Done()
		if err := c.report(ctx); err != nil {
			failed <- err
		}
	}()
	var err error
	select {
	case err = <-failed:
		cancel()
	case <-ctx.Done():
	}
	readers.Wait()
	for _, shard := range c.shards {
		close(shard)
	}
	workers.Wait()
	return err
}
