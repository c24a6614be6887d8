// Package dispute decides ownership and trust cases as the monolith does: event by event, by its own reading of the rules.
package dispute

import (
	"sort"
	"time"
)

// Outcomes of a decision.
const (
	resolve = "resolve"
	reject  = "reject"
	dismiss = "dismiss"
	queue   = "queue"
	wait    = "wait"
)

// Decision is what the rules say about a case at a moment.
type Decision struct {
	Rule       string
	Outcome    string
	Confidence string // two decimals
	Lane       int    // that the rule names; named is false for the routed one
	Named      bool
	HoldHours  int
	Actions    []string
	DecideAt   time.Time // of wait
}

// final: the case is over when it takes effect.
func (d Decision) final() bool {
	return d.Outcome == resolve || d.Outcome == reject || d.Outcome == dismiss
}

// leaf is a row of the table of decisions. lane is "" (none named), "routed" or "P0" to "P3".
func leaf(rule, outcome, confidence, lane string, hold int, actions ...string) Decision {
	d := Decision{Rule: rule, Outcome: outcome, Confidence: confidence, HoldHours: hold, Actions: append([]string{}, actions...)}
	if len(lane) == 2 {
		d.Lane, d.Named = int(lane[1]-'0'), true
	}
	sort.Strings(d.Actions)
	return d
}

// Decide takes the first rule of the type that matches.
func Decide(caseType, severity string, e Evidence, at time.Time) Decision {
	switch caseType {
	case "C1":
		return decideClaim(e)
	case "C2":
		return decideRecycled(e, at)
	case "C3":
		return decideMerge(e)
	case "C4":
		return decideImpersonation(e)
	case "C5":
		return decideAuthority(severity, e)
	default:
		return decideTrust(e)
	}
}

func decideClaim(e Evidence) Decision {
	const trustedDays = 30
	trustedChallenger := e.ChallengerDeviceDays >= trustedDays
	trustedIncumbent := e.IncumbentDeviceDays >= trustedDays
	switch {
	case e.ChallengerOTP && !e.IncumbentOTP:
		return leaf("C1.one_otp", resolve, "0.99", "", 24, "award_challenger")
	case e.IncumbentOTP && !e.ChallengerOTP:
		return leaf("C1.one_otp", resolve, "0.99", "", 24, "award_incumbent")
	case !e.ChallengerOTP:
		return leaf("C1.no_otp", queue, "0.50", "P0", 0)
	case trustedChallenger && !trustedIncumbent:
		return leaf("C1.device", queue, "0.85", "routed", 0, "favour_challenger")
	case trustedIncumbent && !trustedChallenger:
		return leaf("C1.device", queue, "0.85", "routed", 0, "favour_incumbent")
	}
	return leaf("C1.ambiguous", queue, "0.50", "P1", 72)
}

const coolingTime = 7 * 24 * time.Hour

func decideRecycled(e Evidence, at time.Time) Decision {
	switch {
	case !e.OTP:
		return leaf("C2.no_otp", reject, "1.00", "", 0)
	case e.OldOwnerInactiveDays > 90:
		return leaf("C2.inactive", resolve, "0.99", "", 0, "transfer")
	case e.OldOwnerDisputed:
		return leaf("C2.disputed", queue, "0.50", "P2", 0)
	case at.Sub(e.ClaimedAt) >= coolingTime:
		return leaf("C2.cooled", resolve, "0.98", "", 48, "transfer")
	}
	cooling := leaf("C2.cooling", wait, "0.50", "", 0)
	cooling.DecideAt = e.ClaimedAt.Add(coolingTime)
	return cooling
}

func decideMerge(e Evidence) Decision {
	switch {
	case e.AutoApplied:
		return leaf("C3.auto", resolve, "1.00", "", 24, "undo")
	case e.RequesterConfirmedMerge:
		return leaf("C3.confirmer", resolve, "0.95", "", 0, "split")
	}
	return leaf("C3.third_party", queue, "0.50", "P3", 0)
}

func decideImpersonation(e Evidence) Decision {
	switch {
	case e.ExactMatch && e.ReporterIsTarget:
		return leaf("C4.exact_target", queue, "0.90", "P1", 0, "reduce_discoverability")
	case e.ExactMatch:
		return leaf("C4.exact_other", queue, "0.80", "P2", 0, "reduce_discoverability")
	case e.Similarity > 0.80:
		return leaf("C4.fuzzy", queue, "0.75", "P2", 48)
	case e.ReporterInsists:
		return leaf("C4.insists", queue, "0.70", "P3", 0)
	}
	return leaf("C4.dismissed", dismiss, "0.70", "", 0)
}

func decideAuthority(severity string, e Evidence) Decision {
	recommendation := "recommend_legal_documents"
	switch {
	case e.ChallengerLevel == 0:
		recommendation = "recommend_dismissal"
	case e.ChallengerLevel > e.IncumbentLevel:
		recommendation = "recommend_challenger"
	}
	if e.Employees >= 50 || severity != "L1" {
		return leaf("C5.large", queue, "0.50", "P0", 72, "freeze_organisation", recommendation)
	}
	return leaf("C5.small", queue, "0.50", "P1", 72, "freeze_organisation", recommendation)
}

func decideTrust(e Evidence) Decision {
	switch {
	case e.SignalRatio >= 3:
		return leaf("C6.ratio3", queue, "0.80", "P2", 0, "restrict")
	case e.SignalRatio >= 1.5:
		return leaf("C6.ratio1_5", resolve, "0.95", "", 0, "warn")
	case e.UniqueReports24h >= 5:
		return leaf("C6.reports5", queue, "0.80", "P1", 0, "restrict")
	case e.UniqueReports24h >= 2:
		return leaf("C6.reports2", queue, "0.60", "P3", 0, "warn")
	case e.UniqueReports24h == 1:
		return leaf("C6.report1", resolve, "0.95", "", 0, "log")
	}
	return leaf("C6.none", dismiss, "0.95", "", 0)
}

// RoutedLane is where a case goes when it is opened.
func RoutedLane(caseType, severity string, e Evidence) int {
	atLeastL2 := severity == "L2" || severity == "L3"
	switch {
	case (caseType == "C1" || caseType == "C5") && atLeastL2:
		return 0
	case caseType == "C4" && e.TargetIsUser:
		return 1
	case (caseType == "C1" || caseType == "C2") && severity == "L1":
		return 2
	case caseType == "C6" && e.TrustDelta > 30:
		return 1
	case caseType == "C3":
		return 3
	}
	return 2
}

// EffectiveLane raises a lane by one for each reason, never above 0.
func EffectiveLane(base int, reasons []string) int {
	if base < len(reasons) {
		return 0
	}
	return base - len(reasons)
}

// ResponseLimit is how long a first response may take in a lane.
func ResponseLimit(lane int) time.Duration {
	return [...]time.Duration{15 * time.Minute, 4 * time.Hour, 24 * time.Hour, 72 * time.Hour}[lane]
}

// Restrictions are the kinds that an action brings.
func Restrictions(action, severity string) []string {
	switch action {
	case "reduce_discoverability":
		return []string{"discoverability_reduced"}
	case "freeze_organisation":
		return []string{"organisation_frozen"}
	case "restrict":
		kinds := []string{"reverification"}
		if severity != "L1" {
			kinds = append(kinds, "channel_edits_frozen", "username_transfers_frozen", "search_visibility_lowered")
		}
		if severity == "L3" {
			kinds = append(kinds, "not_publicly_reachable", "no_new_shadow_profiles")
		}
		return kinds
	}
	return nil
}
