-- Revert cutover:outbox from pg
BEGIN;
DROP TABLE cutover.outbox;
CREATE OR REPLACE FUNCTION cutover.schema_version() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2';
COMMIT;
