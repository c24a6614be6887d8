package consume

import (
	"context"
	"errors"
	"log"
	"math"
	"sync"
	"time"

	"cutover/monolith/gate"

	"github.com/nats-io/nats.go"
)

// Tally counts how deliveries ended; safe for many goroutines.
type Tally struct {
	mutex  sync.Mutex
	counts map[string]int // guarded by mutex, like the next
	worked map[string]int // by lane: those that were not skipped
}

// NewTally counts from 0.
func NewTally() *Tally { return &Tally{counts: map[string]int{}, worked: map[string]int{}} }

var outcomes = map[gate.Class]string{gate.Applied: "applied", gate.Duplicated: "duplicates",
	gate.NotAddressed: "not_addressed",
	gate.DeadLettered: "dead_letters", gate.GivenBack: "retries"}

func (t *Tally) count(lane string, outcome gate.Outcome) {
	name := outcomes[outcome.Class]
	switch outcome.Answer {
	case gate.Skip:
		name = "skipped"
	case gate.Settled:
		name = "settled_before"
	case gate.Wait:
		name = "waiting"
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.counts[name]++
	if outcome.Answer != gate.Skip {
		t.worked[lane]++
	}
}

// Worked returns how many deliveries of a lane were not skipped.
func (t *Tally) Worked(lane string) int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.worked[lane]
}

// Counts returns them by outcome.
func (t *Tally) Counts() map[string]int {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	copied := map[string]int{}
	for name, count := range t.counts {
		copied[name] = count
	}
	return copied
}

// laneReport is one lane in the heartbeat. Stream and durable tell an audit through which consumer this side sees events.
type laneReport struct {
	Stream     string `json:"stream"`
	Durable    string `json:"durable"`
	Pending    uint64 `json:"pending"`
	AckPending int    `json:"ack_pending"`
}

// report writes the heartbeat and how far the streams are settled, until the context ends.
func (c *Consumer) report(ctx context.Context) error {
	heart, err := gate.NewHeart(ctx, c.Database, c.Gate)
	if err != nil {
		return err
	}
	defer func() {
		if err := heart.Stop(context.Background()); err != nil {
			log.Printf("heartbeat: %v", err)
		}
	}()
	for ctx.Err() == nil {
		lanes, err := c.progress(ctx)
		if err != nil {
			if isStreamError(err) {
				return err
			}
			log.Printf("progress: %v", err)
		}
		if err := heart.Beat(ctx, true, map[string]interface{}{"lanes": lanes}); err != nil && ctx.Err() == nil {
			log.Printf("heartbeat: %v", err)
		}
		pause(ctx, gate.BeatEvery)
	}
	return nil
}

// progress asks the broker how far each lane is, and records for each stream the time before which all is settled.
func (c *Consumer) progress(ctx context.Context) (map[string]laneReport, error) {
	lanes := map[string]laneReport{}
	settled, below := map[string]time.Time{}, map[string]int64{}
	for _, lane := range c.Lanes {
		if err := c.prepare(ctx, lane); err != nil {
			return lanes, err
		}
		asked := time.Now()
		info, err := c.Broker.ConsumerInfo(lane.Stream, lane.Durable)
		if err != nil {
			return lanes, err
		}
		lanes[lane.Name] = laneReport{lane.Stream, lane.Durable, info.NumPending, info.NumAckPending}
		through, first := asked, int64(math.MaxInt64)
		if info.NumPending > 0 || info.NumAckPending > 0 {
			if through, err = c.publishedAt(lane.Stream, info.AckFloor.Stream+1); err != nil {
				return lanes, err
			}
			first = int64(info.AckFloor.Stream) + 1
		}
		if lowest, any := below[lane.Stream]; !any || first < lowest {
			below[lane.Stream] = first
		}
		if known, any := settled[lane.Stream]; !any || through.Before(known) {
			settled[lane.Stream] = through
		}
	}
	for stream, through := range settled {
		if err := c.Gate.SettledBefore(ctx, c.Database, stream, c.incarnation(stream), through); err != nil {
			return lanes, err
		}
		if err := c.Gate.SettledBelow(ctx, c.Database, stream, c.incarnation(stream), below[stream]); err != nil {
			return lanes, err
		}
	}
	return lanes, nil
}

// publishedAt returns the time of the first message at or above a sequence; one that has expired counts as the oldest.
func (c *Consumer) publishedAt(stream string, sequence uint64) (time.Time, error) {
	message, err := c.Broker.GetMsg(stream, sequence)
	if errors.Is(err, nats.ErrMsgNotFound) {
		info, err := c.Broker.StreamInfo(stream)
		if err != nil {
			return time.Time{}, err
		}
		return info.State.FirstTime, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return message.Time, nil
}
