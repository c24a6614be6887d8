package traffic

import (
	"context"
	"fmt"
	"strconv"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// imported is an owner's address book, or a part of it.
type imported struct {
	traffic *Traffic
	owner   int64
	session string // empty: one of its own
	size    int
	values  [4][]string // as addContacts takes them
	quiet   bool        // no event for each contact
	bulk    bool        // it leaves after what single users did meanwhile
	last    bool        // the import ends with this part
	before  int64       // contacts of the parts before
}

func (t *Traffic) planImport(owner int64, size int) *imported {
	i := &imported{traffic: t, owner: owner, size: size, last: true}
	for n := 0; n < size; n++ {
		for column, value := range newContact(t, owner) {
			i.values[column] = append(i.values[column], value)
		}
	}
	return i
}

func (i *imported) apply(ctx context.Context, tx pgx.Tx, done *turn) error {
	from := newRequest(done.now)
	if i.bulk {
		done.priority = gate.PriorityBulk
		defer func() { done.priority = 0 }()
	}
	if i.session == "" {
		i.session = gate.NewEventID(done.now)
	}
	owners := make([]int64, i.size)
	for n := range owners {
		owners[n] = i.owner
	}
	added, err := query(ctx, tx, addContacts, owners, i.values[0], i.values[1], i.values[2], i.values[3])
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	for _, r := range added {
		r := r
		if !i.quiet {
			if err := done.emit("contact.edge_upserted", "contact", "user", r, contactChanged(r),
				from); err != nil {
				return err
			}
		}
		done.committed = append(done.committed, func() { contactAdded(i.traffic, r) })
	}
	done.imported = int64(len(added))
	if !i.last {
		return nil
	}
	return done.add(gate.Event{
		ID: gate.NewEventID(done.now), Name: "contact.sync_completed", Version: 1,
		OccurredAt: gate.OccurredAt(done.now), Producer: "monolith",
		Actor:         gate.Actor{ID: strconv.FormatInt(i.owner, 10), Type: "user"},
		Subject:       gate.Subject{Type: "contact_sync", ID: i.session, Version: 1},
		CorrelationID: from.id, CausationID: from.id, IdempotencyKey: "contact.sync_completed:" + i.session,
		TenantScope: "global",
		Payload:     mustJSON(syncPayload{i.session, i.owner, i.before + int64(len(added))}),
	}, from)
}

// Import adds contacts to one owner, as fast as the database takes them, 1,000 in a transaction, and then says
// contact.sync_completed. With quiet that event stands for all of them. A context that ends cuts the import short, which is
// no error: what was added is said.
func (t *Traffic) Import(ctx context.Context, owner int64, size int, quiet bool) error {
	const partMax = 1000
	session, added := "", int64(0)
	for left := int64(size); left > 0 && ctx.Err() == nil; left = int64(size) - added {
		if left > partMax {
			left = partMax
		}
		part := t.planImport(owner, int(left))
		part.session, part.quiet, part.bulk, part.last = session, quiet, true, false
		done, err := t.commit(context.Background(), []step{part})
		if err != nil {
			return err
		}
		session = part.session
		added += done.imported // fewer than planned: the owner knew some of them
	}
	end := t.planImport(owner, 0)
	end.session, end.bulk, end.before = session, true, added
	_, err := t.commit(context.Background(), []step{end})
	return err
}
