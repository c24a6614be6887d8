#include "workers/search/job_queue.h"

#include <algorithm>
#include <charconv>

#include "workers/search/announcement.h"
#include "workers/search/documents.h"

namespace cutover::search {
namespace {

// The position of an owner's new job: behind its own last one, and not before what is being worked on now.
constexpr std::string_view kInsert = R"sql(
INSERT INTO search_jobs (owner_id, position, contact_ids, profile_ids, event_id, event_name, tenant_scope, correlation_id,
  actor_id, actor_type, traceparent, tracestate, stream, incarnation, seq)
SELECT $1::bigint,
       greatest((SELECT coalesce(max(j.position) + 1, 0) FROM search_jobs j WHERE j.owner_id = $1::bigint),
                (SELECT coalesce(min(j.position), 0) FROM search_jobs j)),
       $2::bigint[], $3::bigint[], $4::text, $5::text, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text,
       $13::bigint::integer, $14::bigint)sql";

constexpr std::string_view kTake = R"sql(
SELECT job_id, contact_ids, profile_ids, event_id, event_name, tenant_scope, correlation_id, actor_id, actor_type,
  traceparent, tracestate, stream, incarnation, seq
FROM search_jobs WHERE job_id <> ALL ($1::bigint[])
ORDER BY position, job_id LIMIT 1 FOR UPDATE SKIP LOCKED)sql";

constexpr std::chrono::seconds kRetryAfter{10};

constexpr std::string_view kRemove = "DELETE FROM search_jobs WHERE job_id = $1::bigint";

// {1,2,3}
std::vector<std::int64_t> numbers(std::string_view array) {
  std::vector<std::int64_t> found;
  const char* end = array.data() + array.size();
  for (const char* at = array.data(); at < end; ++at) {
    std::int64_t number = 0;
    auto [rest, error] = std::from_chars(at, end, number);
    if (error != std::errc()) continue;
    found.push_back(number);
    at = rest;
  }
  return found;
}

Targets targets_of(std::string_view array, const Place& place) {
  Targets targets;
  for (std::int64_t id : numbers(array)) targets.add(id, place.stream, static_cast<std::int64_t>(place.sequence));
  return targets;
}

void project_job(Transaction& tx, const Rows& job) {
  Event cause;
  cause.event_id = job.text(0, 3);
  cause.event_name = job.text(0, 4);
  cause.tenant_scope = job.text(0, 5);
  cause.correlation_id = job.text(0, 6);
  cause.actor = {job.text(0, 7), job.text(0, 8)};
  cause.traceparent = job.text(0, 9);
  cause.tracestate = job.text(0, 10);
  cause.place = {job.text(0, 11), static_cast<int>(job.integer(0, 12)), static_cast<std::uint64_t>(job.integer(0, 13))};
  const std::string origin = origin_of(cause.place) + "/bulk";
  for (const Changed& change : project(tx, targets_of(job.text(0, 1), cause.place), targets_of(job.text(0, 2), cause.place)))
    announce(tx, cause, change, origin, kBulkPriority);
}

std::span<const std::int64_t> piece(std::span<const std::int64_t> ids, std::size_t from, std::size_t count) {
  if (from >= ids.size()) return {};
  return ids.subspan(from, std::min(count, ids.size() - from));
}

}  // namespace

void put_aside(Transaction& tx, const Event& cause, std::int64_t owner, std::span<const std::int64_t> contacts,
               std::span<const std::int64_t> profiles, std::size_t chunk) {
  for (std::size_t from = 0; from < std::max(contacts.size(), profiles.size()); from += chunk)
    tx.query(kInsert,
             {owner, piece(contacts, from, chunk), piece(profiles, from, chunk), cause.event_id, cause.event_name,
              cause.tenant_scope, cause.correlation_id, cause.actor.id, cause.actor.type, cause.traceparent,
              cause.tracestate, cause.place.stream, std::int64_t{cause.place.incarnation},
              static_cast<std::int64_t>(cause.place.sequence)});
}

bool JobRunner::run(Transaction& tx) {
  std::erase_if(failed_, [&](const Failed& f) { return tx.now() - f.at > kRetryAfter; });
  std::vector<std::int64_t> passed_over;
  for (const Failed& f : failed_) passed_over.push_back(f.job_id);
  auto job = tx.query(kTake, {std::span<const std::int64_t>(passed_over)});
  if (job->size() == 0) return false;
  failed_.push_back({job->integer(0, 0), tx.now()});  // until it is done
  project_job(tx, *job);
  tx.query(kRemove, {failed_.back().job_id});
  failed_.pop_back();
  return true;
}

}  // namespace cutover::search
