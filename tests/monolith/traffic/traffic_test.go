package traffic

import (
	"math"
	"testing"
	"time"

	"cutover/monolith/gate"
	"cutover/monolith/search"
	"cutover/monolith/world"
)

func TestEveryEventThatSearchReadsIsProduced(t *testing.T) {
	produced := map[string]bool{"contact.sync_completed": true, "identity.principal_created": true,
		"profile.created": true}
	for _, k := range kinds() {
		produced[k.event] = true
	}
	for name := range search.Events {
		if !produced[name] {
			t.Errorf("nothing produces %s", name)
		}
	}
	for name := range produced {
		if !search.Events[name] {
			t.Errorf("%s is no event that search reads", name)
		}
	}
}

func TestKindsAreComplete(t *testing.T) {
	for _, k := range kinds() {
		if k.weight <= 0 || k.pick == nil || k.payload == nil || k.sql == "" || k.subject == "" ||
			(k.values == nil) != (k.width == 0) {
			t.Errorf("%s: %+v", k.event, k)
		}
	}
}

func traffic(seed int64) *Traffic {
	t := &Traffic{settings: Settings{ImportSize: 10}, seed: seed, random: world.NewRandom(seed),
		kinds: kinds(), byState: map[string]*pool{},
		principals: 100, profiles: 120, channels: 150, contacts: 5000, circles: 40,
		Tally: Tally{ByKind: map[string]int{}}}
	for _, k := range t.kinds {
		t.weights = append(t.weights, k.weight)
	}
	for id := int64(1); id <= 50; id++ {
		t.tombstoned.add(id)
		t.contested.add(id)
		t.restricted.add(id)
	}
	return t
}

func planned(steps []step) (ids []int64, texts []string) {
	for _, one := range steps {
		switch s := one.(type) {
		case *changes:
			ids = append(ids, s.ids...)
			for _, column := range s.values {
				texts = append(texts, column...)
			}
		case *imported:
			ids = append(ids, s.owner)
			texts = append(texts, s.values[1]...)
		case *signUp:
			texts = append(texts, s.name, s.phone)
		}
	}
	return ids, texts
}

func TestTheSameSeedPlansTheSameChanges(t *testing.T) {
	a, b, other := traffic(5), traffic(5), traffic(6)
	idsA, textsA := planned(a.plan(2000))
	idsB, textsB := planned(b.plan(2000))
	idsOther, _ := planned(other.plan(2000))
	if !equal(idsA, idsB) || len(textsA) != len(textsB) || len(textsA) == 0 {
		t.Error("two plans of one seed differ")
	}
	for i := range textsA {
		if textsA[i] != textsB[i] {
			t.Fatalf("%q and %q", textsA[i], textsB[i])
		}
	}
	if equal(idsA, idsOther) {
		t.Error("another seed gave the same plan")
	}
}

func equal(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestAnIDIsChangedOnceInAStatement(t *testing.T) {
	for _, one := range traffic(5).plan(3000) {
		if c, ok := one.(*changes); ok {
			seen := map[int64]bool{}
			for _, id := range c.ids {
				if seen[id] {
					t.Fatalf("%s: id %d twice", c.kind.event, id)
				}
				seen[id] = true
			}
			for _, column := range c.values {
				if len(column) != len(c.ids) {
					t.Fatalf("%s: %d ids and %d values", c.kind.event, len(c.ids), len(column))
				}
			}
		}
	}
}

func TestAPoolGivesEachIDOnce(t *testing.T) {
	var p pool
	random := world.NewRandom(1)
	if p.take(random) != 0 {
		t.Error("an empty pool gave an id")
	}
	for id := int64(1); id <= 10; id++ {
		p.add(id)
	}
	seen := map[int64]bool{}
	for i := 0; i < 10; i++ {
		seen[p.take(random)] = true
	}
	if len(seen) != 10 || seen[0] || p.take(random) != 0 {
		t.Errorf("%v", seen)
	}
}

func written(t *testing.T, count int) *turn {
	t.Helper()
	done := &turn{now: time.Now(), tally: map[string]int{}}
	for i := 0; i < count; i++ {
		r := row{id: int64(i) + 1, version: 2, first: 9}
		if err := done.emit("contact.edge_upserted", "contact", "user", r, contactChanged(r),
			newRequest(done.now)); err != nil {
			t.Fatal(err)
		}
	}
	return done
}

func TestWhatIsWrittenIsAnEvent(t *testing.T) {
	done := written(t, 1)
	event, err := gate.ParseEvent(done.outbox[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	if event.Subject != (gate.Subject{Type: "contact", ID: "1", Version: 2}) ||
		event.Actor != (gate.Actor{ID: "9", Type: "user"}) ||
		event.CorrelationID == "" || string(event.Payload) != `{"contact_id":1,"owner_id":9}` {
		t.Errorf("%+v %s", event, event.Payload)
	}
}

func TestBrokenMessagesAreBrokenInEveryWay(t *testing.T) {
	done := written(t, 1)
	for sort := 0; sort < 7; sort++ {
		row := broken(done.written[0], done, sort)
		if _, err := gate.ParseEvent(row.Payload); err == nil {
			t.Errorf("sort %d is an event", sort)
		}
	}
}

func TestADuplicateIsTheSameWorkUnderAnotherEventID(t *testing.T) {
	tr := traffic(5)
	tr.settings.Duplicates = 1
	done := written(t, 10)
	tr.addFaults(done)
	for _, commit := range done.committed {
		commit()
	}
	if done.duplicates != 5 || len(done.outbox) != 15 || len(tr.late) != 5 {
		t.Fatalf("%d duplicates now, %d rows, %d later", done.duplicates, len(done.outbox), len(tr.late))
	}
	original, _ := gate.ParseEvent(done.outbox[0].Payload)
	again, err := gate.ParseEvent(done.outbox[10].Payload)
	if err != nil || again.IdempotencyKey != original.IdempotencyKey || again.ID == original.ID ||
		done.outbox[10].MessageID != again.ID {
		t.Errorf("%v\n%+v\n%+v", err, original, again)
	}
}

func TestPaces(t *testing.T) {
	steady, bursty := Pace{Rate: 100}, Pace{Rate: 100, Bursts: true}
	for _, c := range []struct {
		pace  Pace
		after time.Duration
		want  float64
	}{
		{steady, 0, 0}, {steady, 1500 * time.Millisecond, 150},
		{bursty, 0, 0}, {bursty, 200 * time.Millisecond, 200}, {bursty, 400 * time.Millisecond, 400}, {bursty,
			3 * time.Second, 400},
		{bursty, 4200 * time.Millisecond, 600},
		{Pace{}, time.Millisecond, math.Inf(1)},
	} {
		if got := c.pace.Due(c.after); math.Abs(got-c.want) > 1e-6 && got != c.want {
			t.Errorf("%+v after %s: %g due, expected %g", c.pace, c.after, got, c.want)
		}
	}
}
