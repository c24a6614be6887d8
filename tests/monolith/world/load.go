package world

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/jackc/pgx/v4"
)

// Counts are the rows by table.
type Counts map[string]int64

// Load fills the empty tables of schema app by COPY, in the given transaction. With replace it empties them first; else
// rows that are there already are an error.
func Load(ctx context.Context, tx pgx.Tx, w World, replace bool) (Counts, error) {
	if replace {
		if _, err := tx.Exec(ctx, `TRUNCATE app.principals, app.profiles, app.channels, app.contacts, app.circles,
			app.circle_members, app.cases, app.trust_incidents, app.answered`); err != nil {
			return nil, err
		}
	}
	var present bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM app.principals)").Scan(&present); err != nil {
		return nil, err
	}
	if present {
		return nil, fmt.Errorf("schema app holds a world already; give --replace to throw it away")
	}
	counts := Counts{}
	for _, table := range tables(w) {
		if err := table.copy(ctx, tx, counts); err != nil {
			return nil, fmt.Errorf("app.%s: %w", table.name, err)
		}
	}
	return counts, nil
}

type table struct {
	name    string
	columns string
	id      string // identity column, empty for none
	rows    func(*copyWriter)
}

func tables(w World) []table {
	return []table{
		{"principals", "principal_id, username, status, created_at", "principal_id", func(out *copyWriter) {
			w.Principals(func(r Principal) { out.id(r.ID).text(r.Username).text(r.Status).time(r.CreatedAt).end() })
		}},
		{"profiles",
			"profile_id, owner_principal_id, profile_class, display_name, company_name, job_title, discoverable, org_id, updated_at",
			"profile_id", func(out *copyWriter) {
				w.Profiles(func(r Profile) {
					out.id(r.ID).id(r.OwnerID).text(r.Class).text(r.DisplayName).text(r.CompanyName).text(r.JobTitle).
						flag(r.Discoverable).id(r.OrgID).time(r.UpdatedAt).end()
				})
			}},
		{"channels", "channel_id, principal_id, kind, value, state, verified_at", "channel_id",
			func(out *copyWriter) {
				w.Channels(func(r Channel) {
					out.id(r.ID).id(r.PrincipalID).text(r.Kind).text(r.Value).text(r.State).time(r.VerifiedAt).end()
				})
			}},
		{"contacts",
			"contact_id, owner_id, target_id, display_name, phone, email, company_name, job_title, state, confidence, " +
				"contested, first_seen_at, last_evidence_at, ended_at",
			"contact_id", func(out *copyWriter) {
				w.Contacts(func(r Contact) {
					out.id(r.ID).id(r.OwnerID).id(r.TargetID).text(r.DisplayName).text(r.Phone).text(r.Email).
						text(r.CompanyName).text(r.JobTitle).text(r.State).number(r.Confidence).flag(r.Contested).
						time(r.FirstSeenAt).time(r.LastEvidenceAt).time(r.EndedAt).end()
				})
			}},
		{"circles", "circle_id, owner_id, name", "circle_id", func(out *copyWriter) {
			w.Circles(func(r Circle) { out.id(r.ID).id(r.OwnerID).text(r.Name).end() })
		}},
		{"circle_members", "circle_id, contact_id", "", func(out *copyWriter) {
			w.Circles(func(r Circle) {
				for _, contact := range r.ContactIDs {
					out.id(r.ID).id(contact).end()
				}
			})
		}},
		{"cases",
			"case_id, case_type, severity, state, principal_id, counterparty_id, channel_id, opened_at, resolved_at", "case_id",
			func(out *copyWriter) {
				w.Cases(func(r Case) {
					out.id(r.ID).text(r.Type).text(r.Severity).text(r.State).id(r.PrincipalID).
						id(r.CounterpartyID).id(r.ChannelID).time(r.OpenedAt).time(r.ResolvedAt).end()
				})
			}},
		{"trust_incidents", "incident_id, principal_id, kind, band, occurred_at, cleared_at", "incident_id",
			func(out *copyWriter) {
				w.Incidents(func(r Incident) {
					out.id(r.ID).id(r.PrincipalID).text(r.Kind).text(r.Band).time(r.OccurredAt).time(r.ClearedAt).end()
				})
			}},
	}
}

func (t table) copy(ctx context.Context, tx pgx.Tx, counts Counts) error {
	reader, writer := io.Pipe()
	go func() {
		out := &copyWriter{Writer: bufio.NewWriterSize(writer, 1<<16)}
		t.rows(out)
		writer.CloseWithError(out.Flush()) // nil: the end
	}()
	sql := fmt.Sprintf("COPY app.%s (%s) FROM STDIN", t.name, t.columns)
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, reader, sql)
	reader.CloseWithError(io.ErrClosedPipe) // after an error the writer must not wait for ever
	if err != nil {
		return err
	}
	counts[t.name] = tag.RowsAffected()
	if t.id != "" && tag.RowsAffected() > 0 {
		_, err = tx.Exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('app.%[1]s', '%[2]s'), max(%[2]s)) FROM app.%[1]s",
			t.name, t.id))
	}
	return err
}
