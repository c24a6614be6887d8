package world

import (
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, lines ...string) *Rated {
	t.Helper()
	r, err := ReadRatings(strings.NewReader(strings.Join(lines, "\n")), 1)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAPositiveRatingIsAContactAndANegativeOneAFlag(t *testing.T) {
	r := read(t, "source,target,rating,time", "6,2,4,1289241911.72836", "", "# a remark",
		" 6, 5, -10, 2011-01-02T03:04:05Z\r")
	var contacts []Contact
	r.Contacts(func(c Contact) { contacts = append(contacts, c) })
	if len(contacts) != 1 || contacts[0].OwnerID != 6 || contacts[0].TargetID != 2 ||
		contacts[0].Confidence != 0.4 {
		t.Errorf("contacts: %+v", contacts)
	}
	if at := contacts[0].FirstSeenAt; !at.Equal(time.UnixMicro(1289241911728360)) ||
		!at.Equal(contacts[0].LastEvidenceAt) {
		t.Errorf("first seen %s, last evidence %s", at, contacts[0].LastEvidenceAt)
	}
	var flags []Incident
	r.Incidents(func(i Incident) { flags = append(flags, i) })
	if len(flags) != 1 || flags[0].PrincipalID != 5 || flags[0].Kind != "abuse_flag" ||
		flags[0].Band != "soft" || !flags[0].ClearedAt.IsZero() {
		t.Errorf("flags: %+v", flags)
	}
	ids := []int64{}
	r.Principals(func(p Principal) { ids = append(ids, p.ID) })
	if len(ids) != 3 || ids[0] != 2 || ids[1] != 5 || ids[2] != 6 {
		t.Errorf("principals: %v", ids)
	}
}

func TestALaterRatingReplacesAnEarlierOneAndExtendsItsEvidence(t *testing.T) {
	r := read(t, "1,2,3,2000", "1,2,9,3000", "1,2,1,1000")
	r.Contacts(func(c Contact) {
		if c.Confidence != 0.9 || c.FirstSeenAt.Unix() != 1000 || c.LastEvidenceAt.Unix() != 3000 {
			t.Errorf("%+v", c)
		}
	})
	turned := read(t, "1,2,3,2000", "1,2,-1,3000")
	turned.Contacts(func(c Contact) { t.Errorf("a contact remained: %+v", c) })
}

func TestOldRatingsMakeAWorldOfToday(t *testing.T) {
	r := read(t, "1,2,3,1000", "2,1,4,4600", "1,2,5,2800")
	r.EndAt(midnight)
	var first, last []time.Time
	r.Contacts(func(c Contact) { first, last = append(first, c.FirstSeenAt), append(last, c.LastEvidenceAt) })
	if !first[0].Equal(midnight.Add(-time.Hour)) || !last[0].Equal(midnight.Add(-30*time.Minute)) ||
		!last[1].Equal(midnight) {
		t.Errorf("%v %v", first, last)
	}
	r.Principals(func(p Principal) {
		if !p.CreatedAt.Equal(midnight.Add(-time.Hour)) && p.ID == 1 {
			t.Errorf("%+v", p)
		}
	})
}

func TestARatingOfZeroMakesPrincipalsOnly(t *testing.T) {
	r := read(t, "1,2,0,1000")
	count := 0
	r.Principals(func(Principal) { count++ })
	r.Contacts(func(Contact) { t.Error("a contact") })
	r.Incidents(func(Incident) { t.Error("a flag") })
	if count != 2 {
		t.Errorf("%d principals", count)
	}
}

func TestABadLineIsNamed(t *testing.T) {
	for line, want := range map[string]string{
		"1,2,3":               "line 2: 3 fields, expected 4",
		"1,2,3,4,5":           "line 2: 5 fields, expected 4",
		"x,2,3,4":             `line 2: source "x" is no whole number`,
		"1,0,3,4":             `line 2: target "0" is no whole number`,
		"1,1,3,4":             "line 2: 1 rates itself",
		"1,2,11,4":            `line 2: rating "11" is no number from -10 to 10`,
		"1,2,NaN,4":           `line 2: rating "NaN"`,
		"1,2,,4":              `line 2: rating ""`,
		"1,2,3,yesterday":     `line 2: time "yesterday" is neither`,
		"1,2,3,-1":            `line 2: time "-1" is not from 1970 to 2200`,
		"1,2,3,1289241911728": `line 2: time "1289241911728" is`,
		"1,2,3,1e300":         `line 2: time "1e300" is neither`,
		"source,2,3,1e300":    `line 2: source "source"`,
	} {
		_, err := ReadRatings(strings.NewReader("1,2,3,4\n"+line+"\n"), 1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected %s", line, err, want)
		}
	}
	for name, text := range map[string]string{"empty": "", "a header alone": "source,target,rating,time\n",
		"a very long line": strings.Repeat("1", 100_000)} {
		if _, err := ReadRatings(strings.NewReader(text), 1); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTimesScaleLinearly(t *testing.T) {
	r, err := ReadRatings(strings.NewReader("1,2,5,1000\n2,1,3,2000\n3,1,-4,3000\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	from := to.Add(-180 * 24 * time.Hour)
	r.ScaleInto(from, to)
	want := []time.Time{from, from.Add(90 * 24 * time.Hour), to}
	for i, one := range r.ratings {
		if !one.first.Equal(want[i]) || !one.last.Equal(want[i]) {
			t.Errorf("rating %d: %s to %s, expected %s", i, one.first, one.last, want[i])
		}
	}
	if !r.firstSeen[3].Equal(to) || !r.firstSeen[1].Equal(from) {
		t.Errorf("first seen: %v", r.firstSeen)
	}
}

func TestRatingsOfOneTimeScaleToTheEnd(t *testing.T) {
	r, err := ReadRatings(strings.NewReader("1,2,5,1000\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	to := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	r.ScaleInto(to.Add(-time.Hour), to)
	if !r.ratings[0].first.Equal(to) {
		t.Errorf("at %s", r.ratings[0].first)
	}
}
