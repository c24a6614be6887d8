#include "property/mutants.h"

#include <stdexcept>

namespace cutover::test {

const std::vector<Mutant>& mutants() {
  static const std::string kLock = "IF pg_advisory_xact_lock_shared(cutover.lock_class_worker(), v_worker_id) IS NULL THEN END IF;";
  static const std::vector<Mutant> all = {
      {"a claim that takes no lock", 20, {{"cutover.claim", kLock, ""}}, {"two_instances", "lost_ack"}},
      {"segments read before the lock is held", 66,
       {{"cutover.claim", kLock, ""}, {"cutover.claim", "  -- Settled before?", "  " + kLock + "\n  -- Settled before?"}},
       {}},
      {"a newest segment that speaks for what lies below it, too", 16, {{"cutover.claim", "v_from_sequence <= p_sequences[1] AND v_mode", "v_mode"}}, {}},
      {"a seize that does not ask what was settled", 280, {{"cutover.seize", "(v_untouched OR NOT EXISTS", "(true OR NOT EXISTS"}}, {"seize", "expire", "lost_ack"}},
      {"seized copies under the plain event id", 32,
       {{"cutover.seize", "cutover.seize_id(p_worker, p_epoch, p_stream, u.sequence)",
         "(SELECT e.event_id FROM unnest(p_sequences, p_event_ids) e (sequence, event_id) WHERE e.sequence = u.sequence)"}},
       {"seize"}},
      {"seized copies that every worker takes", 12, {{"cutover.copy_headers", "'Cutover-For', p_worker", "'Cutover-Was-For', p_worker"}}, {"seize", "expire"}},
      {"a seized replay that keeps its mark", 20, {{"cutover.seize_replays", "PERFORM cutover.free_marks(v_letters);", ""}}, {"dead", "replay", "seize"}},
      {"a mark that does not name its holder", 5,
       {{"cutover.take_marks", "m.key = u.mark AND m.stream_id = p_stream_id AND m.sequence = u.sequence", "m.key = u.mark"}},
       {"dup", "dead", "to_owner", "replay"}},
      {"a dead letter that gives its mark back", 5,
       {{"cutover.settle", "IF strpos(p_classes, 'r') > 0 THEN", "IF true THEN"}, {"cutover.settle", "u.class = 'r' AND u.plan = 0", "u.class IN ('r', 'x')"},
        {"cutover.take_marks", "WHERE EXISTS (SELECT FROM (SELECT", "WHERE true OR EXISTS (SELECT FROM (SELECT"}},
       {"dup", "dead", "replay"}},
      {"a retry that keeps its mark", 1, {{"cutover.settle", "IF strpos(p_classes, 'r') > 0 THEN", "IF false THEN"}}, {"retry"}},
      {"a replay without its plan", 25,
       {{"cutover.claim", "d.state = 'replaying' AND d.plan_id = u.plan", "d.state IN ('replaying', 'replayed', 'seized', 'handed over')"}},
       {"dead", "replay", "lost_ack", "seize"}},
      {"marks that expire without a floor", 16, {{"cutover.expire_marks", "m.marked_at < safe.before - p_horizon", "m.marked_at < now() - p_horizon"}}, {"dup", "expire"}},
      {"a reused sequence that counts as settled", 8, {{"cutover.settled_as", "p_hashes IS NULL OR", "true OR"}}, {"tail"}},
      {"compaction above what is behind everybody", 40, {{"cutover.compact_settlements", "upper(t.span) <= f.below", "true"}},
       {"tail", "compact", "crash", "two_instances"}},
      {"compaction by what was said too early", 39, {{"cutover.compact_settlements", "s.settled_at < f.at - p_age", "true"}}, {"tail", "compact"}},
      {"versions that nobody checks", 2, {{"cutover.claim", "IF v_ordered THEN", "IF false THEN"}, {"cutover.settle", "IF v_ordered THEN", "IF false THEN"}},
       {"ordered", "dead", "replay"}},
      {"a boundary below what was settled", 44, {{"cutover.append_segments", "greatest(v_item.last_sequence, v_item.seen) + 1", "v_item.last_sequence + 1"},
                                             {"cutover.append_segments", "v_item.seen > v_item.last_sequence AND p_mode <> 'monolith'", "false"}},
       {"stale"}},
      {"a first segment that forgets what the worker had", 19, {{"cutover.append_segments", "s.stream_id, 0, 'worker'", "s.stream_id, 0, 'monolith'"}}, {"unowned"}},
      {"a plan that sends what has changed", 58,
       {{"cutover.send_replay", "AND d.state = 'open' AND jsonb_array_length(d.history) = i.entries AND sha256(d.payload) = i.digest", ""}},
       {"dead", "replay", "plan"}},
      {"an edit of what is on its way", 11, {{"cutover.edit_letter", "v_letter.state <> 'open' OR", ""}}, {"dead", "replay", "edit", "plan"}},
      {"a drop of what was done", 10, {{"cutover.drop_letters", "AND d.state = 'open' AND NOT d.shadow", "AND NOT d.shadow"}}, {"dead", "replay", "drop"}},
      {"a letter that is handed over and keeps its mark", 1, {{"cutover.send_replay", "PERFORM cutover.free_marks(v_send);", ""}}, {"dead", "to_owner"}},
      {"a replay of what was received before the edit", 3,
       {{"cutover.publish_replays", "d.key, d.payload,", "d.key, coalesce(d.original, d.payload),"}}, {"dead", "replay", "edit"}},
      {"a replay to the other side", 1, {{"cutover.publish_replays", "THEN 'worker' ELSE 'monolith'", "THEN 'monolith' ELSE 'worker'"}}, {"dead", "replay"}},
      {"a drop that passes no version", 2, {{"cutover.drop_letters", "AND w.ordered AND", "AND NOT w.ordered AND"}}, {"ordered", "dead", "drop"}},
      {"a drop that passes the version of a key that lives elsewhere", 26, {{"cutover.drop_letters", "(held.yes OR d.idempotency_key = '')", "true"}},
       {"ordered", "dup", "dead", "drop"}},
  };
  return all;
}

void apply_mutant(TestDatabase& database, const Mutant& mutant) {
  for (const Mutant::Edit& edit : mutant.edits) {
    std::string text = database.value("SELECT pg_get_functiondef($1::regproc)", {edit.function});
    const std::size_t at = text.find(edit.from);
    if (at == std::string::npos) throw std::runtime_error("mutant \"" + mutant.name + "\": " + edit.function + " does not hold: " + edit.from);
    text.replace(at, edit.from.size(), edit.to);
    database.query(text);
  }
}

}  // namespace cutover::test
