-- Revert cutover:schemas from pg
-- Roles stay: they belong to the server, and other databases of it may use them.
BEGIN;
DROP SCHEMA shadow;
DROP SCHEMA serving;
DROP SCHEMA cutover;
COMMIT;
