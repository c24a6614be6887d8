// Package traffic changes the rows of schema app as users would, and writes an event about each change to the outbox in
// the same transaction.
package traffic

import (
	"encoding/json"

	"cutover/monolith/world"
)

// row is what a changing statement returns for each row that it changed:
//
//	subject id, version, first and second id of the payload, ids of the payload, a word of the payload
type row struct {
	id, version, first, second int64
	ids                        []int64
	word                       string
}

// kind is one sort of change. One statement changes all rows of the kind in a transaction: $1 is their ids, $2, $3 ...
// the new values. Rows that are not in a fitting state stay as they are and yield no event.
type kind struct {
	event   string // name
	subject string // type of the aggregate
	weight  float64
	actor   string
	pick    func(*Traffic) int64 // an id to change; 0: none at hand
	values  func(*Traffic, int64) []string
	width   int // how many values
	sql     string
	payload func(row) interface{}
	after   func(*Traffic, row) // once committed
}

type contactPayload struct {
	ContactID int64 `json:"contact_id"`
	OwnerID   int64 `json:"owner_id"`
	TargetID  int64 `json:"target_id,omitempty"`
}

type syncPayload struct {
	SyncSessionID string `json:"sync_session_id"`
	OwnerID       int64  `json:"owner_id"`
	Edges         int64  `json:"edges"`
}

type circlePayload struct {
	CircleID   int64   `json:"circle_id"`
	OwnerID    int64   `json:"owner_id"`
	ContactIDs []int64 `json:"contact_ids"`
}

type profilePayload struct {
	ProfileID        int64  `json:"profile_id"`
	OwnerPrincipalID int64  `json:"owner_principal_id"`
	ProfileClass     string `json:"profile_class"`
	PreviousClass    string `json:"previous_class,omitempty"`
}

type principalPayload struct {
	PrincipalID int64 `json:"principal_id"`
}

type channelPayload struct {
	ChannelID   int64 `json:"channel_id"`
	PrincipalID int64 `json:"principal_id"`
}

// kinds are all single changes; weights are shares of the changes.
func kinds() []kind {
	all := append(contactKinds(), circleKinds()...)
	all = append(all, profileKinds()...)
	all = append(all, principalKinds()...)
	return append(all, channelKinds()...)
}

func mustJSON(value interface{}) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic("a payload is no JSON: " + err.Error()) // numbers and texts only
	}
	return text
}

// pool holds ids in a state that few rows are in.
type pool struct{ ids []int64 }

const poolMax = 10_000

func (p *pool) add(id int64) {
	if len(p.ids) < poolMax {
		p.ids = append(p.ids, id)
	}
}

// take removes and returns one id, 0 if there is none.
func (p *pool) take(random *world.Random) int64 {
	if len(p.ids) == 0 {
		return 0
	}
	at := random.Intn(len(p.ids))
	id := p.ids[at]
	p.ids[at] = p.ids[len(p.ids)-1]
	p.ids = p.ids[:len(p.ids)-1]
	return id
}
