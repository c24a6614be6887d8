package world

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v4"
)

// Counts are the rows by table.
type Counts map[string]int64

// Load fills the empty tables of schema app by COPY, in the given transaction. With replace it empties them first; else
// rows that are there already are an error.
func Load(ctx context.Context, tx pgx.Tx, w World, replace bool) (Counts, error) {
	if replace {
		if _, err := tx.Exec(ctx, `TRUNCATE app.principals, app.profiles, app.channels, app.contacts, app.circles,
			app.circle_members, app.cases, app.trust_incidents`); err != nil {
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
		{"profiles", "profile_id, owner_principal_id, profile_class, display_name, company_name, job_title, discoverable, org_id, updated_at",
			"profile_id", func(out *copyWriter) {
				w.Profiles(func(r Profile) {
					out.id(r.ID).id(r.OwnerID).text(r.Class).text(r.DisplayName).text(r.CompanyName).text(r.JobTitle).flag(r.Discoverable).
						id(r.OrgID).time(r.UpdatedAt).end()
				})
			}},
		{"channels", "channel_id, principal_id, kind, value, state, verified_at", "channel_id", func(out *copyWriter) {
			w.Channels(func(r Channel) {
				out.id(r.ID).id(r.PrincipalID).text(r.Kind).text(r.Value).text(r.State).time(r.VerifiedAt).end()
			})
		}},
		{"contacts", "contact_id, owner_id, target_id, display_name, phone, email, company_name, job_title, state, confidence, contested, " +
			"first_seen_at, last_evidence_at, ended_at", "contact_id", func(out *copyWriter) {
			w.Contacts(func(r Contact) {
				out.id(r.ID).id(r.OwnerID).id(r.TargetID).text(r.DisplayName).text(r.Phone).text(r.Email).text(r.CompanyName).
					text(r.JobTitle).text(r.State).number(r.Confidence).flag(r.Contested).time(r.FirstSeenAt).time(r.LastEvidenceAt).time(r.EndedAt).end()
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
		{"cases", "case_id, case_type, severity, state, principal_id, counterparty_id, channel_id, opened_at, resolved_at", "case_id",
			func(out *copyWriter) {
				w.Cases(func(r Case) {
					out.id(r.ID).text(r.Type).text(r.Severity).text(r.State).id(r.PrincipalID).id(r.CounterpartyID).id(r.ChannelID).
						time(r.OpenedAt).time(r.ResolvedAt).end()
				})
			}},
		{"trust_incidents", "incident_id, principal_id, kind, band, occurred_at, cleared_at", "incident_id", func(out *copyWriter) {
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
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, reader, fmt.Sprintf("COPY app.%s (%s) FROM STDIN", t.name, t.columns))
	reader.CloseWithError(io.ErrClosedPipe) // after an error the writer must not wait for ever
	if err != nil {
		return err
	}
	counts[t.name] = tag.RowsAffected()
	if t.id != "" && tag.RowsAffected() > 0 {
		_, err = tx.Exec(ctx, fmt.Sprintf("SELECT setval(pg_get_serial_sequence('app.%s', '%s'), max(%s)) FROM app.%s", t.name, t.id, t.id, t.name))
	}
	return err
}

// copyWriter writes rows in the text format of COPY. Write errors stick to the bufio.Writer.
type copyWriter struct {
	*bufio.Writer
	started bool
	scratch []byte
}

func (w *copyWriter) field() {
	if w.started {
		w.WriteByte('\t')
	}
	w.started = true
}

func (w *copyWriter) null() *copyWriter {
	w.field()
	w.WriteString(`\N`)
	return w
}

func (w *copyWriter) id(id int64) *copyWriter {
	if id == 0 {
		return w.null()
	}
	w.field()
	w.scratch = strconv.AppendInt(w.scratch[:0], id, 10)
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) number(number float64) *copyWriter {
	w.field()
	w.scratch = strconv.AppendFloat(w.scratch[:0], math.Round(number*1e6)/1e6, 'g', -1, 64)
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) flag(flag bool) *copyWriter {
	w.field()
	if flag {
		w.WriteByte('t')
	} else {
		w.WriteByte('f')
	}
	return w
}

func (w *copyWriter) time(at time.Time) *copyWriter {
	if at.IsZero() {
		return w.null()
	}
	w.field()
	w.scratch = at.UTC().AppendFormat(w.scratch[:0], "2006-01-02 15:04:05.999999Z07")
	w.Write(w.scratch)
	return w
}

func (w *copyWriter) text(text string) *copyWriter {
	if text == "" {
		return w.null()
	}
	w.field()
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			w.WriteString(`\\`)
		case '\t':
			w.WriteString(`\t`)
		case '\n':
			w.WriteString(`\n`)
		case '\r':
			w.WriteString(`\r`)
		default:
			w.WriteByte(text[i])
		}
	}
	return w
}

func (w *copyWriter) end() {
	w.WriteByte('\n')
	w.started = false
}
