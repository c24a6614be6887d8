#include "runtime/host/handover.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runtime/nats/publisher.h"
#include "runtime/postgres/headers.h"

namespace cutover {
namespace {

using postgres::Blocker;
using std::chrono::steady_clock;

// Rolls back unless it was told that the transaction is over.
class Rollback {
 public:
  explicit Rollback(postgres::Connection& database) : database_(database) {}
  ~Rollback() {
    if (!over_) database_.rollback();
  }
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  void over() { over_ = true; }

 private:
  postgres::Connection& database_;
  bool over_ = false;
};

std::vector<Blocker> lock(postgres::Connection& database, const Handover& h, const postgres::Pause& pause) {
  try {
    postgres::begin_exclusive(database, h.worker, h.patience, pause);
    return {};
  } catch (const postgres::LockBusy& busy) {
    if (!h.terminate_blockers || busy.blockers.empty()) throw;
    if (postgres::terminate(database, busy.blockers) == 0) throw;
    std::vector<Blocker> ended = busy.blockers;
    postgres::begin_exclusive(database, h.worker, h.patience, pause);
    return ended;
  }
}

struct Ends {
  std::vector<std::string> streams;
  std::vector<std::int64_t> incarnations;
  std::vector<std::int64_t> last_sequences;

  void add(const std::string& stream, int incarnation, std::uint64_t last) {
    streams.push_back(stream);
    incarnations.push_back(incarnation);
    last_sequences.push_back(static_cast<std::int64_t>(last));
  }
};

int first_incarnation(postgres::Connection& database, const std::string& stream, Instant created_at) {
  return static_cast<int>(database
                              .run("SELECT cutover.stream_incarnation($1::text, $2::timestamptz)::bigint",
                                   {std::string_view(stream), created_at})
                              ->integer(0, 0));
}

// What the broker says of a stream; when it is silent, throws, or puts that into `trouble` where it does not
// matter.
std::optional<StreamLife> ask(NatsPublisher& broker, const std::string& stream, Deadline deadline,
                              bool silence_is_fine, std::string& trouble) {
  try {
    return broker.stream_life(stream, deadline);
  } catch (const BrokerError& error) {
    if (!silence_is_fine) throw;
    trouble = error.what();
    return std::nullopt;
  }
}

// Under the lock. Backwards, to the monolith, what the broker cannot say is left out: the ledger knows
// enough.
Ends ends_of(postgres::Connection& database, Connection& broker, const Handover& h,
             std::vector<std::string>& warnings) {
  const bool backwards = h.mode == Mode::monolith;
  const auto deadline = steady_clock::now() + h.broker_limit;
  const auto known = postgres::read_lives(database, h.streams);
  NatsPublisher asked(broker);
  Ends ends;
  for (const std::string& stream : h.streams) {
    const auto found = known.find(stream);
    std::string trouble = "stream " + stream + " does not exist. Do: cutover streams apply";
    const std::optional<StreamLife> life = ask(asked, stream, deadline, backwards, trouble);
    if (life && found == known.end()) {
      ends.add(stream, first_incarnation(database, stream, life->created_at), life->last_sequence);
      continue;
    }
    if (life && life->created_at == found->second.created_at) {
      ends.add(stream, found->second.incarnation, life->last_sequence);
      continue;
    }
    if (life)
      trouble =
          fmt::format("stream {0} was deleted and created anew. Do: cutover incarnation start {0}", stream);
    if (!backwards) throw HandoverRefused(trouble);
    warnings.push_back(trouble);
    if (found != known.end()) ends.add(stream, found->second.incarnation, 0);
  }
  if (ends.streams.empty())
    throw HandoverRefused(
        "none of the worker's streams is known, neither to the broker nor to the ledger. Do: cutover doctor");
  return ends;
}

}  // namespace

HandedOver hand_over(postgres::Connection& database, Connection& broker, const Handover& h,
                     const postgres::Pause& pause, const AlsoInTransaction& also) {
  HandedOver result;
  result.terminated = lock(database, h, pause);
  Rollback rollback(database);
  const auto locked = steady_clock::now();
  const Ends ends = ends_of(database, broker, h, result.warnings);
  result.segments =
      postgres::append_segments(database, {h.worker, h.mode, h.percent_hundredths, h.log.actor, h.log.reason,
                                           ends.streams, ends.incarnations, ends.last_sequences});
  nlohmann::json detail;
  detail["segments"] = nlohmann::json::array();
  for (const auto& s : result.segments) {
    detail["segments"].push_back({{"stream", s.stream},
                                  {"incarnation", s.incarnation},
                                  {"epoch", s.epoch},
                                  {"from_sequence", s.from_sequence}});
    if (s.behind)
      result.warnings.push_back(
          fmt::format("stream {} ends before {}, up to where it was settled: the broker lost messages, or "
                      "answered from a "
                      "stale replica",
                      s.stream, s.from_sequence - 1));
  }
  detail["warnings"] = result.warnings;
  for (const Blocker& b : result.terminated) detail["terminated"].push_back(postgres::to_text(b));
  if (also)
    for (const auto& [name, count] : also(database, result.segments)) detail[name] = count;
  postgres::LogLine log = h.log;
  log.worker = h.worker;
  log.result = "done";
  log.detail = detail.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  postgres::log_operation(database, log);
  database.run("COMMIT");
  rollback.over();
  result.held = std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - locked);
  return result;
}

int start_incarnation(postgres::Connection& database, Connection& broker, const std::string& stream,
                      const postgres::LogLine& log, const postgres::LockPatience& patience,
                      const postgres::Pause& pause) {
  NatsPublisher asked(broker);
  const auto life = asked.stream_life(stream, steady_clock::now() + std::chrono::seconds(5));
  if (!life) throw HandoverRefused("stream " + stream + " does not exist. Do: cutover streams apply");
  postgres::begin_exclusive(database, "", patience, pause);
  Rollback rollback(database);
  const int incarnation = static_cast<int>(
      database
          .run("SELECT cutover.start_incarnation($1::text, $2::timestamptz, $3::text, $4::text)::bigint",
               {std::string_view(stream), life->created_at, std::string_view(log.actor),
                std::string_view(log.reason)})
          ->integer(0, 0));
  postgres::LogLine line = log;
  line.result = "done";
  line.detail =
      nlohmann::json{{"incarnation", incarnation}, {"created_at", postgres::timestamp_text(life->created_at)}}
          .dump();
  postgres::log_operation(database, line);
  database.run("COMMIT");
  rollback.over();
  return incarnation;
}

}  // namespace cutover
