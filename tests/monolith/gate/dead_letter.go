package gate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v4"
)

// Kinds of dead letters.
const (
	Malformed          = "malformed"
	UnsupportedVersion = "unsupported_version"
	Rejected           = "rejected"
	Transient          = "transient"
	Gap                = "gap" // an earlier version of its subject stayed missing
)

// DeadLetter gives the event up: a row and a message for stream DLQ. The caller settles the event as DeadLettered in the
// same transaction.
func (g *Gate) DeadLetter(ctx context.Context, tx pgx.Tx, m *Message, kind, cause string, attempts int) error {
	cause = errorText(cause)
	_, err := tx.Exec(ctx, `
		SELECT cutover.write_dead_letter($1, 'monolith', false, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
		  $15, $16, $17, $18,
		  (SELECT a.first_failed_at FROM cutover.attempts a
		   JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
		   WHERE w.worker = $1 AND s.stream = $4 AND s.incarnation = $5 AND a.sequence = $6 AND NOT a.shadow),
		  $19, $20, $21)`,
		g.Worker, g.Instance, g.Build, m.Stream, m.Incarnation, m.Sequence, m.eventID(), m.event.Name, m.Lane,
		m.Subject, m.Key(), m.event.TenantScope, m.event.IdempotencyKey, g.version(m), kind, cause,
		errorGroup(cause), attempts, m.PublishedAt, headersJSON(m.Header), m.Data)
	return err
}

// headersJSON writes [[name, value], ...]; a value that is no text is [name, null, base64].
func headersJSON(header map[string][]string) string {
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	sort.Strings(names)
	list := make([][]interface{}, 0, len(names))
	for _, name := range names {
		for _, value := range header[name] {
			if utf8.ValidString(value) && !strings.ContainsRune(value, 0) {
				list = append(list, []interface{}{name, value})
			} else {
				list = append(list, []interface{}{name, nil, base64.StdEncoding.EncodeToString([]byte(value))})
			}
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("headers are no JSON: " + err.Error()) // texts only
	}
	return string(text)
}

// errorText is an error as it is stored: at most 2 KiB of text.
func errorText(cause string) string {
	const bytesMax = 2048
	cause = strings.ToValidUTF8(strings.ReplaceAll(cause, "\x00", "?"), "?")
	if len(cause) > bytesMax {
		cause = strings.ToValidUTF8(cause[:bytesMax], "")
	}
	return cause
}

var masks = []struct {
	pattern *regexp.Regexp
	mask    string
}{
	{regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "<id>"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?`), "<time>"},
	{regexp.MustCompile(`"[^"]*"`), "<text>"},
	{regexp.MustCompile(`\d+(\.\d+)*`), "<n>"},
	{regexp.MustCompile(`\s+`), " "},
}

// errorGroup is the error with everything masked that differs between two occurrences of one problem.
func errorGroup(cause string) string {
	for _, m := range masks {
		cause = m.pattern.ReplaceAllString(cause, m.mask)
	}
	return cause
}
