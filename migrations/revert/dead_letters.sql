-- Revert cutover:dead_letters from pg
BEGIN;
DROP FUNCTION cutover.write_dead_letter(text, text, boolean, text, text, text, integer, bigint, text, text, text, text, text, text,
  text, bigint, text, text, text, integer, timestamptz, timestamptz, jsonb, bytea);
DROP FUNCTION cutover.event_hash(text);
DROP TABLE cutover.dead_letters;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 3';
COMMIT;
