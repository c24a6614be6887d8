package search

import (
	"reflect"
	"testing"
	"time"
)

func text(value string) *string { return &value }

func flag(value bool) *bool { return &value }

func at(hour int) *time.Time {
	t := time.Date(2026, 1, 1, hour, 0, 0, 0, time.UTC)
	return &t
}

func contact() Contact {
	return Contact{ID: 7, OwnerID: 3, DisplayName: text("Ann"), Phone: text("+4915"), State: "active_confirmed"}
}

func TestAContactDocumentIsTheOwnersAndHoldsWhatTheOwnerTyped(t *testing.T) {
	owner := int64(3)
	want := &Document{DocID: "contact:7", Kind: "contact", OwnerID: &owner, Visibility: "owner",
		DisplayName: text("Ann"), Phone: text("+4915"),
		CircleNames: []string{"Family", "Work"}}
	if got := ContactDocument(contact(), []string{"Work", "Family", "Work"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, expected %+v", got, want)
	}
}

func TestWhichContactsHaveADocument(t *testing.T) {
	for state, has := range map[string]bool{"active_confirmed": true, "active_probable": true,
		"stale_decay": true, "dormant": true,
		"archived": false, "tombstoned": false} {
		c := contact()
		c.State = state
		if (ContactDocument(c, nil) != nil) != has {
			t.Errorf("%s: expected a document: %t", state, has)
		}
	}
	c := contact()
	c.Contested = true
	if ContactDocument(c, nil) != nil {
		t.Error("a contested contact has a document")
	}
}

func TestCircleNamesAreAListEvenWhenEmpty(t *testing.T) {
	if got := ContactDocument(contact(), nil).CircleNames; got == nil || len(got) != 0 {
		t.Errorf("%#v", got)
	}
}

func profile(class string, discoverable *bool) Profile {
	return Profile{ID: 5, OwnerID: 3, Class: class, DisplayName: text("Ann"), Discoverable: discoverable,
		OwnerStatus: "active", OwnerUsername: text("ann_3")}
}

var phones = []Channel{
	{ID: 2, Kind: "phone", Value: "+2", State: "verified_active", VerifiedAt: at(2)},
	{ID: 1, Kind: "phone", Value: "+1", State: "verified_active", VerifiedAt: at(1)},
	{ID: 9, Kind: "email", Value: "a@example.com", State: "recovered", VerifiedAt: at(5)},
}

func TestWhichProfilesHaveADocument(t *testing.T) {
	for _, c := range []struct {
		class        string
		discoverable *bool
		kind         string // empty: none
	}{
		{"single", flag(true), "profile"}, {"single", flag(false), ""}, {"single", nil, ""},
		{"employee", flag(true), "profile"}, {"employee", flag(false), ""}, {"employee", nil, ""},
		{"business", flag(true), "business"}, {"business", flag(false), ""}, {"business", nil, "business"},
		{"shadow", flag(true), "profile"}, {"shadow", flag(false), ""}, {"shadow", nil, ""},
		{"unknown", flag(true), ""},
	} {
		got := ProfileDocument(profile(c.class, c.discoverable), phones)
		switch {
		case (got == nil) != (c.kind == ""):
			t.Errorf("%s, discoverable %v: %+v", c.class, c.discoverable, got)
		case got != nil && (got.Kind != c.kind || got.Visibility != "public" || got.DocID != "profile:5"):
			t.Errorf("%s: %+v", c.class, got)
		}
	}
}

func TestAShadowProfileShowsNothingThatLeadsToItsOwner(t *testing.T) {
	d := ProfileDocument(profile("shadow", flag(true)), phones)
	if d.OwnerID != nil || d.Username != nil || d.Phone != nil || d.Email != nil {
		t.Errorf("%+v", d)
	}
}

func TestARestrictedOwnerHasNoProfileDocuments(t *testing.T) {
	for _, class := range []string{"single", "employee", "business", "shadow"} {
		p := profile(class, flag(true))
		p.OwnerStatus = "restricted"
		if ProfileDocument(p, phones) != nil {
			t.Errorf("%s: a document", class)
		}
	}
}

func TestAProfileShowsTheEarliestVerifiedChannelOfEachKind(t *testing.T) {
	d := ProfileDocument(profile("single", flag(true)), phones)
	if *d.Phone != "+1" || *d.Email != "a@example.com" || *d.Username != "ann_3" || *d.OwnerID != 3 {
		t.Errorf("%+v", d)
	}
	same := []Channel{{ID: 4, Kind: "phone", Value: "+4", State: "verified_active", VerifiedAt: at(1)},
		{ID: 3, Kind: "phone", Value: "+3", State: "recovered", VerifiedAt: at(1)}}
	if d := ProfileDocument(profile("single", flag(true)), same); *d.Phone != "+3" || d.Email != nil {
		t.Errorf("of two at one time the smaller id counts: %+v", d)
	}
}

func TestAChannelInAnyOtherStateContributesNothing(t *testing.T) {
	for _, state := range []string{"unclaimed", "claim_pending", "challenged", "limited", "disputed",
		"transferred", "revoked"} {
		d := ProfileDocument(profile("single", flag(true)), []Channel{{ID: 1, Kind: "phone", Value: "+1",
			State: state, VerifiedAt: at(1)}})
		if d.Phone != nil {
			t.Errorf("%s: phone %s", state, *d.Phone)
		}
	}
	unverified := []Channel{{ID: 1, Kind: "phone", Value: "+1", State: "verified_active"}}
	if d := ProfileDocument(profile("single", flag(true)), unverified); d.Phone != nil {
		t.Errorf("never verified: phone %s", *d.Phone)
	}
}
