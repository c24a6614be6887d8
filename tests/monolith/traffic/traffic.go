package traffic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cutover/monolith/gate"
	"cutover/monolith/world"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

// Settings of a stream of changes.
type Settings struct {
	Seed       int64
	ImportSize int           // contacts of an ordinary import, at most
	Duplicates float64       // share of events that the producer writes twice: same idempotency key, another event id
	Malformed  float64       // for each event, the probability of a broken one besides
	Scores     bool          // changes that only scores depend on as well, and requests to compute them
	Cases      float64       // share of the changes that are about ownership and trust cases
	OldCases   float64       // share of the cases that were opened up to 12 days ago
	Ahead      time.Duration // cases and what follows them are that far in the future, where no timer gets in between
	Poisoned   float64       // share of the cases that lack evidence: dead letters
}

// Traffic makes changes. It remembers what rows there are; one goroutine uses it.
type Traffic struct {
	settings   Settings
	seed       int64
	random     *world.Random
	database   *pgxpool.Pool
	kinds      []kind
	weights    []float64
	principals int64 // highest id of each table
	profiles   int64
	channels   int64
	contacts   int64
	circles    int64
	tombstoned pool
	contested  pool
	restricted pool
	uncleared  pool // incidents
	cases      pool // that were opened by this traffic
	caseTimes  map[int64]time.Time
	byState    map[string]*pool
	late       []gate.OutboxRow // duplicates, written with a later transaction
	Tally      Tally
}

// Tally counts what was committed.
type Tally struct {
	Events       int            `json:"events"`
	ByKind       map[string]int `json:"by_kind"`
	Duplicates   int            `json:"duplicates"`
	Malformed    int            `json:"malformed"`
	Poisoned     int            `json:"poisoned,omitempty"` // of the events
	Transactions int            `json:"transactions"`
}

// importsOf1000 and signUpsOf1000 of a thousand changes are these, which are more than one event.
const (
	importsOf1000 = 2
	signUpsOf1000 = 8
)

var errNothingChanges = errors.New("the world is too small: no row is in a state that can change")

// Open looks at the world in the database.
func Open(ctx context.Context, database *pgxpool.Pool, settings Settings) (*Traffic, error) {
	t := &Traffic{settings: settings, seed: settings.Seed, random: world.NewRandom(settings.Seed, 1_000_003),
		database: database, kinds: kinds(), byState: map[string]*pool{}, caseTimes: map[int64]time.Time{}, Tally: Tally{ByKind: map[string]int{}}}
	if settings.Scores {
		t.kinds = append(t.kinds, scoreKinds()...)
	}
	for _, k := range t.kinds {
		t.weights = append(t.weights, k.weight)
	}
	err := database.QueryRow(ctx, `
		SELECT coalesce((SELECT max(principal_id) FROM app.principals), 0),
		       coalesce((SELECT max(profile_id) FROM app.profiles), 0),
		       coalesce((SELECT max(channel_id) FROM app.channels), 0),
		       coalesce((SELECT max(contact_id) FROM app.contacts), 0),
		       coalesce((SELECT max(circle_id) FROM app.circles), 0)`).
		Scan(&t.principals, &t.profiles, &t.channels, &t.contacts, &t.circles)
	if err != nil {
		return nil, fmt.Errorf("schema app cannot be read (monolith seed makes it): %w", err)
	}
	var outbox bool
	if err := database.QueryRow(ctx, "SELECT to_regclass('cutover.outbox') IS NOT NULL").Scan(&outbox); err != nil {
		return nil, err
	}
	if !outbox {
		return nil, errors.New("the database has no table cutover.outbox; scripts/migrate makes it")
	}
	if t.principals == 0 {
		return nil, errors.New("schema app is empty; run monolith seed first")
	}
	return t, t.fillPools(ctx)
}

func (t *Traffic) fillPools(ctx context.Context) error {
	rows, err := t.database.Query(ctx, `
		(SELECT 'tombstoned', contact_id FROM app.contacts WHERE state = 'tombstoned' ORDER BY contact_id LIMIT 2000)
		UNION ALL
		(SELECT 'contested', contact_id FROM app.contacts WHERE contested AND state <> 'tombstoned'
		 ORDER BY contact_id LIMIT 500)
		UNION ALL
		(SELECT 'uncleared', incident_id FROM app.trust_incidents WHERE cleared_at IS NULL ORDER BY incident_id LIMIT 500)
		UNION ALL
		(SELECT 'restricted', principal_id FROM app.principals WHERE status = 'restricted' ORDER BY principal_id LIMIT 500)
		UNION ALL
		(SELECT 'channel ' || state, channel_id FROM (
		   SELECT state, channel_id, row_number() OVER (PARTITION BY state ORDER BY channel_id) FROM app.channels) c
		 WHERE row_number <= 500)
		ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var state string
		var id int64
		if err := rows.Scan(&state, &id); err != nil {
			return err
		}
		switch state {
		case "tombstoned":
			t.tombstoned.add(id)
		case "contested":
			t.contested.add(id)
		case "restricted":
			t.restricted.add(id)
		case "uncleared":
			t.uncleared.add(id)
		default:
			t.inState(state[len("channel "):]).add(id)
		}
	}
	return rows.Err()
}

// Change makes about n changes in one transaction and returns the number of events that it wrote, which can be more (an
// import is one change) or fewer (a row was not in a fitting state).
func (t *Traffic) Change(ctx context.Context, n int) (int, error) {
	done, err := t.commit(ctx, t.plan(n))
	if err != nil {
		return 0, err
	}
	return done.events, nil
}

// Flush writes the duplicates that still wait for a later transaction.
func (t *Traffic) Flush(ctx context.Context) error {
	if len(t.late) == 0 {
		return nil
	}
	_, err := t.commit(ctx, []step{lateDuplicates{t}})
	return err
}

func (t *Traffic) commit(ctx context.Context, steps []step) (*turn, error) {
	var done *turn
	err := retried(ctx, func() error {
		done = &turn{now: time.Now(), tally: map[string]int{}}
		if t.settings.Scores {
			done.touched = map[int64]bool{}
		}
		return t.database.BeginFunc(ctx, func(tx pgx.Tx) error {
			for _, step := range steps {
				if err := step.apply(ctx, tx, done); err != nil {
					return err
				}
			}
			t.addFaults(done)
			return gate.WriteOutbox(ctx, tx, done.outbox)
		})
	})
	if err != nil {
		return nil, err
	}
	for _, commit := range done.committed {
		commit()
	}
	t.Tally.count(done)
	return done, nil
}

// retried repeats a transaction that lost a deadlock.
func retried(ctx context.Context, transaction func() error) error {
	const triesMax = 5
	for try := 1; ; try++ {
		err := transaction()
		var refused *pgconn.PgError
		if err == nil || try == triesMax || ctx.Err() != nil || !errors.As(err, &refused) ||
			refused.Code != "40P01" {
			return err
		}
	}
}

func (tally *Tally) count(done *turn) {
	tally.Transactions++
	tally.Events += done.events
	tally.Duplicates += done.duplicates
	tally.Malformed += done.malformed
	tally.Poisoned += done.poisoned
	for name, count := range done.tally {
		tally.ByKind[name] += count
	}
}

// Add adds what another one counted.
func (tally *Tally) Add(other Tally) {
	tally.Events += other.Events
	tally.Duplicates += other.Duplicates
	tally.Malformed += other.Malformed
	tally.Poisoned += other.Poisoned
	tally.Transactions += other.Transactions
	for name, count := range other.ByKind {
		tally.ByKind[name] += count
	}
}
