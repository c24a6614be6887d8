package search

import (
	"context"
	"sort"

	"cutover/monolith/gate"

	"github.com/jackc/pgx/v4"
)

const chunk = 1000 // documents at a time

// Apply brings the documents that an event touches in step with the present rows.
func Apply(ctx context.Context, tx pgx.Tx, m *gate.Message) error {
	affected, err := AffectedBy(m.Event())
	if err != nil {
		return err
	}
	p := projection{tx, m}
	if affected.Owner != 0 {
		return p.owner(ctx, affected.Owner)
	}
	profiles, err := p.profilesOf(ctx, affected)
	if err != nil {
		return err
	}
	return p.renew(ctx, affected.Contacts, append(profiles, affected.Profiles...))
}

type projection struct {
	tx pgx.Tx
	m  *gate.Message
}

func (p projection) owner(ctx context.Context, owner int64) error {
	for last := int64(0); ; {
		contacts, err := p.ids(ctx,
			"SELECT contact_id FROM app.contacts WHERE owner_id = $1 AND contact_id > $2 ORDER BY contact_id LIMIT $3",
			owner, last, chunk)
		if err != nil || len(contacts) == 0 {
			return err
		}
		if err := p.renew(ctx, contacts, nil); err != nil {
			return err
		}
		last = contacts[len(contacts)-1]
	}
}

func (p projection) profilesOf(ctx context.Context, affected Affected) ([]int64, error) {
	principals := affected.Principals
	if affected.Channel != 0 {
		present, err := p.ids(ctx, "SELECT principal_id FROM app.channels WHERE channel_id = $1", affected.Channel)
		if err != nil {
			return nil, err
		}
		principals = append(principals, present...)
	}
	if len(principals) == 0 {
		return nil, nil
	}
	return p.ids(ctx, "SELECT profile_id FROM app.profiles WHERE owner_principal_id = ANY ($1)", principals)
}

func (p projection) ids(ctx context.Context, sql string, arguments ...interface{}) ([]int64, error) {
	rows, err := p.tx.Query(ctx, sql, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// renew locks the documents, then reads the rows: of two at once the later one sees the newer rows.
func (p projection) renew(ctx context.Context, contacts, profiles []int64) error {
	wanted := map[string]*Document{}
	for _, id := range contacts {
		wanted[ContactID(id)] = nil
	}
	for _, id := range profiles {
		wanted[ProfileID(id)] = nil
	}
	names := make([]string, 0, len(wanted))
	for name := range wanted {
		names = append(names, name)
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	if err := p.lock(ctx, names); err != nil {
		return err
	}
	if err := p.readContacts(ctx, contacts, wanted); err != nil {
		return err
	}
	if err := p.readProfiles(ctx, profiles, wanted); err != nil {
		return err
	}
	present := make([]*Document, 0, len(names))
	absent := make([]string, 0)
	for _, name := range names {
		if document := wanted[name]; document != nil {
			present = append(present, document)
		} else {
			absent = append(absent, name)
		}
	}
	return p.write(ctx, present, absent)
}
