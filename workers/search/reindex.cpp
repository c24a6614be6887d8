#include "workers/search/reindex.h"

#include <algorithm>

#include "workers/search/announcement.h"

namespace cutover::search {
namespace {

constexpr std::string_view kAbandon = R"sql(
UPDATE search_reindex_runs SET state = 'abandoned', finished_at = now()
WHERE finished_at IS NULL AND coalesce(owner_id, 0) = $1::bigint
  AND ($2::boolean OR progressed_at < now() - interval '1 day'))sql";

constexpr std::string_view kOpen = R"sql(
INSERT INTO search_reindex_runs AS r (owner_id, expected) VALUES (nullif($1::bigint, 0), $2::bigint)
ON CONFLICT (coalesce(owner_id, 0)) WHERE finished_at IS NULL
DO UPDATE SET state = 'running', error = NULL, progressed_at = now()
RETURNING run_id, xmax <> 0 AS resumed)sql";

// Two processes may drive one run: they take turns.
constexpr std::string_view kPlace = R"sql(
SELECT phase, cursor_id, cursor_doc_id, seen, expected, upserted, deleted, state
FROM search_reindex_runs WHERE run_id = $1::uuid FOR UPDATE)sql";

constexpr std::string_view kAdvance = R"sql(
UPDATE search_reindex_runs SET phase = $2::text, cursor_id = $3::bigint, cursor_doc_id = $4::text, seen = $5::bigint,
  upserted = $6::bigint, deleted = $7::bigint, progressed_at = now() WHERE run_id = $1::uuid)sql";

constexpr std::string_view kFinish = R"sql(
UPDATE search_reindex_runs SET state = $2::text, error = nullif($3::text, ''), progressed_at = now(),
  finished_at = CASE WHEN $4::boolean THEN now() END WHERE run_id = $1::uuid AND state = 'running')sql";

// What was published before a full run began is in the documents now. (A projection in `shadow` has no watermark.)
constexpr std::string_view kBuilt = R"sql(
UPDATE serving.search_watermark w SET applied_through = greatest(w.applied_through, r.started_at), at = now()
FROM search_reindex_runs r
WHERE r.run_id = $1::uuid AND r.owner_id IS NULL AND r.state = 'completed' AND current_schema() = 'serving')sql";

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

class Run {
 public:
  Run(const InTransaction& in_transaction, const ReindexOptions& options) : in_transaction_(in_transaction), options_(options) {}

  void open();
  // False at the end.
  bool step();
  ReindexOutcome close(const DriftReport& drift);
  void fail(const std::string& error);
  const ReindexProgress& progress() const { return progress_; }

 private:
  void read_place(Transaction& tx, WalkPlace& place);
  void emit(Transaction& tx, const char* event_name, const std::string& more);

  const InTransaction& in_transaction_;
  const ReindexOptions& options_;
  ReindexProgress progress_;
};

void Run::emit(Transaction& tx, const char* event_name, const std::string& more) {
  Outgoing event;
  event.event_name = event_name;
  event.subject_type = "search_reindex";
  event.subject_id = progress_.run_id;
  // A run that failed and goes on starts and fails more than once.
  event.idempotency_key = std::string(event_name) + ":" + progress_.run_id + ":" + progress_.phase + ":" +
                          std::to_string(tx.now().time_since_epoch().count());
  event.payload = "{\"run_id\":\"" + progress_.run_id + '"';
  if (options_.owner) event.payload += ",\"owner_id\":" + std::to_string(*options_.owner);
  event.payload += more + '}';
  tx.emit(Event{}, std::move(event));
}

void Run::open() {
  in_transaction_([&](Transaction& tx) {
    const std::int64_t owner = options_.owner.value_or(0);
    tx.query(kAbandon, {owner, options_.restart});
    auto opened = tx.query(kOpen, {owner, walk_length(tx, options_.owner)});
    progress_.run_id = opened->text(0, 0);
    progress_.resumed = opened->boolean(0, 1);
    WalkPlace place;
    read_place(tx, place);
    emit(tx, "search.reindex_started", progress_.resumed ? ",\"resumed\":true" : "");
  });
}

void Run::read_place(Transaction& tx, WalkPlace& place) {
  auto row = tx.query(kPlace, {std::string_view(progress_.run_id)});
  if (row->size() == 0 || row->text(0, 7) != "running")
    throw std::runtime_error("reindex run " + progress_.run_id + " was ended by another process");
  progress_.phase = row->text(0, 0);
  place = {phase_named(row->text(0, 0)), row->integer(0, 1), std::string(row->text(0, 2))};
  progress_.seen = row->integer(0, 3);
  progress_.expected = row->integer(0, 4);
  progress_.upserted = row->integer(0, 5);
  progress_.deleted = row->integer(0, 6);
}

bool Run::step() {
  in_transaction_([&](Transaction& tx) {
    WalkPlace place;
    read_place(tx, place);
    if (place.phase == WalkPlace::Phase::done) return;
    const WalkStep step = walk(tx, place, options_.owner, options_.chunk_documents);
    const std::string origin = "reindex/" + progress_.run_id;
    for (const Changed& change : project(tx, step.contacts, step.profiles)) {
      ++(change.deleted ? progress_.deleted : progress_.upserted);
      announce(tx, Event{}, change, origin, kBulkPriority);
    }
    const std::vector<std::string_view> nameless(step.nameless.begin(), step.nameless.end());
    progress_.deleted += static_cast<std::int64_t>(delete_nameless(tx, nameless));
    progress_.seen += static_cast<std::int64_t>(step.seen);
    progress_.expected = std::max(progress_.expected, progress_.seen);
    progress_.phase = name_of(step.next.phase);
    tx.query(kAdvance, {std::string_view(progress_.run_id), std::string_view(progress_.phase), step.next.id,
                        std::string_view(step.next.doc_id), progress_.seen, progress_.upserted, progress_.deleted});
  });
  return progress_.phase != name_of(WalkPlace::Phase::done);
}

ReindexOutcome Run::close(const DriftReport& drift) {
  const bool drifted = drift.verdict == DriftVerdict::different;
  in_transaction_([&](Transaction& tx) {
    const std::string error =
        drifted ? std::to_string(drift.missing + drift.extra + drift.different) + " of " + std::to_string(drift.checked) +
                      " documents still differ from the source"
                : "";
    tx.query(kFinish, {std::string_view(progress_.run_id), std::string_view(drifted ? "failed" : "completed"),
                       std::string_view(error), true});
    tx.query(kBuilt, {std::string_view(progress_.run_id)});
    std::string more = ",\"seen\":" + std::to_string(progress_.seen) + ",\"upserted\":" + std::to_string(progress_.upserted) +
                       ",\"deleted\":" + std::to_string(progress_.deleted) + ",\"drift\":\"" + std::string(name_of(drift.verdict)) + '"';
    if (drifted) more += ",\"error\":" + quoted(error);
    emit(tx, drifted ? "search.reindex_failed" : "search.reindex_completed", more);
  });
  return drifted ? ReindexOutcome::drifted : ReindexOutcome::completed;
}

void Run::fail(const std::string& error) {
  if (progress_.run_id.empty()) return;
  try {
    in_transaction_([&](Transaction& tx) {
      tx.query(kFinish, {std::string_view(progress_.run_id), std::string_view("failed"), std::string_view(error), false});
      emit(tx, "search.reindex_failed", ",\"error\":" + quoted(error));
    });
  } catch (const std::exception&) {
    // The database is away: the run stays open, and the next call goes on with it.
  }
}

}  // namespace

ReindexReport reindex(const InTransaction& in_transaction, const ReindexOptions& options,
                      const std::function<bool(const ReindexProgress&)>& progress,
                      const std::function<bool(std::chrono::milliseconds)>& wait) {
  Run run(in_transaction, options);
  ReindexReport report;
  try {
    run.open();
    for (bool more = true; more;) {
      more = run.step();
      report.progress = run.progress();
      if (!progress(report.progress) && more) return report;
    }
    DriftOptions check = options.drift;
    check.owner = options.owner;
    report.drift = drift(in_transaction, check, wait);
    report.outcome = run.close(*report.drift);
    return report;
  } catch (const std::exception& e) {
    run.fail(e.what());
    throw;
  }
}

}  // namespace cutover::search
