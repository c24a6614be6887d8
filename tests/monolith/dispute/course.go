package dispute

import (
	"encoding/json"
	"time"
)

// Kinds of case events.
const (
	opened   = "opened"
	evidence = "evidence"
	reopened = "reopened"
)

// Causes of an evaluation.
const (
	byOpening  = "opened"
	byEvidence = "evidence"
	byHoldEnd  = "hold_ended"
	byCooling  = "cooling_ended"
)

const holdExtension = 24 * time.Hour

// moment is a case event.
type moment struct {
	version  int64
	kind     string
	material bool
	at       time.Time
	evidence json.RawMessage
}

// course is how a case goes, by the times of its events alone: the same events take the same course whenever somebody gets
// round to them. It starts from what stands and notes what happens.
type course struct {
	caseType, severity string
	routedLane         int

	decidedVersion int64
	evaluations    int
	baseLane       int
	rule, outcome  string // of the last decision
	actions        []string
	holdUntil      time.Time // of the hold that runs; zero: none does
	holdRule       string    // of the last hold, running or over
	holdExtended   bool
	decideAt       time.Time // zero: nothing is to be decided again
	over           bool      // the outcome has taken effect
	known          Evidence

	happened []happening
}

// happening is one of evaluated, holdStarted, holdExtended, holdEnded, tookEffect, appealed.
type happening interface{}

type evaluated struct {
	number   int
	version  int64
	cause    string
	asOf     time.Time
	decision Decision
}

type (
	holdStarted   struct{ at, until time.Time }
	holdProlonged struct{ at, until time.Time }
	holdEnded     struct{ at time.Time }
	tookEffect    struct{ at time.Time }
	appealed      struct{ at time.Time }
)

func (c *course) note(h happening) { c.happened = append(c.happened, h) }

func (c *course) final() bool {
	return c.outcome == resolve || c.outcome == reject || c.outcome == dismiss
}

// pass ends the holds and coolings that end at a time or before it.
func (c *course) pass(at time.Time) {
	for !c.over {
		switch {
		case !c.decideAt.IsZero() && !c.decideAt.After(at):
			cause := byHoldEnd
			if c.outcome == wait {
				cause = byCooling
			} else {
				c.endHold()
			}
			c.evaluate(cause, c.decideAt)
		case !c.holdUntil.IsZero() && !c.holdUntil.After(at):
			ended := c.endHold()
			if c.final() {
				c.takeEffect(ended)
			}
		default:
			return
		}
	}
}

func (c *course) endHold() time.Time {
	ended := c.holdUntil
	c.holdUntil = time.Time{}
	c.note(holdEnded{ended})
	return ended
}

func (c *course) takeEffect(at time.Time) {
	c.over = true
	c.note(tookEffect{at})
}

// take is the next event of the case.
func (c *course) take(m moment) error {
	c.pass(m.at)
	c.decidedVersion = m.version
	switch m.kind {
	case opened:
		if _, err := c.known.Take(c.caseType, m.evidence, true); err != nil {
			return err
		}
		c.evaluate(byOpening, m.at)
	case evidence:
		if _, err := c.known.Take(c.caseType, m.evidence, false); err != nil {
			return err
		}
		switch {
		case !m.material || c.over:
		case c.holdUntil.After(m.at):
			if !c.holdExtended {
				c.holdExtended = true
				c.holdUntil = c.holdUntil.Add(holdExtension)
				c.note(holdProlonged{m.at, c.holdUntil})
			}
			c.decideAt = c.holdUntil
		default:
			c.evaluate(byEvidence, m.at)
		}
	case reopened:
		if c.over {
			c.note(appealed{m.at})
		}
	}
	return nil
}

func (c *course) evaluate(cause string, at time.Time) {
	d := Decide(c.caseType, c.severity, c.known, at)
	c.evaluations++
	c.note(evaluated{c.evaluations, c.decidedVersion, cause, at, d})
	c.rule, c.outcome, c.actions, c.decideAt = d.Rule, d.Outcome, d.Actions, d.DecideAt
	c.baseLane = c.routedLane
	if d.Named {
		c.baseLane = d.Lane
	}
	held := d.HoldHours > 0 && d.Rule != c.holdRule // a rule whose hold ran last is not held again
	if held {
		c.holdUntil = at.Add(time.Duration(d.HoldHours) * time.Hour)
		c.holdRule, c.holdExtended = d.Rule, false
		c.note(holdStarted{at, c.holdUntil})
	} else if d.final() {
		c.takeEffect(at)
	}
}
