package dispute

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// told writes what happened to a case as a line for each thing, times in hours after it was opened.
func told(c *course) string {
	hours := func(at time.Time) string { return fmt.Sprintf("%gh", at.Sub(noon).Hours()) }
	var lines []string
	for _, happened := range c.happened {
		switch e := happened.(type) {
		case evaluated:
			lines = append(lines, fmt.Sprintf("%d %s at %s of v%d: %s", e.number, e.cause, hours(e.asOf), e.version, e.decision.Rule))
		case holdStarted:
			lines = append(lines, "hold to "+hours(e.until))
		case holdProlonged:
			lines = append(lines, "prolonged to "+hours(e.until))
		case holdEnded:
			lines = append(lines, "ended at "+hours(e.at))
		case tookEffect:
			lines = append(lines, "effect at "+hours(e.at))
		case appealed:
			lines = append(lines, "appeal at "+hours(e.at))
		}
	}
	return strings.Join(lines, "; ")
}

type step struct {
	hours      float64
	evidence   string // empty: reopened
	immaterial bool
}

func follow(t *testing.T, caseType string, through float64, events ...step) string {
	t.Helper()
	after := func(hours float64) time.Time { return noon.Add(time.Duration(hours * float64(time.Hour))) }
	c := &course{caseType: caseType, severity: "L1", routedLane: 2, baseLane: 2}
	for i, e := range events {
		m := moment{version: int64(i) + 1, kind: evidence, material: !e.immaterial, at: after(e.hours), evidence: json.RawMessage(e.evidence)}
		switch {
		case i == 0:
			m.kind = opened
		case e.evidence == "":
			m.kind, m.material, m.evidence = reopened, false, json.RawMessage("{}")
		}
		if err := c.take(m); err != nil {
			t.Fatal(err)
		}
	}
	if through >= 0 {
		c.pass(after(through))
	}
	return told(c)
}

func TestCourses(t *testing.T) {
	ambiguous, oneOTP, noOTP := claim(true, true, 0, 0), claim(false, true, 0, 0), claim(false, false, 0, 0)
	cooling := recycled(true, 0, 0, false)
	for name, c := range map[string]struct {
		caseType string
		through  float64
		events   []step
		want     string
	}{
		"a hold delays the effect": {"C1", 23.9, []step{{0, oneOTP, false}}, "1 opened at 0h of v1: C1.one_otp; hold to 24h"},
		"the effect comes with the end of the hold": {"C1", 24, []step{{0, oneOTP, false}},
			"1 opened at 0h of v1: C1.one_otp; hold to 24h; ended at 24h; effect at 24h"},
		"no hold, no delay": {"C3", -1, []step{{0, `{"auto_applied":false,"requester_confirmed_merge":true}`, false}},
			"1 opened at 0h of v1: C3.confirmer; effect at 0h"},
		"a queued case waits for an operator when its hold is over": {"C1", 72, []step{{0, ambiguous, false}},
			"1 opened at 0h of v1: C1.ambiguous; hold to 72h; ended at 72h"},
		"material evidence prolongs a hold once, and the case is decided again at its end": {"C1", 48,
			[]step{{0, oneOTP, false}, {1, `{"challenger_device_days":9}`, false}, {2, `{"challenger_device_days":10}`, false}},
			"1 opened at 0h of v1: C1.one_otp; hold to 24h; prolonged to 48h; ended at 48h; 2 hold_ended at 48h of v3: C1.one_otp; effect at 48h"},
		"another rule at the end holds anew": {"C1", 200, []step{{0, oneOTP, false}, {1, `{"incumbent_otp":true}`, false}},
			"1 opened at 0h of v1: C1.one_otp; hold to 24h; prolonged to 48h; ended at 48h; 2 hold_ended at 48h of v2: C1.ambiguous; " +
				"hold to 120h; ended at 120h"},
		"a rule that was held is not held again": {"C1", -1, []step{{0, ambiguous, false}, {100, `{"challenger_device_days":9}`, false}, {101, "{}", false}},
			"1 opened at 0h of v1: C1.ambiguous; hold to 72h; ended at 72h; 2 evidence at 100h of v2: C1.ambiguous; " +
				"3 evidence at 101h of v3: C1.ambiguous"},
		"immaterial evidence counts only when something else decides": {"C1", 48,
			[]step{{0, noOTP, false}, {1, `{"incumbent_otp":true}`, true}, {2, `{"incumbent_device_days":3}`, false}},
			"1 opened at 0h of v1: C1.no_otp; 2 evidence at 2h of v3: C1.one_otp; hold to 26h; ended at 26h; effect at 26h"},
		"evidence at the very end of a hold comes after it": {"C1", -1, []step{{0, oneOTP, false}, {24, `{"incumbent_otp":true}`, false}},
			"1 opened at 0h of v1: C1.one_otp; hold to 24h; ended at 24h; effect at 24h"},
		"a cooled case is decided again, then held": {"C2", 168 + 48, []step{{0, cooling, false}},
			"1 opened at 0h of v1: C2.cooling; 2 cooling_ended at 168h of v1: C2.cooled; hold to 216h; ended at 216h; effect at 216h"},
		"evidence during cooling decides at once": {"C2", -1, []step{{0, cooling, false}, {5, `{"old_owner_inactive_days":91}`, false}},
			"1 opened at 0h of v1: C2.cooling; 2 evidence at 5h of v2: C2.inactive; effect at 5h"},
		"a resolved case is not decided again, but appealed": {"C6", -1, []step{{0, trust(0, 0), false}, {1, `{"signal_ratio":9}`, false}, {2, "", false}},
			"1 opened at 0h of v1: C6.none; effect at 0h; appeal at 2h"},
		"an open case is not appealed": {"C6", -1, []step{{0, trust(0, 2), false}, {2, "", false}},
			"1 opened at 0h of v1: C6.reports2"},
	} {
		if got := follow(t, c.caseType, c.through, c.events...); got != c.want {
			t.Errorf("%s:\n  %s\n  %s expected", name, got, c.want)
		}
	}
}

func TestTheLaneIsTheDecisionsElseTheRoutedOne(t *testing.T) {
	c := &course{caseType: "C1", severity: "L1", routedLane: 2, baseLane: 2}
	for i, s := range []struct {
		evidence string
		want     int
	}{{claim(false, false, 0, 0), 0}, {`{"incumbent_otp":true,"challenger_otp":true,"incumbent_device_days":40}`, 2}, {`{"incumbent_device_days":0}`, 1}} {
		m := moment{version: int64(i) + 1, kind: evidence, material: true, at: noon.Add(time.Duration(i) * time.Hour), evidence: json.RawMessage(s.evidence)}
		if i == 0 {
			m.kind = opened
		}
		if err := c.take(m); err != nil {
			t.Fatal(err)
		}
		if c.baseLane != s.want {
			t.Errorf("after %s: P%d", s.evidence, c.baseLane)
		}
	}
}
