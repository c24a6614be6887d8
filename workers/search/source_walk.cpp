#include "workers/search/source_walk.h"

#include <algorithm>
#include <stdexcept>

namespace cutover::search {
namespace {

using Phase = WalkPlace::Phase;

constexpr std::string_view kContacts = R"sql(
SELECT c.contact_id FROM app.contacts c WHERE c.contact_id > $1::bigint ORDER BY c.contact_id LIMIT $2::bigint)sql";
constexpr std::string_view kContactsOfOwner = R"sql(
SELECT c.contact_id FROM app.contacts c WHERE c.owner_id = $3::bigint AND c.contact_id > $1::bigint
ORDER BY c.contact_id LIMIT $2::bigint)sql";
constexpr std::string_view kProfiles = R"sql(
SELECT p.profile_id FROM app.profiles p WHERE p.profile_id > $1::bigint ORDER BY p.profile_id LIMIT $2::bigint)sql";
constexpr std::string_view kProfilesOfOwner = R"sql(
SELECT p.profile_id FROM app.profiles p WHERE p.owner_principal_id = $3::bigint AND p.profile_id > $1::bigint
ORDER BY p.profile_id LIMIT $2::bigint)sql";
constexpr std::string_view kLeftovers = R"sql(
SELECT d.doc_id, NOT CASE
         WHEN d.doc_id ~ '^contact:[1-9][0-9]{0,17}$'
           THEN EXISTS (SELECT FROM app.contacts c WHERE c.contact_id = substr(d.doc_id, 9)::bigint)
         WHEN d.doc_id ~ '^profile:[1-9][0-9]{0,17}$'
           THEN EXISTS (SELECT FROM app.profiles p WHERE p.profile_id = substr(d.doc_id, 9)::bigint)
         ELSE false END
FROM (SELECT doc_id FROM search_documents WHERE doc_id > $1::text ORDER BY doc_id LIMIT $2::bigint) d ORDER BY d.doc_id)sql";
constexpr std::string_view kLeftoversOfOwner = R"sql(
SELECT d.doc_id, NOT CASE
         WHEN d.doc_id ~ '^contact:[1-9][0-9]{0,17}$'
           THEN EXISTS (SELECT FROM app.contacts c WHERE c.contact_id = substr(d.doc_id, 9)::bigint AND c.owner_id = $3::bigint)
         WHEN d.doc_id ~ '^profile:[1-9][0-9]{0,17}$'
           THEN EXISTS (SELECT FROM app.profiles p
                        WHERE p.profile_id = substr(d.doc_id, 9)::bigint AND p.owner_principal_id = $3::bigint)
         ELSE false END
FROM (SELECT doc_id FROM search_documents WHERE owner_id = $3::bigint AND doc_id > $1::text
      ORDER BY doc_id LIMIT $2::bigint) d ORDER BY d.doc_id)sql";

constexpr std::string_view kLengthOfAll = R"sql(
SELECT (SELECT count(*) FROM app.contacts) + (SELECT count(*) FROM app.profiles) + (SELECT count(*) FROM search_documents))sql";
constexpr std::string_view kLengthOfOwner = R"sql(
SELECT (SELECT count(*) FROM app.contacts WHERE owner_id = $1::bigint)
     + (SELECT count(*) FROM app.profiles WHERE owner_principal_id = $1::bigint)
     + (SELECT count(*) FROM search_documents WHERE owner_id = $1::bigint))sql";

std::unique_ptr<Rows> keys(Transaction& tx, std::string_view all, std::string_view of_owner, const Param& after,
                           std::optional<std::int64_t> owner, std::size_t count) {
  const auto limit = static_cast<std::int64_t>(count);
  return owner ? tx.query(of_owner, {after, limit, *owner}) : tx.query(all, {after, limit});
}

void step_through_source(const Rows& rows, Targets& targets, WalkStep& step, Phase then, std::size_t count) {
  for (std::size_t i = 0; i < rows.size(); ++i) targets.add(rows.integer(i, 0), {}, 0);
  if (rows.size() < count)
    step.next = {then, 0, {}};
  else
    step.next.id = targets.ids.back();
}

void step_through_leftovers(const Rows& rows, WalkStep& step, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows.boolean(i, 1)) names.emplace_back(rows.text(i, 0));
  const WalkPlace from = step.next;
  step = step_of(names);
  step.next = from;
  if (rows.size() < count)
    step.next = {Phase::done, 0, {}};
  else
    step.next.doc_id = rows.text(rows.size() - 1, 0);
}

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::contacts: return "contacts";
    case Phase::profiles: return "profiles";
    case Phase::leftovers: return "leftovers";
    case Phase::done: return "done";
  }
  return "done";
}

Phase phase_named(std::string_view name) {
  for (Phase phase : {Phase::contacts, Phase::profiles, Phase::leftovers, Phase::done})
    if (name_of(phase) == name) return phase;
  throw std::invalid_argument("a reindex run is in an unknown phase: " + std::string(name));
}

WalkStep step_of(const std::vector<std::string>& names) {
  WalkStep step;
  for (const std::string& name : names) {
    const std::optional<DocumentKey> key = parse_document_id(name);
    if (!key)
      step.nameless.push_back(name);
    else
      (key->source == Source::contact ? step.contacts : step.profiles).add(key->id, {}, 0);
  }
  // The order of names is not the order of numbers.
  std::sort(step.contacts.ids.begin(), step.contacts.ids.end());
  std::sort(step.profiles.ids.begin(), step.profiles.ids.end());
  return step;
}

WalkStep walk(Transaction& tx, const WalkPlace& from, std::optional<std::int64_t> owner, std::size_t count) {
  WalkStep step;
  step.next = from;
  std::unique_ptr<Rows> rows;
  switch (from.phase) {
    case Phase::contacts:
      rows = keys(tx, kContacts, kContactsOfOwner, from.id, owner, count);
      step_through_source(*rows, step.contacts, step, Phase::profiles, count);
      break;
    case Phase::profiles:
      rows = keys(tx, kProfiles, kProfilesOfOwner, from.id, owner, count);
      step_through_source(*rows, step.profiles, step, Phase::leftovers, count);
      break;
    case Phase::leftovers:
      rows = keys(tx, kLeftovers, kLeftoversOfOwner, std::string_view(from.doc_id), owner, count);
      step_through_leftovers(*rows, step, count);
      break;
    case Phase::done: return step;
  }
  step.seen = rows->size();
  return step;
}

std::int64_t walk_length(Transaction& tx, std::optional<std::int64_t> owner) {
  return (owner ? tx.query(kLengthOfOwner, {*owner}) : tx.query(kLengthOfAll))->integer(0, 0);
}

}  // namespace cutover::search
