// Package consume reads durables of the broker, event by event: one transaction each, ack after its commit.
package consume

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log"
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
	ackWait        = 30 * time.Second
	fetchMax       = 100
	fetchWait      = time.Second
	errorWait      = 250 * time.Millisecond
	ackPendingMax  = 1000
	processTimeout = 5 * time.Minute // an import of a million contacts is one event
)

// Prepare looks the streams up and makes the durables that are not there; call it before Run.
func (c *Consumer) Prepare(ctx context.Context) error {
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
		_, err = c.Broker.AddConsumer(lane.Stream, &nats.ConsumerConfig{Durable: lane.Durable, FilterSubject: lane.Filter,
			AckPolicy: nats.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: ackPendingMax, MaxDeliver: -1})
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

// follow reads one lane until the context ends.
func (c *Consumer) follow(ctx context.Context, lane Lane) error {
	for ctx.Err() == nil {
		subscription, err := c.Broker.PullSubscribe(lane.Filter, lane.Durable, nats.Bind(lane.Stream, lane.Durable))
		if err == nil {
			err = c.fetch(ctx, lane, subscription)
			_ = subscription.Unsubscribe() // of its inbox; the durable stays
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		log.Printf("lane %s: %v; it is looked up again", lane.Name, err)
		pause(ctx, errorWait)
		// Gone with its consumer, or with its stream?
		if err := c.verify(ctx, lane); err != nil {
			return err
		}
	}
	return nil
}

func (c *Consumer) fetch(ctx context.Context, lane Lane, subscription *nats.Subscription) error {
	worked := c.Tally.Worked(lane.Name)
	for ctx.Err() == nil {
		messages, err := subscription.Fetch(fetchMax, nats.MaxWait(fetchWait))
		if err != nil && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		batch := c.read(lane, messages)
		if len(batch) == 0 {
			continue
		}
		before := worked
		if worked = c.Tally.Worked(lane.Name); worked == before && c.skip(ctx, lane, batch) {
			continue
		}
		for _, d := range batch {
			c.dispatch(ctx, d)
		}
	}
	return nil
}

func (c *Consumer) read(lane Lane, messages []*nats.Msg) []delivery {
	batch := make([]delivery, 0, len(messages))
	for _, raw := range messages {
		message, err := gate.NewMessage(raw, lane.Name, c.incarnation(lane.Stream))
		if err != nil {
			log.Printf("lane %s: %v; it is terminated", lane.Name, err)
			_ = raw.Term()
			continue
		}
		batch = append(batch, delivery{message, raw, lane.Name})
	}
	return batch
}

// skip passes over a batch that is the worker's as a whole. Tried while nothing of the lane is ours.
func (c *Consumer) skip(ctx context.Context, lane Lane, batch []delivery) bool {
	messages := make([]*gate.Message, len(batch))
	for i, d := range batch {
		messages[i] = d.message
		if d.message.ReplayPlan != 0 || (i > 0 && d.message.Sequence <= messages[i-1].Sequence) {
			return false
		}
	}
	skipped, err := c.Gate.SkipAll(ctx, c.Database, messages)
	if err != nil || !skipped {
		return false // one by one: that way says what is wrong
	}
	for _, d := range batch {
		_ = d.raw.Ack()
		c.Tally.count(lane.Name, gate.Outcome{Answer: gate.Skip})
	}
	return true
}

// dispatch hands a delivery to the goroutine of its key.
func (c *Consumer) dispatch(ctx context.Context, d delivery) {
	hash := fnv.New32a()
	hash.Write([]byte(d.message.Key()))
	select {
	case c.shards[hash.Sum32()%uint32(len(c.shards))] <- d:
	case <-ctx.Done():
		_ = d.raw.Nak()
	}
}

func (c *Consumer) incarnation(stream string) int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.streams[stream].incarnation
}

// verify makes a durable anew that is gone. A stream that was made anew is an error: nobody may guess.
func (c *Consumer) verify(ctx context.Context, lane Lane) error {
	err := c.prepare(ctx, lane)
	if err == nil || isStreamError(err) {
		return err
	}
	log.Printf("lane %s: %v", lane.Name, err) // the broker or PostgreSQL is away; the loop asks again
	return nil
}

func isStreamError(err error) bool {
	var state interface{ SQLState() string }
	return errors.As(err, &state) && state.SQLState() == "CU002"
}

func (c *Consumer) work(ctx context.Context, shard <-chan delivery, failed chan<- error) {
	for d := range shard {
		if ctx.Err() != nil {
			_ = d.raw.Nak() // handed back at once
			continue
		}
		if err := c.process(ctx, d); err != nil {
			failed <- err
			_ = d.raw.Nak()
		}
	}
}

// process takes one event through its transaction. While PostgreSQL is away it waits with the event in its hands.
func (c *Consumer) process(ctx context.Context, d delivery) error {
	for away := false; ; away = true {
		limited, cancel := context.WithTimeout(context.Background(), processTimeout)
		outcome, err := c.Gate.Process(limited, c.Database, d.message, c.Handle)
		cancel()
		var dependency gate.DependencyError
		switch {
		case err == nil:
			c.Tally.count(d.lane, outcome)
			if outcome.RetryAfter > 0 {
				_ = d.raw.NakWithDelay(outcome.RetryAfter)
			} else {
				_ = d.raw.Ack() // a hint: the commit counts
			}
			return nil
		case errors.As(err, &dependency):
			if !away {
				log.Printf("lane %s: %v; waiting for it", d.lane, err)
			}
			_ = d.raw.InProgress()
			pause(ctx, errorWait)
			if ctx.Err() != nil {
				_ = d.raw.Nak()
				return nil
			}
		default:
			return err
		}
	}
}

func pause(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
