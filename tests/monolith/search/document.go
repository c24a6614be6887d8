// Package search keeps serving.search_documents as the monolith does: event by event, by its own rules.
package search

import (
	"sort"
	"strconv"
	"time"
)

// Document is a row of serving.search_documents. Nil is NULL.
type Document struct {
	DocID       string   `json:"doc_id"`
	Kind        string   `json:"kind"` // contact | profile | business
	OwnerID     *int64   `json:"owner_id"`
	Visibility  string   `json:"visibility"` // owner | public
	DisplayName *string  `json:"display_name"`
	Phone       *string  `json:"phone"`
	Email       *string  `json:"email"`
	Username    *string  `json:"username"`
	CompanyName *string  `json:"company_name"`
	JobTitle    *string  `json:"job_title"`
	CircleNames []string `json:"circle_names"`
}

// Contact is what a document needs of a contact.
type Contact struct {
	ID, OwnerID                                      int64
	DisplayName, Phone, Email, CompanyName, JobTitle *string
	State                                            string
	Contested                                        bool
}

// Profile is what a document needs of a profile and its owner.
type Profile struct {
	ID, OwnerID                        int64
	Class                              string
	DisplayName, CompanyName, JobTitle *string
	Discoverable                       *bool
	OwnerStatus                        string
	OwnerUsername                      *string
}

// Channel is what a profile's document needs of one of its owner's channels.
type Channel struct {
	ID          int64
	Kind, Value string
	State       string
	VerifiedAt  *time.Time
}

// ContactID names the document of a contact.
func ContactID(contact int64) string { return "contact:" + strconv.FormatInt(contact, 10) }

// ProfileID names the document of a profile.
func ProfileID(profile int64) string { return "profile:" + strconv.FormatInt(profile, 10) }

// ContactDocument returns what the owner typed, with the names of the owner's circles that it is in; nil for a contact that
// is gone or contested.
func ContactDocument(c Contact, circles []string) *Document {
	if c.State == "tombstoned" || c.State == "archived" || c.Contested {
		return nil
	}
	owner := c.OwnerID
	return &Document{DocID: ContactID(c.ID), Kind: "contact", OwnerID: &owner, Visibility: "owner",
		DisplayName: c.DisplayName, Phone: c.Phone, Email: c.Email, CompanyName: c.CompanyName,
		JobTitle: c.JobTitle, CircleNames: distinct(circles)}
}

// ProfileDocument returns what everybody may find; nil for a profile that nobody may.
func ProfileDocument(p Profile, channels []Channel) *Document {
	if p.OwnerStatus != "active" {
		return nil
	}
	d := &Document{DocID: ProfileID(p.ID), Kind: "profile", Visibility: "public", DisplayName: p.DisplayName,
		CompanyName: p.CompanyName, JobTitle: p.JobTitle, CircleNames: []string{}}
	optedIn := p.Discoverable != nil && *p.Discoverable
	switch p.Class {
	case "single", "employee":
		if !optedIn {
			return nil
		}
	case "business":
		if p.Discoverable != nil && !*p.Discoverable {
			return nil
		}
		d.Kind = "business"
	case "shadow":
		if !optedIn {
			return nil
		}
		return d // nothing that leads to its owner
	default:
		return nil
	}
	owner := p.OwnerID
	d.OwnerID, d.Username = &owner, p.OwnerUsername
	d.Phone, d.Email = earliestVerified(channels, "phone"), earliestVerified(channels, "email")
	return d
}

// earliestVerified returns the value of the channel of a kind that was verified first, of those that count.
func earliestVerified(channels []Channel, kind string) *string {
	var best *Channel
	for i := range channels {
		c := &channels[i]
		if c.Kind != kind || c.VerifiedAt == nil || (c.State != "verified_active" && c.State != "recovered") {
			continue
		}
		if best == nil || c.VerifiedAt.Before(*best.VerifiedAt) ||
			(c.VerifiedAt.Equal(*best.VerifiedAt) && c.ID < best.ID) {
			best = c
		}
	}
	if best == nil {
		return nil
	}
	return &best.Value
}

func distinct(names []string) []string {
	sorted := append([]string{}, names...)
	sort.Strings(sorted)
	kept := sorted[:0]
	for i, name := range sorted {
		if i == 0 || name != sorted[i-1] {
			kept = append(kept, name)
		}
	}
	return kept
}
