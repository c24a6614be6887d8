#include "runtime/cli/ownership_seed.h"

#include "runtime/cli/operator_transactions.h"
#include "runtime/cli/ownership_facts.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/host/backlog.h"
#include "runtime/postgres/parameters.h"

namespace cutover::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLook{200};

// What of these events nobody has settled.
std::uint64_t still_unsettled(const WorkerSpec& worker, postgres::Connection& database,
                              std::vector<Backlog>& parts) {
  std::uint64_t left = 0;
  for (Backlog& part : parts) {
    if (part.events.empty()) continue;
    const auto open = postgres::read_unsettled(database, worker.name, part.stream, part.incarnation,
                                               part.events.front().sequence, part.events.back().sequence);
    std::erase_if(part.events, [&](const BacklogEvent& e) { return !postgres::contains(open, e.sequence); });
    left += part.events.size();
  }
  return left;
}

// Whether the monolith has said, since a time, that it acknowledged everything up to the boundary. That also
// holds for what it worked on before there was a ledger.
constexpr const char* kAcknowledged = R"sql(
SELECT s.stream, f.settled_below FROM cutover.floors f
JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1::text AND f.side = 'm' AND f.at > $2::timestamptz
  AND s.incarnation = (SELECT max(n.incarnation) FROM cutover.streams n WHERE n.stream = s.stream))sql";

bool acknowledged(const WorkerSpec& worker, postgres::Connection& database, const Boundary& boundary,
                  Instant since) {
  const auto rows = database.run(kAcknowledged, {std::string_view(worker.name), since});
  std::size_t streams = 0;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    const auto end = boundary.find(std::string(rows->text(i, 0)));
    if (end != boundary.end() && rows->integer(i, 1) > static_cast<std::int64_t>(end->second)) ++streams;
  }
  return streams == boundary.size();
}

Boundary present_ends(const WorkerSpec& worker, JetStream& jetstream) {
  Boundary ends;
  for (const std::string& stream : streams_of(worker))
    if (const auto info = jetstream.admin().stream(stream))
      ends[stream] = info->value("/state/last_seq"_json_pointer, std::uint64_t{0});
  return ends;
}

std::int64_t run_chunks(const InTransaction& in_transaction, const std::string& doing, Interrupt& interrupt,
                        const std::function<ShadowSeed::Chunk(Transaction&, const std::string&)>& work,
                        bool& stopped) {
  ProgressBar bar;
  std::int64_t rows = 0;
  std::optional<std::string> after = "";
  while (after && !(stopped = interrupt.came())) {
    ShadowSeed::Chunk chunk;
    in_transaction([&](Transaction& tx) { chunk = work(tx, *after); });
    rows += chunk.rows;
    after = chunk.next;
    bar.show(doing, rows, 0);
  }
  return rows;
}

}  // namespace

std::uint64_t wait_for_monolith(const WorkerSpec& worker, const Boundary& boundary,
                                postgres::Connection& database, JetStream& jetstream, Interrupt& interrupt,
                                milliseconds limit) {
  const auto deadline = steady_clock::now() + limit;
  const Instant since = postgres::parse_timestamp(database.run("SELECT clock_timestamp()")->text(0, 0));
  auto parts = read_backlog(database, jetstream.connection(), worker, Side::monolith, false,
                            steady_clock::now() + std::chrono::minutes(5));
  for (Backlog& part : parts) {
    const auto end = boundary.find(part.stream);
    std::erase_if(part.events,
                  [&](const BacklogEvent& e) { return end == boundary.end() || e.sequence > end->second; });
  }
  for (;;) {
    const std::uint64_t left = still_unsettled(worker, database, parts);
    if (left == 0 || acknowledged(worker, database, boundary, since)) return 0;
    if (steady_clock::now() >= deadline || !interrupt.wait(kLook)) return left;
  }
}

Seeding seed_shadow(const Settings& settings, const ShadowSeed& seed, const Boundary& boundary,
                    postgres::Connection& database, JetStream& jetstream, Interrupt& interrupt,
                    milliseconds limit) {
  const WorkerSpec& worker = settings.worker(seed.worker);
  Seeding result;
  result.unsettled = wait_for_monolith(worker, boundary, database, jetstream, interrupt, limit);
  if (result.unsettled > 0) return result;
  database.run(
      "SELECT cutover.seed_shadow_versions(worker) FROM cutover.workers WHERE worker = $1::text AND ordered",
      {std::string_view(seed.worker)});
  const auto in_transaction = operator_transactions(settings, seed.worker, "shadow");
  bool stopped = false;
  result.copied = run_chunks(in_transaction, "copying", interrupt, seed.copy, stopped);
  if (stopped) return result;
  // The worker may have seen the end of a row before the copy brought it back; the monolith comes to it, too.
  result.unsettled =
      wait_for_monolith(worker, present_ends(worker, jetstream), database, jetstream, interrupt, limit);
  if (result.unsettled > 0) return result;
  result.swept = run_chunks(in_transaction, "sweeping", interrupt, seed.sweep, stopped);
  result.complete = !stopped;
  return result;
}

void clear_shadow(const Settings& settings, const ShadowSeed& seed) {
  operator_transactions(settings, seed.worker, "shadow")([&](Transaction& tx) { seed.clear(tx); });
}

}  // namespace cutover::cli
