-- Revert cutover:ledger from pg
BEGIN;
DROP FUNCTION cutover.stream_incarnation(text, timestamptz), cutover.register_worker(text, boolean, text), cutover.lock_class_worker(),
  cutover.lock_class_instance(), cutover.lock_class_relay(), cutover.lock_class_upkeep(), cutover.schema_version();
DROP TABLE cutover.copies, cutover.waiting, cutover.aggregates, cutover.floors, cutover.progress, cutover.instances, cutover.started, cutover.attempts, cutover.skipped, cutover.settlements,
  cutover.mark_slot, cutover.marks_1, cutover.marks_0, cutover.marks, cutover.ownership, cutover.streams, cutover.workers;
COMMIT;
