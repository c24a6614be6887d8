package search

import (
	"encoding/json"
	"fmt"
	"strings"

	"cutover/monolith/gate"
)

// Affected is what an event touches. Ids are of contacts, profiles, and principals whose profiles are meant.
type Affected struct {
	Contacts   []int64
	Profiles   []int64
	Principals []int64
	Channel    int64 // whose present principal is meant, too
	Owner      int64 // all of whose contacts are meant
}

// Events are the names of the events that documents depend on.
var Events = func() map[string]bool {
	names := map[string]bool{}
	for domain, verbs := range map[string]string{
		"contact":  "edge_upserted edge_deleted edge_stale_marked edge_restored merge_contested merge_split_applied sync_completed",
		"policy":   "circle_created circle_membership_changed",
		"profile":  "created updated class_changed visibility_changed",
		"identity": "principal_created principal_updated username_assigned username_released account_restricted account_restored",
		"channel": "claim_verified ownership_challenged ownership_limited dispute_opened ownership_transferred ownership_recovered " +
			"ownership_revoked",
	} {
		for _, verb := range strings.Fields(verbs) {
			names[domain+"."+verb] = true
		}
	}
	return names
}()

// AffectedBy reads the ids of an event; an id that is missing is a gate.Rejection.
func AffectedBy(event *gate.Event) (Affected, error) {
	var ids struct {
		ContactID   int64    `json:"contact_id"`
		OwnerID     int64    `json:"owner_id"`
		ContactIDs  *[]int64 `json:"contact_ids"`
		ProfileID   int64    `json:"profile_id"`
		PrincipalID int64    `json:"principal_id"`
		ChannelID   int64    `json:"channel_id"`
	}
	if err := json.Unmarshal(event.Payload, &ids); err != nil {
		return Affected{}, gate.Rejection{Reason: fmt.Sprintf("payload of %s: %v", event.Name, err)}
	}
	missing := func(name string) (Affected, error) {
		return Affected{}, gate.Rejection{Reason: fmt.Sprintf("payload of %s: %s is missing", event.Name, name)}
	}
	domain, _, _ := strings.Cut(event.Name, ".")
	switch {
	case event.Name == "contact.sync_completed":
		if ids.OwnerID == 0 {
			return missing("owner_id")
		}
		return Affected{Owner: ids.OwnerID}, nil
	case domain == "contact":
		if ids.ContactID == 0 {
			return missing("contact_id")
		}
		return Affected{Contacts: []int64{ids.ContactID}}, nil
	case domain == "policy":
		if ids.ContactIDs == nil {
			return missing("contact_ids")
		}
		return Affected{Contacts: *ids.ContactIDs}, nil
	case domain == "profile":
		if ids.ProfileID == 0 {
			return missing("profile_id")
		}
		return Affected{Profiles: []int64{ids.ProfileID}}, nil
	case domain == "identity":
		if ids.PrincipalID == 0 {
			return missing("principal_id")
		}
		return Affected{Principals: []int64{ids.PrincipalID}}, nil
	case domain == "channel":
		if ids.ChannelID == 0 || ids.PrincipalID == 0 {
			return missing("channel_id or principal_id")
		}
		return Affected{Principals: []int64{ids.PrincipalID}, Channel: ids.ChannelID}, nil
	}
	return Affected{}, gate.Rejection{Reason: "no rule for " + event.Name}
}
