package dispute

// allowed are the changes of a channel's ownership state.
var allowed = map[string][]string{
	"unclaimed":       {"claim_pending"},
	"claim_pending":   {"verified_active", "revoked"},
	"verified_active": {"challenged", "revoked"},
	"challenged":      {"limited", "verified_active"},
	"limited":         {"disputed", "verified_active"},
	"disputed":        {"transferred", "recovered", "revoked"},
	"transferred":     {"challenged"},
	"recovered":       {"verified_active"},
	"revoked":         {"claim_pending"},
}

// Allowed says whether a channel may go from one state to another in one step.
func Allowed(from, to string) bool {
	for _, next := range allowed[from] {
		if next == to {
			return true
		}
	}
	return false
}

// PathTo returns the states after `from` on the shortest way to `to`; empty when it is there, nil when there is no way.
func PathTo(from, to string) []string {
	before := map[string]string{from: ""}
	for reached := []string{from}; len(reached) > 0; reached = reached[1:] {
		state := reached[0]
		if state == to {
			path := []string{}
			for ; state != from; state = before[state] {
				path = append([]string{state}, path...)
			}
			return path
		}
		for _, next := range allowed[state] {
			if _, known := before[next]; !known {
				before[next] = state
				reached = append(reached, next)
			}
		}
	}
	return nil
}
