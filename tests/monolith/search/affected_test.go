package search

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"cutover/monolith/gate"
)

func TestWhatAnEventTouches(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		want    Affected
	}{
		"contact.edge_upserted": {`{"contact_id":7,"owner_id":3,"target_id":9}`,
			Affected{Contacts: []int64{7}}},
		"contact.merge_contested": {`{"contact_id":7,"owner_id":3}`, Affected{Contacts: []int64{7}}},
		"contact.sync_completed": {`{"sync_session_id":"s","owner_id":3,"edges":100000}`,
			Affected{Owner: 3}},
		"policy.circle_membership_changed": {`{"circle_id":1,"owner_id":3,"contact_ids":[7,8]}`,
			Affected{Contacts: []int64{7, 8}}},
		"policy.circle_created": {`{"circle_id":1,"owner_id":3,"contact_ids":[]}`,
			Affected{Contacts: []int64{}}},
		"profile.class_changed":       {`{"profile_id":5,"owner_principal_id":3,"profile_class":"business"}`, Affected{Profiles: []int64{5}}},
		"identity.account_restricted": {`{"principal_id":3}`, Affected{Principals: []int64{3}}},
		"channel.ownership_transferred": {`{"channel_id":2,"principal_id":3}`,
			Affected{Principals: []int64{3}, Channel: 2}},
	} {
		got, err := AffectedBy(&gate.Event{Name: name, Payload: json.RawMessage(c.payload)})
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, expected %+v", name, got, err, c.want)
		}
	}
}

func TestEveryEventHasARule(t *testing.T) {
	payload := json.RawMessage(`{"contact_id":1,"owner_id":1,"contact_ids":[1],"profile_id":1,"principal_id":1,"channel_id":1}`)
	for name := range Events {
		if got, err := AffectedBy(&gate.Event{Name: name, Payload: payload}); err != nil ||
			reflect.DeepEqual(got, Affected{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if len(Events) != 26 {
		t.Errorf("%d events, expected 26", len(Events))
	}
}

func TestAMissingIDIsARejection(t *testing.T) {
	for name := range Events {
		for _, payload := range []string{`{}`,
			`{"contact_id":"seven","owner_id":"three","contact_ids":"all","profile_id":"x","principal_id":"x","channel_id":"x"}`} {
			_, err := AffectedBy(&gate.Event{Name: name, Payload: json.RawMessage(payload)})
			var rejection gate.Rejection
			if !errors.As(err, &rejection) {
				t.Errorf("%s with %s: %v", name, payload, err)
			}
		}
	}
}
