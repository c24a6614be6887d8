package score

import (
	"encoding/json"
	"fmt"
	"time"

	"cutover/monolith/gate"
)

// Events are the names of the events that scores follow from.
var Events = map[string]bool{"score.recompute_requested": true}

// request is what score.recompute_requested asks for.
type request struct {
	asOf       time.Time // when it was asked
	everybody  bool
	principals []int64
}

func readRequest(event *gate.Event) (request, error) {
	reject := func(format string, arguments ...interface{}) (request, error) {
		return request{}, gate.Rejection{Reason: "payload of " + event.Name + ": " + fmt.Sprintf(format, arguments...)}
	}
	var payload struct {
		Scope      string   `json:"scope"`
		Principals *[]int64 `json:"principal_ids"`
	}
	if err := json.Unmarshal(event.Payload, &payload); err != nil {
		return reject("%v", err)
	}
	asOf, err := time.Parse(time.RFC3339Nano, event.OccurredAt)
	if err != nil {
		return reject("occurred_at: %v", err)
	}
	switch payload.Scope {
	case "all":
		return request{asOf: asOf, everybody: true}, nil
	case "principals":
		if payload.Principals == nil {
			return reject("principal_ids is missing")
		}
		return request{asOf: asOf, principals: *payload.Principals}, nil
	}
	return reject("scope %q is neither all nor principals", payload.Scope)
}
