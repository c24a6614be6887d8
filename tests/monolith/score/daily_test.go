package score

import (
	"testing"
	"time"

	"cutover/monolith/gate"
)

func TestTheDaysBatchIsAskedForAtTwo(t *testing.T) {
	for _, c := range []struct{ now, want string }{
		{"2026-02-28T01:59:59Z", "2026-02-28T02:00:00Z"},
		{"2026-02-28T02:00:00Z", "2026-03-01T02:00:00Z"},
		{"2026-12-31T23:00:00Z", "2027-01-01T02:00:00Z"},
		{"2026-06-01T02:30:00+02:00", "2026-06-01T02:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := nextDaily(now).Format(time.RFC3339); got != c.want {
			t.Errorf("after %s: %s, expected %s", c.now, got, c.want)
		}
	}
}

func TestTheDaysRequestIsOneWhoeverAsks(t *testing.T) {
	at := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	row, err := dailyRequest(at)
	if err != nil {
		t.Fatal(err)
	}
	event, err := gate.ParseEvent(row.Payload)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := readRequest(&event)
	if err != nil || !asked.everybody || !asked.asOf.Equal(at) || event.IdempotencyKey != "daily:2026-03-01" ||
		!row.AvailableAt.Equal(at) {
		t.Errorf("%v %+v %+v", err, asked, event)
	}
}
