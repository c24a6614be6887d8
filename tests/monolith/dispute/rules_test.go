package dispute

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"
	"testing"
	"time"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func known(t *testing.T, caseType, text string) Evidence {
	t.Helper()
	var e Evidence
	if _, err := e.Take(caseType, json.RawMessage(text), true); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func claim(incumbent, challenger bool, incumbentDays, challengerDays int) string {
	return fmt.Sprintf(`{"incumbent_otp":%t,"challenger_otp":%t,"incumbent_device_days":%d,"challenger_device_days":%d}`,
		incumbent, challenger, incumbentDays, challengerDays)
}

func recycled(otp bool, inactive int, claimed time.Duration, disputed bool) string {
	return fmt.Sprintf(`{"otp":%t,"old_owner_inactive_days":%d,"claimed_at":%q,"old_owner_disputed":%t}`,
		otp, inactive, noon.Add(-claimed).Format(time.RFC3339Nano), disputed)
}

func impersonation(exact, isTarget, insists bool, similarity float64) string {
	return fmt.Sprintf(`{"exact_match":%t,"reporter_is_target":%t,"target_is_user":false,"reporter_insists":%t,"similarity":%g}`,
		exact, isTarget, insists, similarity)
}

func authority(challenger, incumbent, employees int) string {
	return fmt.Sprintf(`{"challenger_level":%d,"incumbent_level":%d,"employees":%d}`, challenger, incumbent, employees)
}

func trust(ratio float64, reports int) string {
	return fmt.Sprintf(`{"signal_ratio":%g,"unique_reports_24h":%d,"trust_delta":0}`, ratio, reports)
}

const week = 7 * 24 * time.Hour

func TestEveryLeaf(t *testing.T) {
	reached := map[string]bool{}
	for _, c := range []struct {
		evidence, severity, rule, outcome, confidence string
		lane                                          string // P0 to P3, empty: none named
		hold                                          int
		actions                                       []string
	}{
		{claim(false, true, 400, 0), "L1", "C1.one_otp", "resolve", "0.99", "", 24, []string{"award_challenger"}},
		{claim(true, false, 0, 400), "L1", "C1.one_otp", "resolve", "0.99", "", 24, []string{"award_incumbent"}},
		{claim(true, true, 29, 30), "L1", "C1.device", "queue", "0.85", "", 0, []string{"favour_challenger"}},
		{claim(true, true, 30, 29), "L1", "C1.device", "queue", "0.85", "", 0, []string{"favour_incumbent"}},
		{claim(true, true, 29, 29), "L1", "C1.ambiguous", "queue", "0.50", "P1", 72, nil},
		{claim(true, true, 30, 400), "L1", "C1.ambiguous", "queue", "0.50", "P1", 72, nil},
		{claim(false, false, 400, 0), "L1", "C1.no_otp", "queue", "0.50", "P0", 0, nil},
		{recycled(false, 400, 2*week, true), "L1", "C2.no_otp", "reject", "1.00", "", 0, nil},
		{recycled(true, 91, 0, true), "L1", "C2.inactive", "resolve", "0.99", "", 0, []string{"transfer"}},
		{recycled(true, 90, 2*week, true), "L1", "C2.disputed", "queue", "0.50", "P2", 0, nil},
		{recycled(true, 90, week, false), "L1", "C2.cooled", "resolve", "0.98", "", 48, []string{"transfer"}},
		{recycled(true, 90, week-time.Microsecond, false), "L1", "C2.cooling", "wait", "0.50", "", 0, nil},
		{`{"auto_applied":true,"requester_confirmed_merge":true}`, "L1", "C3.auto", "resolve", "1.00", "", 24, []string{"undo"}},
		{`{"auto_applied":false,"requester_confirmed_merge":true}`, "L1", "C3.confirmer", "resolve", "0.95", "", 0, []string{"split"}},
		{`{"auto_applied":false,"requester_confirmed_merge":false}`, "L1", "C3.third_party", "queue", "0.50", "P3", 0, nil},
		{impersonation(true, true, true, 1), "L1", "C4.exact_target", "queue", "0.90", "P1", 0, []string{"reduce_discoverability"}},
		{impersonation(true, false, true, 1), "L1", "C4.exact_other", "queue", "0.80", "P2", 0, []string{"reduce_discoverability"}},
		{impersonation(false, true, true, 0.81), "L1", "C4.fuzzy", "queue", "0.75", "P2", 48, nil},
		{impersonation(false, true, true, 0.80), "L1", "C4.insists", "queue", "0.70", "P3", 0, nil},
		{impersonation(false, true, false, 0.80), "L1", "C4.dismissed", "dismiss", "0.70", "", 0, nil},
		{authority(0, 3, 50), "L1", "C5.large", "queue", "0.50", "P0", 72, []string{"freeze_organisation", "recommend_dismissal"}},
		{authority(2, 1, 1), "L2", "C5.large", "queue", "0.50", "P0", 72, []string{"freeze_organisation", "recommend_challenger"}},
		{authority(2, 2, 49), "L1", "C5.small", "queue", "0.50", "P1", 72, []string{"freeze_organisation", "recommend_legal_documents"}},
		{authority(0, 0, 1), "L3", "C5.large", "queue", "0.50", "P0", 72, []string{"freeze_organisation", "recommend_dismissal"}},
		{trust(3, 0), "L1", "C6.ratio3", "queue", "0.80", "P2", 0, []string{"restrict"}},
		{trust(1.5, 12), "L1", "C6.ratio1_5", "resolve", "0.95", "", 0, []string{"warn"}},
		{trust(1.49, 5), "L1", "C6.reports5", "queue", "0.80", "P1", 0, []string{"restrict"}},
		{trust(0, 4), "L1", "C6.reports2", "queue", "0.60", "P3", 0, []string{"warn"}},
		{trust(0, 2), "L1", "C6.reports2", "queue", "0.60", "P3", 0, []string{"warn"}},
		{trust(0, 1), "L1", "C6.report1", "resolve", "0.95", "", 0, []string{"log"}},
		{trust(0, 0), "L1", "C6.none", "dismiss", "0.95", "", 0, nil},
	} {
		caseType := c.rule[:2]
		got := Decide(caseType, c.severity, known(t, caseType, c.evidence), noon)
		lane := ""
		if got.Named {
			lane = fmt.Sprintf("P%d", got.Lane)
		}
		if got.Rule != c.rule || got.Outcome != c.outcome || got.Confidence != c.confidence || lane != c.lane ||
			got.HoldHours != c.hold || !reflect.DeepEqual(got.Actions, append([]string{}, c.actions...)) {
			t.Errorf("%s: %+v, expected %+v", c.evidence, got, c)
		}
		reached[got.Rule] = true
	}
	if len(reached) != 25 {
		t.Errorf("%d leaves of 25 are reached", len(reached))
	}
}

func TestCoolingIsDecidedAgainSevenDaysAfterTheClaim(t *testing.T) {
	got := Decide("C2", "L1", known(t, "C2", recycled(true, 0, 2*time.Hour, false)), noon)
	if want := noon.Add(week - 2*time.Hour); !got.DecideAt.Equal(want) {
		t.Errorf("%s, expected %s", got.DecideAt, want)
	}
}

func TestEveryRowOfTheLanes(t *testing.T) {
	for _, c := range []struct {
		caseType, severity string
		evidence           Evidence
		want               int
	}{
		{"C1", "L2", Evidence{}, 0}, {"C1", "L3", Evidence{}, 0}, {"C5", "L2", Evidence{}, 0}, {"C5", "L3", Evidence{}, 0},
		{"C4", "L1", Evidence{TargetIsUser: true}, 1}, {"C4", "L3", Evidence{TargetIsUser: true}, 1},
		{"C1", "L1", Evidence{}, 2}, {"C2", "L1", Evidence{}, 2},
		{"C6", "L3", Evidence{TrustDelta: 30.5}, 1}, {"C6", "L3", Evidence{TrustDelta: 30}, 2},
		{"C3", "L1", Evidence{}, 3}, {"C3", "L3", Evidence{}, 3},
		{"C2", "L2", Evidence{}, 2}, {"C5", "L1", Evidence{}, 2}, {"C4", "L3", Evidence{}, 2},
	} {
		if got := RoutedLane(c.caseType, c.severity, c.evidence); got != c.want {
			t.Errorf("%+v: P%d", c, got)
		}
	}
}

func TestEachReasonRaisesByOneAndNeverAboveP0(t *testing.T) {
	for _, c := range []struct{ base, reasons, want int }{{3, 0, 3}, {3, 1, 2}, {3, 2, 1}, {3, 3, 0}, {3, 4, 0}, {1, 2, 0}, {0, 1, 0}} {
		if got := EffectiveLane(c.base, make([]string, c.reasons)); got != c.want {
			t.Errorf("%+v: P%d", c, got)
		}
	}
}

func TestRestrictionsGrowWithSeverity(t *testing.T) {
	for severity, want := range map[string]int{"L1": 1, "L2": 4, "L3": 6} {
		if got := Restrictions("restrict", severity); len(got) != want || got[0] != "reverification" {
			t.Errorf("%s: %v", severity, got)
		}
	}
	if Restrictions("warn", "L3") != nil {
		t.Error("a warning restricts nobody")
	}
}

func TestMissingEvidenceIsNotFalse(t *testing.T) {
	for caseType, text := range map[string]string{"C1": claim(true, true, 1, 1), "C2": recycled(true, 1, 0, true),
		"C3": `{"auto_applied":true,"requester_confirmed_merge":true}`, "C4": impersonation(true, true, true, 1),
		"C5": authority(1, 1, 1), "C6": trust(1, 1)} {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
		for missing := range fields {
			rest := map[string]json.RawMessage{}
			for name, value := range fields {
				if name != missing {
					rest[name] = value
				}
			}
			without, _ := json.Marshal(rest)
			var e Evidence
			if _, err := e.Take(caseType, without, true); err == nil {
				t.Errorf("%s without %s is complete", caseType, missing)
			}
			if _, err := e.Take(caseType, without, false); err != nil {
				t.Errorf("%s without %s: %v", caseType, missing, err)
			}
			rest[missing] = json.RawMessage("null")
			null, _ := json.Marshal(rest)
			if _, err := e.Take(caseType, null, false); err == nil {
				t.Errorf("%s: %s may be null", caseType, missing)
			}
		}
	}
}

func TestEvidenceOutOfRangeIsRefused(t *testing.T) {
	for text, caseType := range map[string]string{authority(4, 0, 1): "C5", authority(0, -1, 1): "C5", authority(0, 0, -1): "C5",
		impersonation(false, false, false, 1.01): "C4", impersonation(false, false, false, -0.1): "C4", claim(true, true, -1, 0): "C1",
		`{"employees":1.5}`: "C5", `{"auto_applied":"yes"}`: "C3", `{"claimed_at":"yesterday"}`: "C2", `[]`: "C3", `null`: "C3"} {
		var e Evidence
		if _, err := e.Take(caseType, json.RawMessage(text), false); err == nil {
			t.Errorf("%s: %s is taken", caseType, text)
		}
	}
}

func TestAllPairsOfOwnershipStates(t *testing.T) {
	want := map[string]bool{}
	for _, pair := range []string{"unclaimed>claim_pending", "claim_pending>verified_active", "claim_pending>revoked",
		"verified_active>challenged", "verified_active>revoked", "challenged>limited", "challenged>verified_active",
		"limited>disputed", "limited>verified_active", "disputed>transferred", "disputed>recovered", "disputed>revoked",
		"transferred>challenged", "recovered>verified_active", "revoked>claim_pending"} {
		want[pair] = true
	}
	states := []string{"unclaimed", "claim_pending", "verified_active", "challenged", "limited", "disputed", "transferred", "recovered", "revoked"}
	for _, from := range states {
		for _, to := range states {
			if Allowed(from, to) != want[from+">"+to] {
				t.Errorf("%s > %s: allowed is %t", from, to, Allowed(from, to))
			}
		}
	}
}

func TestPathsAreTheShortestOfAllowedSteps(t *testing.T) {
	for _, c := range []struct {
		from, to string
		want     []string
	}{
		{"challenged", "transferred", []string{"limited", "disputed", "transferred"}},
		{"challenged", "recovered", []string{"limited", "disputed", "recovered"}},
		{"recovered", "verified_active", []string{"verified_active"}},
		{"unclaimed", "transferred", []string{"claim_pending", "verified_active", "challenged", "limited", "disputed", "transferred"}},
		{"transferred", "transferred", []string{}},
		{"verified_active", "unclaimed", nil},
	} {
		if got := PathTo(c.from, c.to); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s to %s: %v", c.from, c.to, got)
		}
	}
}

func TestActionsAreSorted(t *testing.T) {
	got := Decide("C5", "L3", Evidence{}, noon).Actions
	if !sort.StringsAreSorted(got) {
		t.Errorf("%v", got)
	}
}
