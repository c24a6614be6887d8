// Package world makes the rows of schema app: generated from a seed, or read from a rating file.
package world

import "time"

// Principal is a row of app.principals. An empty Username is NULL.
type Principal struct {
	ID        int64
	Username  string
	Status    string
	CreatedAt time.Time
}

// Profile is a row of app.profiles. Empty texts and a zero OrgID are NULL.
type Profile struct {
	ID, OwnerID  int64
	Class        string
	DisplayName  string
	CompanyName  string
	JobTitle     string
	Discoverable bool
	OrgID        int64
	UpdatedAt    time.Time
}

// Channel is a row of app.channels. A zero VerifiedAt is NULL.
type Channel struct {
	ID, PrincipalID int64
	Kind            string
	Value           string
	State           string
	VerifiedAt      time.Time
}

// Contact is a row of app.contacts. Empty texts, a zero TargetID and a zero EndedAt are NULL.
type Contact struct {
	ID, OwnerID, TargetID int64
	DisplayName           string
	Phone                 string
	Email                 string
	CompanyName           string
	JobTitle              string
	State                 string
	Confidence            float64
	Contested             bool
	FirstSeenAt           time.Time
	LastEvidenceAt        time.Time
	EndedAt               time.Time
}

// Circle is a row of app.circles with its members.
type Circle struct {
	ID, OwnerID int64
	Name        string
	ContactIDs  []int64
}

// Case is a row of app.cases. Zero ids and a zero ResolvedAt are NULL.
type Case struct {
	ID, PrincipalID, CounterpartyID, ChannelID int64
	Type, Severity, State                      string
	OpenedAt, ResolvedAt                       time.Time
}

// Incident is a row of app.trust_incidents. A zero ClearedAt is NULL.
type Incident struct {
	ID, PrincipalID       int64
	Kind, Band            string
	OccurredAt, ClearedAt time.Time
}

// World yields the rows of one table after the other, each table as often as asked and each time the same.
type World interface {
	Principals(func(Principal))
	Profiles(func(Profile))
	Channels(func(Channel))
	Contacts(func(Contact))
	Circles(func(Circle))
	Cases(func(Case))
	Incidents(func(Incident))
}
