package consume

import (
	"context"
	"errors"
	"log"
	"time"

	"cutover/monolith/gate"
)

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
