package traffic

import (
	"context"
	"sort"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

// recompute asks for the scores of those whose ties or flags the transaction changed. It is the last step.
type recompute struct{}

// recomputeMax is how many principals one request names.
const recomputeMax = 200

type recomputePayload struct {
	Scope        string  `json:"scope"`
	PrincipalIDs []int64 `json:"principal_ids"`
	Reason       string  `json:"reason"`
}

func (recompute) apply(_ context.Context, _ pgx.Tx, done *turn) error {
	ids := make([]int64, 0, len(done.touched))
	for id := range done.touched {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	for len(ids) > 0 {
		named := ids
		if len(named) > recomputeMax {
			named = named[:recomputeMax]
		}
		ids = ids[len(named):]
		if err := done.ask("principals", named); err != nil {
			return err
		}
	}
	return nil
}

// ask writes a request; each is a subject of its own.
func (d *turn) ask(scope string, principals []int64) error {
	from := newRequest(d.now)
	return d.add(gate.Event{
		ID: gate.NewEventID(d.now), Name: "score.recompute_requested", Version: 1, OccurredAt: gate.OccurredAt(d.now),
		Producer: "monolith", Actor: gate.Actor{ID: "system", Type: "system"},
		Subject:       gate.Subject{Type: "score_request", ID: from.id, Version: 1},
		CorrelationID: from.id, CausationID: from.id, IdempotencyKey: "score.recompute_requested:" + from.id,
		TenantScope: "global", Payload: mustJSON(recomputePayload{scope, principals, "changed"}),
	}, from)
}

// touch notes the principals that an event's row names.
func (d *turn) touch(subject string, r row) {
	if d.touched == nil {
		return
	}
	switch subject {
	case "contact":
		d.touched[r.first] = true
		if r.second != 0 {
			d.touched[r.second] = true
		}
	case "principal":
		d.touched[r.id] = true
	case "circle", "profile", "channel", "incident":
		d.touched[r.first] = true
	}
}

// RequestAll asks for everybody's scores, as of now.
func (t *Traffic) RequestAll(ctx context.Context) error {
	_, err := t.commit(ctx, []step{requestAll{}})
	return err
}

type requestAll struct{}

func (requestAll) apply(_ context.Context, _ pgx.Tx, done *turn) error {
	return done.ask("all", []int64{})
}
