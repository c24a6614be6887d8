package gate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

// Outcome says what to do with a delivery.
type Outcome struct {
	Answer     Answer        // of the claim
	Class      Class         // how it was settled; empty where it was not
	RetryAfter time.Duration // above 0: negative ack with this delay; else ack
}

// Handler applies one event in the transaction. A Rejection makes a dead letter at once; another error is retried.
type Handler func(ctx context.Context, tx pgx.Tx, m *Message) error

// Rejection is an event that no retry can help.
type Rejection struct{ Reason string }

func (r Rejection) Error() string { return r.Reason }

// ErrClaimRefused means that nothing may be processed until an operator has acted.
var ErrClaimRefused = errors.New("the claim is refused")

// DependencyError means that PostgreSQL is away: nothing counts as an attempt, the same delivery is tried again later.
type DependencyError struct{ cause error }

func (e DependencyError) Error() string { return "PostgreSQL is away: " + e.cause.Error() }
func (e DependencyError) Unwrap() error { return e.cause }

const (
	retriesMax   = 3
	retryFirst   = time.Second
	retryFactor  = 5
	conflictsMax = 5
	waitFirst    = 250 * time.Millisecond // for an earlier version
	waitLast     = 4 * time.Second
)

// waitDelay is how long an event is put off that waits for an earlier version: longer each time. When thousands wait, as
// behind a backlog that is seized, their deliveries would leave no room for the one that they wait for.
func waitDelay(deliveries uint64) time.Duration {
	delay := waitFirst
	for i := uint64(1); i < deliveries && delay < waitLast; i++ {
		delay *= 2
	}
	return delay
}

// Process takes one delivery through claim, handler and settlement in one transaction. Ack or negative ack follow its
// return; an error means neither.
func (g *Gate) Process(ctx context.Context, database *pgxpool.Pool, m *Message, handle Handler) (Outcome, error) {
	for conflicts := 0; ; conflicts++ {
		outcome, err := g.transaction(ctx, database, m, func(tx pgx.Tx) (Class, error) {
			return g.apply(ctx, tx, m, handle)
		})
		var fault eventFault
		if !errors.As(err, &fault) {
			return outcome, err
		}
		if state := sqlState(err); (state != "40P01" && state != "40001") || conflicts == conflictsMax {
			return g.fail(ctx, database, m, fault.cause)
		}
		// A deadlock or a serialization failure: the whole transaction again, it counts for nobody.
	}
}

// eventFault is a failure that may be this event's, on a connection that works.
type eventFault struct{ cause error }

func (e eventFault) Error() string { return e.cause.Error() }
func (e eventFault) Unwrap() error { return e.cause }

// transaction claims, applies and settles. Its errors are eventFault, DependencyError, ErrClaimRefused and the context's.
func (g *Gate) transaction(ctx context.Context, database *pgxpool.Pool, m *Message,
	apply func(pgx.Tx) (Class, error)) (Outcome, error) {
	var outcome Outcome
	err := database.BeginTxFunc(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		var err error
		if outcome.Answer, err = g.Claim(ctx, tx, m); err != nil {
			if state := sqlState(err); state != "" && !isDependencyState(state) {
				return fmt.Errorf("%w: %v", ErrClaimRefused, err) // no event is to blame
			}
			return err
		}
		switch outcome.Answer {
		case Skip, Settled:
			return nil
		case Wait:
			outcome.RetryAfter = waitDelay(m.Deliveries)
			return nil
		case Missing:
			outcome.Class = DeadLettered
			if err := g.DeadLetter(ctx, tx, m, Gap, fmt.Sprintf("version %d came, and an earlier one stayed missing",
				m.event.Subject.Version), 0); err != nil {
				return blame(tx, err)
			}
		case Duplicate:
			outcome.Class = Duplicated
		default:
			if outcome.Class, err = apply(tx); err != nil {
				return blame(tx, err)
			}
		}
		return blame(tx, g.Settle(ctx, tx, m, outcome.Class))
	})
	var fault eventFault
	if err == nil || errors.Is(err, ErrClaimRefused) || errors.As(err, &fault) {
		return outcome, err
	}
	if ctx.Err() != nil {
		return outcome, ctx.Err()
	}
	return outcome, DependencyError{err}
}

// blame makes an error the event's when the connection is sound.
func blame(tx pgx.Tx, err error) error {
	if err == nil || tx.Conn().IsClosed() || isDependencyState(sqlState(err)) {
		return err
	}
	return eventFault{err}
}

func sqlState(err error) string {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

func (g *Gate) apply(ctx context.Context, tx pgx.Tx, m *Message, handle Handler) (Class, error) {
	switch {
	case !g.addressed(m):
		return NotAddressed, nil
	case m.malformed != nil:
		return DeadLettered, g.DeadLetter(ctx, tx, m, Malformed, m.malformed.Error(), 1)
	case m.event.Version != 1:
		return DeadLettered, g.DeadLetter(ctx, tx, m, UnsupportedVersion,
			fmt.Sprintf("event_version %d of %s: this build reads 1", m.event.Version, m.event.Name), 1)
	}
	return Applied, handle(ctx, tx, m)
}

// fail settles an event whose transaction was rolled back: a dead letter, or an attempt and a later retry.
func (g *Gate) fail(ctx context.Context, database *pgxpool.Pool, m *Message, cause error) (Outcome, error) {
	retry := time.Duration(0)
	outcome, err := g.transaction(ctx, database, m, func(tx pgx.Tx) (Class, error) {
		var rejection Rejection
		if errors.As(cause, &rejection) {
			return DeadLettered, g.DeadLetter(ctx, tx, m, Rejected, rejection.Reason, 1)
		}
		attempts, err := g.AddAttempt(ctx, tx, m, cause.Error())
		if err != nil {
			return "", err
		}
		if attempts > retriesMax {
			return DeadLettered, g.DeadLetter(ctx, tx, m, Transient, cause.Error(), attempts)
		}
		ceiling := float64(retryFirst) * math.Pow(retryFactor, float64(attempts-1))
		retry = time.Duration(math.Max(1, rand.Float64()*ceiling))
		return GivenBack, nil
	})
	if err != nil {
		return outcome, fmt.Errorf("%w (the event failed before: %v)", err, cause)
	}
	if retry > 0 {
		outcome.RetryAfter = retry
	}
	return outcome, nil
}

// isDependencyState: connection, resources, operator intervention, read-only after a failover.
func isDependencyState(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "53", "57", "58":
		return true
	}
	return code == "25006"
}
