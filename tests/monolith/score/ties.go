package score

// Statements that make temporary tables of the transaction: who counts, what ties they have, and which are mutual. $1 is
// the instant t everywhere, $2 (where there is one) the principals that are wanted. Windows are in hours: a day of
// PostgreSQL has 23 to 25 of them, as the session's time zone has it.

// Active, and a person: a profile of class single or employee.
const eligible = `
	CREATE TEMP TABLE score_eligible ON COMMIT DROP AS
	SELECT p.principal_id AS id FROM app.principals p
	WHERE p.status = 'active' AND EXISTS (
	  SELECT FROM app.profiles f
	  WHERE f.owner_principal_id = p.principal_id AND f.profile_class IN ('single', 'employee'))`

// The score of a principal needs its own ties, those of its contacts, and for their strength those of the contacts of these.
const ownersNear = `
	CREATE TEMP TABLE score_owner ON COMMIT DROP AS
	WITH wanted AS (
	  SELECT e.id FROM score_eligible e WHERE e.id = ANY ($1::bigint[])),
	first AS (
	  SELECT DISTINCT c.target_id AS id FROM wanted w JOIN app.contacts c ON c.owner_id = w.id),
	second AS (
	  SELECT DISTINCT c.target_id AS id FROM first f JOIN app.contacts c ON c.owner_id = f.id)
	SELECT id, true AS wanted FROM wanted
	UNION ALL
	SELECT e.id, false FROM score_eligible e
	WHERE e.id <> ALL ($1::bigint[]) AND (e.id IN (SELECT id FROM first) OR e.id IN (SELECT id FROM second))`

const ownersAll = `
	CREATE TEMP TABLE score_owner ON COMMIT DROP AS SELECT id, true AS wanted FROM score_eligible`

// Edges before anything is dropped. Ranked are those of the last 7 days, for the damping of who adds in bulk.
const edges = `
	CREATE TEMP TABLE score_edge ON COMMIT DROP AS
	SELECT c.owner_id AS u, c.target_id AS v, c.contact_id, c.state, c.confidence, c.first_seen_at, c.last_evidence_at,
	       CASE WHEN c.first_seen_at <= $1 AND c.first_seen_at > $1::timestamptz - interval '168 hours'
	            THEN row_number() OVER (
	              PARTITION BY c.owner_id, c.first_seen_at <= $1 AND c.first_seen_at > $1::timestamptz - interval '168 hours'
	              ORDER BY c.first_seen_at, c.target_id) END AS rank_of_week
	FROM score_owner o
	JOIN app.contacts c ON c.owner_id = o.id
	JOIN score_eligible e ON e.id = c.target_id
	WHERE c.target_id <> c.owner_id AND NOT c.contested
	  AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay')`

// A confidence that no weight can be made of; NaN is above every number.
const unusable = `
	SELECT contact_id, confidence::text FROM score_edge
	WHERE confidence IS NULL OR confidence < 0 OR confidence > 1 ORDER BY contact_id LIMIT 1`

// w0 without and w with the damping. Those without weight are no ties.
const ties = `
	CREATE TEMP TABLE score_tie ON COMMIT DROP AS
	SELECT u, v, contact_id, confidence, seen, w0, w0 * d AS w
	FROM (
	  SELECT e.u, e.v, e.contact_id, e.confidence,
	         greatest(extract(epoch FROM $1::timestamptz - e.first_seen_at)::double precision / 86400, 0) AS seen,
	         e.confidence * CASE WHEN a.days <= 90 THEN 1 WHEN a.days < 365 THEN (365 - a.days) / 275 ELSE 0 END
	           * CASE e.state WHEN 'active_probable' THEN 0.5::double precision ELSE 1 END AS w0,
	         CASE WHEN e.rank_of_week > 50 THEN 0.1::double precision ELSE 1 END AS d
	  FROM score_edge e
	  CROSS JOIN LATERAL (
	    SELECT greatest(extract(epoch FROM $1::timestamptz - e.last_evidence_at)::double precision / 86400, 0) AS days) a) weighed
	WHERE w0 * d > 0`

const mutual = `
	CREATE TEMP TABLE score_mutual ON COMMIT DROP AS
	SELECT t.u, t.v, least(t.w, back.w) AS r FROM score_tie t JOIN score_tie back ON back.u = t.v AND back.v = t.u`

const strengths = `
	CREATE TEMP TABLE score_strength ON COMMIT DROP AS
	SELECT u, sum(r ORDER BY v) AS s FROM score_mutual GROUP BY u`
