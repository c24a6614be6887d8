package search

import (
	"context"
	"encoding/json"
	"sort"
	"strings"

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
		contacts, err := p.ids(ctx, "SELECT contact_id FROM app.contacts WHERE owner_id = $1 AND contact_id > $2 ORDER BY contact_id LIMIT $3",
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

func (p projection) readContacts(ctx context.Context, contacts []int64, wanted map[string]*Document) error {
	if len(contacts) == 0 {
		return nil
	}
	rows, err := p.tx.Query(ctx, `
		SELECT c.contact_id, c.owner_id, c.display_name, c.phone, c.email, c.company_name, c.job_title, c.state, coalesce(c.contested, false),
		       ARRAY(SELECT k.name FROM app.circle_members m JOIN app.circles k ON k.circle_id = m.circle_id WHERE m.contact_id = c.contact_id)
		FROM app.contacts c WHERE c.contact_id = ANY ($1)`, contacts)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c Contact
		var circles []string
		if err := rows.Scan(&c.ID, &c.OwnerID, &c.DisplayName, &c.Phone, &c.Email, &c.CompanyName, &c.JobTitle, &c.State, &c.Contested,
			&circles); err != nil {
			return err
		}
		wanted[ContactID(c.ID)] = ContactDocument(c, circles)
	}
	return rows.Err()
}

func (p projection) readProfiles(ctx context.Context, profiles []int64, wanted map[string]*Document) error {
	if len(profiles) == 0 {
		return nil
	}
	found, owners, err := p.profileRows(ctx, profiles)
	if err != nil {
		return err
	}
	channels, err := p.channels(ctx, owners)
	if err != nil {
		return err
	}
	for _, profile := range found {
		wanted[ProfileID(profile.ID)] = ProfileDocument(profile, channels[profile.OwnerID])
	}
	return nil
}

func (p projection) profileRows(ctx context.Context, profiles []int64) (found []Profile, owners []int64, err error) {
	rows, err := p.tx.Query(ctx, `
		SELECT p.profile_id, p.owner_principal_id, p.profile_class, p.display_name, p.company_name, p.job_title, p.discoverable,
		       o.status, o.username
		FROM app.profiles p JOIN app.principals o ON o.principal_id = p.owner_principal_id WHERE p.profile_id = ANY ($1)`, profiles)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one Profile
		if err := rows.Scan(&one.ID, &one.OwnerID, &one.Class, &one.DisplayName, &one.CompanyName, &one.JobTitle, &one.Discoverable,
			&one.OwnerStatus, &one.OwnerUsername); err != nil {
			return nil, nil, err
		}
		found = append(found, one)
		owners = append(owners, one.OwnerID)
	}
	return found, owners, rows.Err()
}

func (p projection) channels(ctx context.Context, principals []int64) (map[int64][]Channel, error) {
	rows, err := p.tx.Query(ctx,
		"SELECT principal_id, channel_id, kind, value, state, verified_at FROM app.channels WHERE principal_id = ANY ($1)", principals)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byPrincipal := map[int64][]Channel{}
	for rows.Next() {
		var principal int64
		var c Channel
		if err := rows.Scan(&principal, &c.ID, &c.Kind, &c.Value, &c.State, &c.VerifiedAt); err != nil {
			return nil, err
		}
		byPrincipal[principal] = append(byPrincipal[principal], c)
	}
	return byPrincipal, rows.Err()
}

func (p projection) write(ctx context.Context, present []*Document, absent []string) error {
	if len(present) > 0 {
		documents, err := json.Marshal(present)
		if err != nil {
			return err
		}
		upserted, err := p.changes(ctx, upsertDocuments, string(documents), p.m.Stream, p.m.Sequence)
		if err != nil {
			return err
		}
		if err := p.announce(ctx, "search.document_upserted", upserted); err != nil {
			return err
		}
	}
	if len(absent) == 0 {
		return nil
	}
	deleted, err := p.changes(ctx, deleteDocuments, absent)
	if err != nil {
		return err
	}
	return p.announce(ctx, "search.document_deleted", deleted)
}

// change is a document that was written or deleted.
type change struct {
	docID   string
	kind    string
	ownerID *int64
	version int64 // grows with every change of the document
}

func (p projection) changes(ctx context.Context, sql string, arguments ...interface{}) ([]change, error) {
	rows, err := p.tx.Query(ctx, sql, arguments...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []change
	for rows.Next() {
		var c change
		if err := rows.Scan(&c.docID, &c.kind, &c.ownerID, &c.version); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

const fields = "kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names"

// Only what differs is written. Long texts count with their beginning: a tsvector has a size limit. The stream and sequence
// of a row never go back within a stream.
var upsertDocuments = `
	INSERT INTO serving.search_documents AS s (doc_id, ` + fields + `, tsv, stream, seq, updated_at)
	SELECT d.doc_id, ` + prefixed("d.", fields) + `,
	       setweight(to_tsvector('simple', left(coalesce(d.display_name, ''), 10000)), 'A') ||
	       setweight(to_tsvector('simple', concat_ws(' ', left(d.phone, 1000), left(d.email, 1000), left(d.username, 1000))), 'B') ||
	       setweight(to_tsvector('simple', concat_ws(' ', left(d.company_name, 10000), left(d.job_title, 10000))), 'C') ||
	       setweight(to_tsvector('simple', left(array_to_string(d.circle_names, ' '), 10000)), 'D'), $2, $3, clock_timestamp()
	FROM jsonb_to_recordset($1::jsonb) d (doc_id text, kind text, owner_id bigint, visibility text, display_name text, phone text, email text,
	     username text, company_name text, job_title text, circle_names text[])
	ORDER BY d.doc_id COLLATE "C"
	ON CONFLICT (doc_id) DO UPDATE
	  SET (` + fields + `, tsv, stream, seq, updated_at) = (` + prefixed("excluded.", fields) + `, excluded.tsv, excluded.stream,
	       CASE WHEN excluded.stream = s.stream THEN greatest(excluded.seq, s.seq) ELSE excluded.seq END, excluded.updated_at)
	  WHERE (` + prefixed("s.", fields) + `) IS DISTINCT FROM (` + prefixed("excluded.", fields) + `)
	RETURNING s.doc_id, s.kind, s.owner_id, (extract(epoch FROM s.updated_at) * 1000000)::bigint`

const deleteDocuments = `
	DELETE FROM serving.search_documents s WHERE s.doc_id = ANY ($1)
	RETURNING s.doc_id, s.kind, s.owner_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

func prefixed(prefix, list string) string {
	return prefix + strings.ReplaceAll(list, ", ", ", "+prefix)
}
