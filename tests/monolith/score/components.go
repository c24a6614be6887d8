package score

// tieParts: what the ties of each wanted principal come to. Best are its 50 heaviest ties, close its 64 closest mutual ones.
const tieParts = `
	CREATE TEMP TABLE score_parts ON COMMIT DROP AS
	WITH mine AS (
	  SELECT t.*, m.r, row_number() OVER (PARTITION BY t.u ORDER BY t.w DESC, t.v) AS best
	  FROM score_tie t
	  JOIN score_owner o ON o.id = t.u AND o.wanted
	  LEFT JOIN score_mutual m ON m.u = t.u AND m.v = t.v),
	sums AS (
	  SELECT u, count(*)::double precision AS n,
	         coalesce(sum(w0 ORDER BY v) FILTER (WHERE r > 0), 0) / sum(w0 ORDER BY v) AS reciprocity,
	         sum(w * confidence ORDER BY v) / sum(w ORDER BY v) AS confidence,
	         count(*) FILTER (WHERE EXISTS (
	           SELECT FROM app.circle_members k JOIN app.circles i ON i.circle_id = k.circle_id
	           WHERE k.contact_id = mine.contact_id AND i.owner_id = mine.u)) / count(*)::double precision AS in_circles
	  FROM mine GROUP BY u),
	best AS (
	  SELECT u,
	         count(*) FILTER (WHERE EXISTS (
	           SELECT FROM app.channels c
	           WHERE c.principal_id = mine.v AND c.state IN ('verified_active', 'recovered'))) / count(*)::double precision AS verified,
	         sum(CASE WHEN r > 0 THEN 1 ELSE 0.25::double precision END * least(1, seen / 90) ORDER BY v) / count(*) AS persistence
	  FROM mine WHERE best <= 50 GROUP BY u),
	close AS (
	  SELECT u, v FROM (
	    SELECT m.u, m.v, row_number() OVER (PARTITION BY m.u ORDER BY m.r DESC, m.v) AS place
	    FROM score_mutual m JOIN score_owner o ON o.id = m.u AND o.wanted) ranked
	  WHERE place <= 64),
	linked AS (
	  SELECT a.u, count(*) AS pairs
	  FROM close a JOIN close b ON b.u = a.u AND b.v > a.v JOIN score_mutual m ON m.u = a.v AND m.v = b.v
	  GROUP BY a.u),
	openness AS (
	  SELECT c.u, CASE WHEN count(*) < 2 THEN 0
	                   ELSE 1 - coalesce(max(l.pairs), 0) / (count(*) * (count(*) - 1) / 2)::double precision END AS open_pairs
	  FROM close c LEFT JOIN linked l ON l.u = c.u GROUP BY c.u),
	reach AS (
	  SELECT m.u, sum(m.r * ln(1 + s.s) / ln(501::double precision) ORDER BY m.v) AS h
	  FROM score_mutual m JOIN score_owner o ON o.id = m.u AND o.wanted JOIN score_strength s ON s.u = m.v
	  GROUP BY m.u)
	SELECT o.id AS u, coalesce(t.n, 0) AS n, coalesce(t.reciprocity, 0) AS reciprocity,
	       coalesce(t.confidence, 0) AS confidence, coalesce(b.verified, 0) AS verified,
	       coalesce(t.in_circles, 0) AS in_circles, coalesce(b.persistence, 0) AS persistence,
	       least(1, ln(1 + coalesce(s.s, 0) + 0.25 * coalesce(h.h, 0)) / ln(501::double precision)) AS strength,
	       coalesce(p.open_pairs, 0) AS open_pairs
	FROM score_owner o
	LEFT JOIN sums t ON t.u = o.id
	LEFT JOIN best b ON b.u = o.id
	LEFT JOIN openness p ON p.u = o.id
	LEFT JOIN score_strength s ON s.u = o.id
	LEFT JOIN reach h ON h.u = o.id
	WHERE o.wanted`

// results: the components and the score of each wanted principal.
const results = `
	CREATE TEMP TABLE score_result ON COMMIT DROP AS
	WITH lost AS (
	  SELECT c.owner_id AS u, count(*)::double precision AS ended
	  FROM score_owner o
	  JOIN app.contacts c ON c.owner_id = o.id
	  JOIN score_eligible e ON e.id = c.target_id
	  WHERE o.wanted AND c.state = 'tombstoned' AND c.target_id <> c.owner_id AND NOT c.contested
	    AND c.ended_at <= $1 AND c.ended_at > $1::timestamptz - interval '2160 hours'
	  GROUP BY c.owner_id),
	verified AS (
	  SELECT c.principal_id AS u, count(DISTINCT c.kind) FILTER (WHERE c.kind IN ('phone', 'email')) / 2::double precision AS kinds,
	         least(1, greatest(extract(epoch FROM $1::timestamptz - min(c.verified_at))::double precision / 86400, 0) / 90) AS age
	  FROM score_owner o JOIN app.channels c ON c.principal_id = o.id
	  WHERE o.wanted AND c.state IN ('verified_active', 'recovered') GROUP BY c.principal_id),
	incidents AS (
	  SELECT i.principal_id AS u,
	         bool_or(i.kind = 'dispute' AND i.cleared_at IS NULL OR
	                 i.kind IN ('forced_recovery', 'reverification_failure')
	                 AND i.occurred_at <= $1 AND i.occurred_at > $1::timestamptz - interval '2160 hours') AS broken,
	         count(*) FILTER (WHERE i.kind = 'abuse_flag' AND i.cleared_at IS NULL) AS flags,
	         sum(b.points * CASE WHEN i.cleared_at IS NULL THEN 1 ELSE greatest(0, 1 -
	               greatest(extract(epoch FROM $1::timestamptz - i.cleared_at)::double precision / 86400, 0) / b.days) END
	             ORDER BY i.incident_id) AS points
	  FROM score_owner o
	  JOIN app.trust_incidents i ON i.principal_id = o.id
	  JOIN (VALUES ('soft', 8::double precision, 30), ('moderate', 15, 60), ('hard', 30, 90)) b (band, points, days) USING (band)
	  WHERE o.wanted GROUP BY i.principal_id),
	components AS (
	  SELECT p.u, p.n,
	         least(1, (0.5::double precision * p.reciprocity + 0.2::double precision * p.confidence
	                   + 0.3::double precision * p.verified) * (1 + 0.05::double precision * p.in_circles))
	           * (p.n / (p.n + 5)) AS quality,
	         (0.5::double precision * p.strength + 0.5::double precision * p.open_pairs) * least(1, p.reciprocity / 0.25::double precision)
	           AS position,
	         0.6::double precision * p.persistence
	           * (1 - CASE WHEN coalesce(l.ended, 0) + p.n = 0 THEN 0 ELSE coalesce(l.ended, 0) / (coalesce(l.ended, 0) + p.n) END)
	           + 0.4::double precision * coalesce(v.age, 0) AS stability,
	         0.5::double precision * CASE WHEN i.broken THEN 0 ELSE 1 END + 0.3::double precision * coalesce(v.kinds, 0)
	           + 0.2::double precision * (1 - least(1, coalesce(i.flags, 0) / 3::double precision)) AS trust,
	         least(30, coalesce(i.points, 0)) AS penalty
	  FROM score_parts p
	  LEFT JOIN lost l ON l.u = p.u
	  LEFT JOIN verified v ON v.u = p.u
	  LEFT JOIN incidents i ON i.u = p.u)
	SELECT u AS principal_id, n::bigint AS ties, quality, position, stability, trust, penalty,
	       least(100, greatest(0, 100 * (0.40::double precision * quality + 0.30::double precision * position
	         + 0.20::double precision * stability + 0.10::double precision * trust) - penalty)) AS score
	FROM components`
