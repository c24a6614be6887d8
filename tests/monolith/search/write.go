package search

import (
	"context"
	"encoding/json"
	"strings"
)

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
	       setweight(to_tsvector('simple', concat_ws(' ', left(d.phone, 1000), left(d.email, 1000),
		  left(d.username, 1000))), 'B') ||
	       setweight(to_tsvector('simple', concat_ws(' ', left(d.company_name, 10000), left(d.job_title,
		  10000))), 'C') ||
	       setweight(to_tsvector('simple', left(array_to_string(d.circle_names, ' '), 10000)), 'D'), $2, $3,
		  clock_timestamp()
	FROM jsonb_to_recordset($1::jsonb) d (doc_id text, kind text, owner_id bigint, visibility text,
		  display_name text, phone text, email text,
	     username text, company_name text, job_title text, circle_names text[])
	ORDER BY d.doc_id COLLATE "C"
	ON CONFLICT (doc_id) DO UPDATE
	  SET (` + fields + `, tsv, stream, seq, updated_at) = (` + prefixed("excluded.", fields) + `,
		  excluded.tsv, excluded.stream,
	       CASE WHEN excluded.stream = s.stream THEN greatest(excluded.seq, s.seq) ELSE excluded.seq END,
		  excluded.updated_at)
	  WHERE (` + prefixed("s.", fields) + `) IS DISTINCT FROM (` + prefixed("excluded.", fields) + `)
	RETURNING s.doc_id, s.kind, s.owner_id, (extract(epoch FROM s.updated_at) * 1000000)::bigint`

const deleteDocuments = `
	DELETE FROM serving.search_documents s WHERE s.doc_id = ANY ($1)
	RETURNING s.doc_id, s.kind, s.owner_id, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`

func prefixed(prefix, list string) string {
	return prefix + strings.ReplaceAll(list, ", ", ", "+prefix)
}
