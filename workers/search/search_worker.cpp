#include "workers/search/search_worker.h"

#include <algorithm>
#include <unordered_map>

#include "workers/search/announcement.h"
#include "workers/search/documents.h"
#include "workers/search/job_queue.h"
#include "workers/search/output.h"
#include "workers/search/payload_reader.h"
#include "workers/search/watermark.h"

namespace cutover::search {
namespace {

// A document that an event of the batch touched.
struct Wanted {
  std::int64_t id;
  std::int64_t owner;  // 0: not known
  std::size_t event;   // the last one that touched it
};

// An owner or a channel whose documents must be looked up.
struct Lookup {
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> events;
  void add(std::int64_t id, std::size_t event) {
    ids.push_back(id);
    events.push_back(static_cast<std::int64_t>(event));
  }
};

// What a batch touched.
struct Batch {
  std::vector<Wanted> contacts, profiles;
  Lookup owners, principals, channels;
};

// All contacts of an owner, and what is left of those that the owner had.
constexpr std::string_view kContactsOf = R"sql(
SELECT c.contact_id, u.owner_id, u.event
FROM unnest($1::bigint[], $2::bigint[]) u (owner_id, event) JOIN app.contacts c ON c.owner_id = u.owner_id
UNION ALL
SELECT substr(d.doc_id, 9)::bigint, u.owner_id, u.event
FROM unnest($1::bigint[], $2::bigint[]) u (owner_id, event)
JOIN search_documents d ON d.visibility = 'owner' AND d.owner_id = u.owner_id
WHERE d.doc_id ~ '^contact:[1-9][0-9]{0,17}$')sql";

// All profiles of principals, of those who have the channels now, and what is left of those that they had. (The OFFSETs keep
// a lookup for each principal: what a few of them have is less than reading every profile.)
constexpr std::string_view kProfilesOf = R"sql(
WITH owner AS MATERIALIZED (
  SELECT u.principal_id, u.event FROM unnest($1::bigint[], $2::bigint[]) u (principal_id, event)
  UNION
  SELECT h.principal_id, u.event
  FROM unnest($3::bigint[], $4::bigint[]) u (channel_id, event)
  CROSS JOIN LATERAL (SELECT c.principal_id FROM app.channels c WHERE c.channel_id = u.channel_id OFFSET 0) h)
SELECT p.profile_id, o.principal_id, o.event
FROM owner o CROSS JOIN LATERAL (SELECT f.profile_id FROM app.profiles f WHERE f.owner_principal_id = o.principal_id OFFSET 0) p
UNION ALL
SELECT substr(d.doc_id, 9)::bigint, o.principal_id, o.event
FROM owner o CROSS JOIN LATERAL (
  SELECT s.doc_id FROM search_documents s
  WHERE s.visibility = 'public' AND s.owner_id = o.principal_id AND s.doc_id ~ '^profile:[1-9][0-9]{0,17}$' OFFSET 0) d)sql";

void collect(const Touched& touched, std::size_t event, Batch& batch) {
  switch (touched.what) {
    case Touched::What::contact: batch.contacts.push_back({touched.id, touched.owner_id, event}); break;
    case Touched::What::circle:
      for (std::int64_t id : touched.contact_ids) batch.contacts.push_back({id, touched.owner_id, event});
      break;
    case Touched::What::all_contacts: batch.owners.add(touched.owner_id, event); break;
    case Touched::What::profile: batch.profiles.push_back({touched.id, touched.owner_id, event}); break;
    case Touched::What::channel: batch.channels.add(touched.id, event); [[fallthrough]];
    case Touched::What::principal: batch.principals.add(touched.owner_id, event); break;
  }
}

void append(const Rows& rows, std::vector<Wanted>& to) {
  for (std::size_t i = 0; i < rows.size(); ++i)
    to.push_back({rows.integer(i, 0), rows.integer(i, 1), static_cast<std::size_t>(rows.integer(i, 2))});
}

void look_up(Transaction& tx, Batch& batch) {
  using Ids = std::span<const std::int64_t>;
  if (!batch.owners.ids.empty())
    append(*tx.query(kContactsOf, {Ids(batch.owners.ids), Ids(batch.owners.events)}), batch.contacts);
  if (!batch.principals.ids.empty())
    append(*tx.query(kProfilesOf, {Ids(batch.principals.ids), Ids(batch.principals.events), Ids(batch.channels.ids),
                                   Ids(batch.channels.events)}),
           batch.profiles);
}

// Each document once, ascending, with the last event that touched it.
void make_distinct(std::vector<Wanted>& wanted) {
  std::sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) {
    return a.id != b.id ? a.id < b.id : a.event > b.event;
  });
  wanted.erase(std::unique(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) { return a.id == b.id; }),
               wanted.end());
}

// One owner's documents that are too many for the batch.
struct Bulk {
  std::vector<std::int64_t> contacts, profiles;
  std::size_t event = 0;
};

void take_bulk(std::vector<Wanted>& wanted, std::vector<std::int64_t> Bulk::*kind,
               std::unordered_map<std::int64_t, Bulk>& bulk) {
  if (wanted.size() <= kBulkDocuments) return;
  std::unordered_map<std::int64_t, std::size_t> count;
  for (const Wanted& one : wanted) ++count[one.owner];
  std::erase_if(wanted, [&](const Wanted& one) {
    if (count[one.owner] <= kBulkDocuments) return false;
    Bulk& aside = bulk[one.owner];
    (aside.*kind).push_back(one.id);
    aside.event = std::max(aside.event, one.event);
    return true;
  });
}

Targets targets_of(const std::vector<Wanted>& wanted, std::span<const Event> events) {
  Targets targets;
  for (const Wanted& one : wanted) {
    const Place& place = events[one.event].place;
    targets.add(one.id, place.stream, static_cast<std::int64_t>(place.sequence));
  }
  return targets;
}

class SearchWorker final : public Worker {
 public:
  explicit SearchWorker(const SearchSettings& settings) : settings_(settings) {}

  std::vector<Verdict> handle(std::span<const Event> events, Transaction& tx) override {
    std::vector<Verdict> verdicts(events.size(), Done{});
    Batch batch;
    for (std::size_t i = 0; i < events.size(); ++i) {
      std::variant<Touched, Unreadable> read = reader_.read(events[i]);
      if (auto* bad = std::get_if<Unreadable>(&read))
        verdicts[i] = DeadLetter{std::string(events[i].event_name) + ": " + bad->reason};
      else
        collect(std::get<Touched>(read), i, batch);
    }
    look_up(tx, batch);
    make_distinct(batch.contacts);
    make_distinct(batch.profiles);
    std::unordered_map<std::int64_t, Bulk> bulk;
    take_bulk(batch.contacts, &Bulk::contacts, bulk);
    take_bulk(batch.profiles, &Bulk::profiles, bulk);
    write(tx, events, batch);
    for (const auto& [owner, aside] : bulk)
      put_aside(tx, events[aside.event], owner, aside.contacts, aside.profiles, settings_.chunk_documents);
    return verdicts;
  }

 private:
  void write(Transaction& tx, std::span<const Event> events, const Batch& batch) {
    for (const Changed& change : project(tx, targets_of(batch.contacts, events), targets_of(batch.profiles, events))) {
      const std::vector<Wanted>& wanted = change.source == Source::contact ? batch.contacts : batch.profiles;
      auto of = std::lower_bound(wanted.begin(), wanted.end(), change.id,
                                 [](const Wanted& one, std::int64_t id) { return one.id < id; });
      const Event& cause = events[of->event];
      announce(tx, cause, change, origin_of(cause.place), kLivePriority);
    }
  }

  const SearchSettings& settings_;
  PayloadReader reader_;
};

}  // namespace

std::unique_ptr<Worker> make_search_worker(const SearchSettings& settings) {
  return std::make_unique<SearchWorker>(settings);
}

}  // namespace cutover::search

namespace cutover {

WorkerSpec search_projector_spec(std::shared_ptr<const search::SearchSettings> settings) {
  WorkerSpec spec;
  spec.name = "search-projector";
  // What somebody else may no longer see goes first; a contact is seen by its owner only.
  spec.lanes = {{.name = "channel", .stream = "CORE", .filter_subject = "channel.>", .priority = 1},
                {.name = "identity", .stream = "CORE", .filter_subject = "identity.>", .priority = 2},
                {.name = "profile", .stream = "CORE", .filter_subject = "profile.>", .priority = 3},
                {.name = "policy", .stream = "CORE", .filter_subject = "policy.>", .priority = 5},
                {.name = "contact", .stream = "CONTACT", .filter_subject = "contact.>", .priority = 5, .batch_max = 2'048}};
  spec.events = search::event_types();
  spec.concurrency = 2;
  spec.leaves_monolith = true;
  spec.make = [settings] { return search::make_search_worker(*settings); };
  auto jobs = std::make_shared<search::JobRunner>();
  auto shadow_jobs = std::make_shared<search::JobRunner>();
  spec.chores = {{"jobs", std::chrono::milliseconds(100), [jobs](Transaction& tx) { return jobs->run(tx); }},
                 {"shadow-jobs", std::chrono::seconds(1), [shadow_jobs](Transaction& tx) { return shadow_jobs->run(tx); }, true},
                 {"merge", std::chrono::seconds(1),
                  [](Transaction& tx) {
                    tx.query("SELECT serving.merge_search_entries()");
                    return false;
                  }},
                 {"watermark", std::chrono::seconds(5), [settings](Transaction& tx) {
                    search::move_watermark(tx, settings->stale_after);
                    return false;
                  }}};
  spec.outputs = {search::documents_output()};
  return spec;
}

}  // namespace cutover
