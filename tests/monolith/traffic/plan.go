package traffic

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v4"
)

// step is a part of a transaction, planned before it: a retry does the same again.
type step interface {
	apply(ctx context.Context, tx pgx.Tx, done *turn) error
}

func (t *Traffic) plan(n int) []step {
	var steps []step
	planned := make([]*changes, len(t.kinds))
	for i := 0; i < n; i++ {
		if t.settings.Cases > 0 && t.random.Chance(t.settings.Cases) {
			steps = append(steps, t.planAboutCase())
			continue
		}
		switch roll := t.random.Intn(1000); {
		case roll < importsOf1000:
			steps = append(steps, t.planImport(anyPrincipal(t), 5+t.random.Intn(t.settings.ImportSize)))
		case roll < importsOf1000+signUpsOf1000:
			steps = append(steps, t.planSignUp())
		default:
			at := t.random.Weighted(t.weights)
			if planned[at] == nil {
				planned[at] = &changes{traffic: t, kind: &t.kinds[at], values: make([][]string,
					t.kinds[at].width), seen: map[int64]bool{}}
				steps = append(steps, planned[at])
			}
			planned[at].add()
		}
	}
	if t.settings.Scores {
		steps = append(steps, recompute{})
	}
	return steps
}

func (t *Traffic) planAboutCase() step {
	if t.random.Chance(0.4) {
		return t.planFollowUp()
	}
	return t.planCase()
}

// changes are those of one kind in one transaction.
type changes struct {
	traffic *Traffic
	kind    *kind
	ids     []int64
	values  [][]string
	seen    map[int64]bool
}

func (c *changes) add() {
	id := c.kind.pick(c.traffic)
	if id == 0 || c.seen[id] {
		return
	}
	c.seen[id] = true
	c.ids = append(c.ids, id)
	if c.kind.values != nil {
		for column, value := range c.kind.values(c.traffic, id) {
			c.values[column] = append(c.values[column], value)
		}
	}
}

func (c *changes) apply(ctx context.Context, tx pgx.Tx, done *turn) error {
	if len(c.ids) == 0 {
		return nil
	}
	arguments := []interface{}{c.ids}
	for _, column := range c.values {
		arguments = append(arguments, column)
	}
	changed, err := query(ctx, tx, c.kind.sql, arguments...)
	if err != nil {
		return fmt.Errorf("%s: %w", c.kind.event, err)
	}
	for _, r := range changed {
		r := r
		if err := done.emit(c.kind.event, c.kind.subject, c.kind.actor, r, c.kind.payload(r),
			newRequest(done.now)); err != nil {
			return err
		}
		if c.kind.after != nil {
			done.committed = append(done.committed, func() { c.kind.after(c.traffic, r) })
		}
	}
	return nil
}

func query(ctx context.Context, tx pgx.Tx, sql string, arguments ...interface{}) ([]row, error) {
	found, err := tx.Query(ctx, sql, arguments...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	var all []row
	for found.Next() {
		var r row
		if err := found.Scan(&r.id, &r.version, &r.first, &r.second, &r.ids, &r.word); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, found.Err()
}
