package gate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

// Answer is what the claim says about an event.
type Answer string

// The answers of cutover.claim.
const (
	Apply     Answer = "a"
	Skip      Answer = "s" // the worker's
	Duplicate Answer = "d" // the same work, published at another place
	Settled   Answer = "=" // this very delivery was settled before
	Reused    Answer = "u" // to be applied, but the broker gave the sequence of another event to it
	Wait      Answer = "w" // an earlier version of its subject is missing: again soon, it is no attempt
	Missing   Answer = "g" // it stayed missing: a dead letter of kind gap
)

// Class is how an event was settled.
type Class string

// The classes of cutover.settle.
const (
	Applied      Class = "a"
	Duplicated   Class = "d"
	NotAddressed Class = "n"
	DeadLettered Class = "x"
	GivenBack    Class = "r" // not settled: its mark is taken back
)

// Gate stands before one worker's events on the monolith's side.
type Gate struct {
	Worker   string          // whose events: search-projector
	Instance string          // this process
	Build    string          // of this process
	Events   map[string]bool // names of the events that are handled; others are not addressed to us
	Ordered  bool            // the events of one subject are applied in the order of its versions
}

// Register makes the worker known, should it not be: its events are the monolith's then.
func (g *Gate) Register(ctx context.Context, database *pgxpool.Pool) error {
	if _, err := database.Exec(ctx, "SELECT cutover.register_worker($1, $2, 'monolith')", g.Worker, g.Ordered); err != nil {
		return fmt.Errorf("cutover's tables cannot be used (scripts/migrate makes them): %w", err)
	}
	return nil
}

// Incarnation returns which life of a stream the broker's creation time stands for. A stream that was deleted and made
// anew is an error until an operator says so.
func Incarnation(ctx context.Context, q Querier, stream string, createdAt time.Time) (int, error) {
	var incarnation int
	err := q.QueryRow(ctx, "SELECT cutover.stream_incarnation($1, $2)", stream, createdAt).Scan(&incarnation)
	return incarnation, err
}

// Querier is a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, arguments ...interface{}) pgx.Row
}

// addressed is false for what another worker's replay or an unknown event is.
func (g *Gate) addressed(m *Message) bool {
	if to := m.Header.Get("Cutover-For"); to != "" && to != g.Worker {
		return false
	}
	return m.malformed != nil || g.Events[m.event.Name]
}

// idempotencyKey is nil where no mark is taken.
func (g *Gate) idempotencyKey(m *Message) *string {
	if m.malformed != nil || !g.addressed(m) {
		return nil
	}
	key := m.event.TenantScope + "\x1f" + m.event.IdempotencyKey
	return &key
}

// version is that of the subject, 0 where the event has no place in an order: unreadable, or a copy for another worker.
func (g *Gate) version(m *Message) int64 {
	if to := m.Header.Get("Cutover-For"); to != "" && to != g.Worker || m.malformed != nil {
		return 0
	}
	return m.event.Subject.Version
}

// Claim asks whose the event is and marks it; the first statement of the transaction, which must be READ COMMITTED.
func (g *Gate) Claim(ctx context.Context, tx pgx.Tx, m *Message) (Answer, error) {
	serving, err := g.claim(ctx, tx, []*Message{m})
	if err != nil {
		return "", err
	}
	switch answer := Answer(serving); answer {
	case Apply, Skip, Duplicate, Settled, Reused, Wait, Missing:
		return answer, nil
	}
	return "", fmt.Errorf("cutover.claim answered %q, which this build does not know", serving)
}

// claim asks about messages of one stream, in order of sequence.
func (g *Gate) claim(ctx context.Context, tx pgx.Tx, batch []*Message) (serving string, err error) {
	sequences, versions, plans := make([]int64, len(batch)), make([]int64, len(batch)), make([]int64, len(batch))
	eventIDs, keys := make([]string, len(batch)), make([]string, len(batch))
	idempotencyKeys := make([]*string, len(batch))
	for i, m := range batch {
		sequences[i], versions[i], plans[i] = m.Sequence, g.version(m), m.ReplayPlan
		eventIDs[i], keys[i], idempotencyKeys[i] = m.eventID(), m.Key(), g.idempotencyKey(m)
	}
	err = tx.QueryRow(ctx, "SELECT serving FROM cutover.claim($1, 'monolith', $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		g.Worker, g.Instance, batch[0].Stream, batch[0].Incarnation, sequences, eventIDs, keys,
		idempotencyKeys, versions, plans).Scan(&serving)
	return serving, err
}

// SkipAll passes over a batch of one stream, in order of sequence, when all of it is the worker's; else it changes nothing
// and returns false. It saves a transaction for each event that is nothing to us.
func (g *Gate) SkipAll(ctx context.Context, database *pgxpool.Pool, batch []*Message) (bool, error) {
	tx, err := database.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, err
	}
	defer tx.Rollback(context.Background())
	serving, err := g.claim(ctx, tx, batch)
	if err != nil || serving != strings.Repeat(string(Skip), len(batch)) {
		return false, err
	}
	return true, tx.Commit(ctx)
}

// Settle says how it ended; the last statement of the transaction.
func (g *Gate) Settle(ctx context.Context, tx pgx.Tx, m *Message, class Class) error {
	_, err := tx.Exec(ctx, "SELECT cutover.settle($1, 'monolith', $2, $3, $4, $5, $6, $7, $8, $9, $10)",
		g.Worker, m.Stream, m.Incarnation, []int64{m.Sequence}, []string{m.eventID()}, []string{m.Key()},
		[]*string{g.idempotencyKey(m)}, []int64{g.version(m)}, []int64{m.ReplayPlan}, string(class))
	return err
}

// AddAttempt counts a failure of the event and returns how many there are.
func (g *Gate) AddAttempt(ctx context.Context, tx pgx.Tx, m *Message, cause string) (int, error) {
	var attempts int
	err := tx.QueryRow(ctx, "SELECT cutover.add_attempt($1, $2, $3, $4, false, $5)",
		g.Worker, m.Stream, m.Incarnation, m.Sequence, errorText(cause)).Scan(&attempts)
	return attempts, err
}
