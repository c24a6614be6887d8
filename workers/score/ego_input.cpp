#include "workers/score/ego_input.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "workers/score/source_rows.h"

namespace cutover::score {
namespace {

using Ids = std::span<const std::int64_t>;

constexpr std::string_view kNeighbours = R"sql(
SELECT id FROM (
  SELECT c.target_id AS id FROM app.contacts c WHERE c.owner_id = ANY ($1::bigint[]) AND c.target_id IS NOT NULL
    AND c.contested IS NOT TRUE AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay')
  UNION
  SELECT c.owner_id FROM app.contacts c WHERE c.target_id = ANY ($1::bigint[])
    AND c.contested IS NOT TRUE AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay')) n
WHERE id <> ALL ($1::bigint[]) LIMIT $2::bigint)sql";

// Neighbours that answer.
constexpr std::string_view kMutual = R"sql(
SELECT DISTINCT c.target_id FROM app.contacts c JOIN app.contacts b ON b.owner_id = c.target_id AND b.target_id = c.owner_id
WHERE c.owner_id = ANY ($1::bigint[]) AND c.contested IS NOT TRUE AND b.contested IS NOT TRUE
  AND c.state IN ('active_confirmed', 'active_probable', 'stale_decay') AND b.state IN ('active_confirmed', 'active_probable', 'stale_decay')
ORDER BY c.target_id)sql";

// Counts no further than it must.
constexpr std::string_view kTooMany = R"sql(
SELECT count(*) > $2::bigint FROM (
  SELECT FROM app.contacts c WHERE c.owner_id = ANY ($1::bigint[]) AND c.target_id IS NOT NULL
  UNION ALL SELECT FROM app.contacts c WHERE c.target_id = ANY ($1::bigint[])
  LIMIT $2::bigint + 1) n)sql";

// A point in time in microseconds; infinite ones as the ends of the numbers.
std::string micros(const std::string& column) {
  return "CASE WHEN isfinite(" + column + ") THEN (extract(epoch FROM " + column +
         ") * 1000000)::bigint WHEN " + column +
         " > 'epoch' THEN 9223372036854775807 ELSE -9223372036854775807 - 1 END";
}

const std::string kColumns = "SELECT c.owner_id, c.target_id, c.confidence, " + micros("c.first_seen_at") +
                             ", " + micros("c.last_evidence_at") +
                             ", c.state = 'active_probable', c.contact_id";

struct Contact {
  std::int64_t owner, target, id;
  double confidence;
  Micros first_seen, last_evidence;
  bool probable, in_circle;
};

void append(const Rows& rows, std::vector<Contact>& contacts) {
  contacts.reserve(contacts.size() + rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i)
    contacts.push_back({rows.integer(i, 0), rows.integer(i, 1), rows.integer(i, 6),
                        rows.is_null(i, 2) ? std::numeric_limits<double>::quiet_NaN() : rows.number(i, 2),
                        rows.integer(i, 3), rows.integer(i, 4), rows.boolean(i, 5), rows.boolean(i, 7)});
}

void make_distinct(std::vector<std::int64_t>& ids) {
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
}

bool contains(Ids ascending, std::int64_t id) {
  return std::binary_search(ascending.begin(), ascending.end(), id);
}

Instant instant(Micros time) {
  return Instant(std::chrono::microseconds(time));
}

// Edges of the complete rows, edges back to them, and what the weights of those depend on: their owners'
// other recent edges.
std::vector<Contact> read_contacts(Transaction& tx, Ids wanted, Ids complete, const Weights& weights,
                                   Micros t) {
  static const std::string edges = edge_condition("$2::timestamptz", "$3::timestamptz");
  const Cutoffs cut = cutoffs(weights, t);
  const Instant evidence = instant(cut.evidence), recent = instant(cut.recent);
  std::vector<Contact> contacts;
  // Only a wanted principal's circles count.
  append(*tx.query(kColumns + R"sql(, c.owner_id = ANY ($4::bigint[]) AND EXISTS (
    SELECT FROM app.circle_members m JOIN app.circles k USING (circle_id)
    WHERE m.contact_id = c.contact_id AND k.owner_id = c.owner_id)
FROM app.contacts c WHERE c.owner_id = ANY ($1::bigint[]) AND )sql" +
                       edges,
                   {complete, evidence, recent, wanted}),
         contacts);
  append(*tx.query(kColumns + R"sql(, false FROM app.contacts c
WHERE c.target_id = ANY ($1::bigint[]) AND c.owner_id <> ALL ($1::bigint[]) AND )sql" +
                       edges,
                   {complete, evidence, recent}),
         contacts);
  std::vector<std::int64_t> bulk_owners;
  for (const Contact& contact : contacts)
    if (!contains(complete, contact.owner) && within_days(t, contact.first_seen, weights.recent_days))
      bulk_owners.push_back(contact.owner);
  make_distinct(bulk_owners);
  if (!bulk_owners.empty())
    append(*tx.query(kColumns + R"sql(, false FROM app.contacts c
WHERE c.owner_id = ANY ($1::bigint[]) AND c.first_seen_at > $3::timestamptz AND )sql" +
                         edges,
                     {Ids(bulk_owners), evidence, recent}),
           contacts);
  std::sort(contacts.begin(), contacts.end(), [](const Contact& a, const Contact& b) {
    return std::tie(a.owner, a.target) < std::tie(b.owner, b.target);
  });
  contacts.erase(std::unique(contacts.begin(), contacts.end(),
                             [](const Contact& a, const Contact& b) {
                               return a.owner == b.owner && a.target == b.target;
                             }),
                 contacts.end());
  return contacts;
}

// Of these ids those that have scores.
IdIndex eligible(Transaction& tx, std::vector<std::int64_t> ids) {
  make_distinct(ids);
  const auto rows =
      tx.query("SELECT p.principal_id FROM app.principals p WHERE p.principal_id = ANY ($1::bigint[]) AND " +
                   std::string(kEligible) + " ORDER BY p.principal_id",
               {Ids(ids)});
  std::vector<std::int64_t> found(rows->size());
  for (std::size_t i = 0; i < found.size(); ++i) found[i] = rows->integer(i, 0);
  return IdIndex(std::move(found));
}

void read_standings(Transaction& tx, Ids wanted, const Weights& weights, Micros t, EgoInput& input) {
  const auto channels =
      tx.query("SELECT h.principal_id, h.kind, h.verified_at IS NULL, " + micros("h.verified_at") +
                   " FROM app.channels h WHERE h.state IN ('verified_active', 'recovered') AND "
                   "h.principal_id = ANY ($1::bigint[])",
               {input.principals.ids()});
  for (std::size_t i = 0; i < channels->size(); ++i)
    input.standings[input.principals.find(channels->integer(i, 0))].add_verified_channel(
        channel_kind(channels->text(i, 1)),
        channels->boolean(i, 2) ? Standing::kNever : channels->integer(i, 3));
  const auto incidents = tx.query(
      "SELECT i.principal_id, i.incident_id, i.kind, i.band, " + micros("i.occurred_at") +
          ", i.cleared_at IS NULL, " + micros("i.cleared_at") +
          " FROM app.trust_incidents i WHERE i.principal_id = ANY ($1::bigint[]) ORDER BY i.incident_id",
      {wanted});
  for (std::size_t i = 0; i < incidents->size(); ++i) {
    const std::uint32_t place = input.principals.find(incidents->integer(i, 0));
    if (place == IdIndex::kNone) continue;
    const std::int64_t id = incidents->integer(i, 1);
    input.standings[place].add_incident(
        weights, t, incident_kind(incidents->text(i, 2), id), band(incidents->text(i, 3), id),
        incidents->integer(i, 4), incidents->boolean(i, 5) ? Standing::kNever : incidents->integer(i, 6));
  }
}

std::vector<std::uint32_t> places(const IdIndex& index, Ids ids) {
  std::vector<std::uint32_t> found;
  for (const std::int64_t id : ids)
    if (const std::uint32_t place = index.find(id); place != IdIndex::kNone) found.push_back(place);
  return found;
}

}  // namespace

std::vector<std::int64_t> neighbours_of(Transaction& tx, std::span<const std::int64_t> principals,
                                        std::size_t limit) {
  const auto rows = tx.query(kNeighbours, {principals, static_cast<std::int64_t>(limit)});
  std::vector<std::int64_t> ids(rows->size());
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = rows->integer(i, 0);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::unique_ptr<EgoInput> read_around(Transaction& tx, std::span<const std::int64_t> wanted,
                                      const Weights& weights, Micros t, std::int64_t contacts_max) {
  std::vector<std::int64_t> complete(wanted.begin(), wanted.end());
  if (tx.query(kTooMany, {wanted, contacts_max})->boolean(0, 0)) return nullptr;
  const auto mutual = tx.query(kMutual, {wanted});
  for (std::size_t i = 0; i < mutual->size(); ++i) complete.push_back(mutual->integer(i, 0));
  make_distinct(complete);
  if (tx.query(kTooMany, {Ids(complete), contacts_max})->boolean(0, 0)) return nullptr;

  std::vector<Contact> contacts = read_contacts(tx, wanted, complete, weights, t);
  const auto lost = tx.query(
      "SELECT c.owner_id, c.target_id FROM app.contacts c WHERE c.owner_id = ANY ($1::bigint[]) AND " +
          lost_condition("$2::timestamptz", "$3::timestamptz"),
      {wanted, instant(cutoffs(weights, t).lost), instant(t)});
  std::vector<std::int64_t> ids = complete;
  for (const Contact& contact : contacts) {
    ids.push_back(contact.owner);
    ids.push_back(contact.target);
  }
  for (std::size_t i = 0; i < lost->size(); ++i) ids.push_back(lost->integer(i, 1));

  auto input = std::make_unique<EgoInput>();
  input->principals = eligible(tx, std::move(ids));
  const IdIndex& index = input->principals;
  input->standings.resize(index.size());
  read_standings(tx, wanted, weights, t, *input);
  std::erase_if(contacts, [&](const Contact& c) {
    return index.find(c.owner) == IdIndex::kNone || index.find(c.target) == IdIndex::kNone;
  });

  std::vector<std::uint32_t> capacity(index.size());
  for (const Contact& contact : contacts) ++capacity[index.find(contact.owner)];
  for (std::uint32_t place = 0; place < index.size(); ++place)
    if (capacity[place] > 0) input->filled.push_back(place);
  input->graph = std::make_unique<Graph>(weights, t, capacity);
  std::vector<AsideEdge> aside;
  for (const Contact& c : contacts)
    input->graph->add(
        {index.find(c.owner), index.find(c.target), checked_confidence(c.confidence, c.id, c.owner),
         c.first_seen, c.last_evidence, c.probable, c.in_circle},
        aside);
  input->graph->set_aside(std::move(aside));
  for (std::size_t i = 0; i < lost->size(); ++i) {
    const std::uint32_t owner = index.find(lost->integer(i, 0));
    if (owner != IdIndex::kNone && index.find(lost->integer(i, 1)) != IdIndex::kNone)
      input->graph->add_lost(owner);
  }
  input->complete = places(index, complete);
  input->wanted = places(index, wanted);
  for (const std::int64_t id : wanted)
    if (index.find(id) == IdIndex::kNone) input->gone.push_back(id);
  return input;
}

}  // namespace cutover::score
