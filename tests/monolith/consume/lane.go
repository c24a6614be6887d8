package consume

import (
	"context"
	"errors"
	"hash/fnv"
	"log"

	"cutover/monolith/gate"

	"github.com/nats-io/nats.go"
)

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
