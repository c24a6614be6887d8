package traffic

import (
	"context"
	"math"
	"time"
)

// Pace says how many events are due.
type Pace struct {
	Rate   float64 // events per second on average; 0: as many as possible
	Bursts bool    // a cycle's events come in its first tenth
}

const (
	burstCycle      = 4 * time.Second
	burstShare      = 0.1
	perTransaction  = 200                   // changes at most
	betweenCommits  = 10 * time.Millisecond // at least, below full speed: at high rates several changes share a transaction
	waitWhenNotDue  = 5 * time.Millisecond
	emptyTurnsLimit = 1000
)

// Due returns the number of events that should be out after this time.
func (p Pace) Due(elapsed time.Duration) float64 {
	if p.Rate == 0 {
		return math.Inf(1)
	}
	if !p.Bursts {
		return p.Rate * elapsed.Seconds()
	}
	cycles := math.Floor(elapsed.Seconds() / burstCycle.Seconds())
	within := elapsed.Seconds()/burstCycle.Seconds() - cycles
	return p.Rate * burstCycle.Seconds() * (cycles + math.Min(1, within/burstShare))
}

// Limits of a run; zero for none.
type Limits struct {
	Time   time.Duration
	Events int
}

// Run makes changes at a pace until a limit is reached or the context ends, which is no error.
func (t *Traffic) Run(ctx context.Context, pace Pace, limits Limits) error {
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for written, empty := 0, 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		elapsed := time.Since(start)
		if (limits.Time > 0 && elapsed >= limits.Time) || (limits.Events > 0 && written >= limits.Events) {
			return nil
		}
		wanted := math.Min(math.Floor(pace.Due(elapsed))-float64(written), perTransaction)
		if limits.Events > 0 {
			wanted = math.Min(wanted, float64(limits.Events-written))
		}
		if wanted < 1 {
			timer.Reset(waitWhenNotDue)
			continue
		}
		// A transaction that has begun is finished, so that nothing is half said.
		events, err := t.Change(context.Background(), int(wanted))
		if err != nil {
			return err
		}
		written += events
		if empty++; events > 0 {
			empty = 0
		} else if empty == emptyTurnsLimit {
			return errNothingChanges
		}
		if pace.Rate == 0 || float64(written) < pace.Due(time.Since(start))-perTransaction {
			timer.Reset(0)
		} else {
			timer.Reset(betweenCommits)
		}
	}
}
