// Freshness: from the commit of a change in the monolith's tables to the document that shows it, seen from outside.
// Changes the display name of contacts, writes the outbox in the same transaction as the monolith does, and asks for the
// documents until they show it. Standard output: one JSON object; standard error: a line.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>
#include <thread>

#include "tests/bench/search/figures.h"
#include "tests/bench/search/session.h"

using namespace cutover::bench;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* kContacts = R"sql(
SELECT contact_id FROM app.contacts
WHERE state = 'active_confirmed' AND contested IS NOT TRUE AND owner_id <> $1::bigint AND EXISTS (SELECT FROM serving.search_documents d WHERE d.doc_id = 'contact:' || contact_id)
ORDER BY hashint8(contact_id) LIMIT $2::bigint)sql";

// One statement is one transaction.
constexpr const char* kChange = R"sql(
WITH changed AS (
  UPDATE app.contacts SET display_name = $2, version = version + 1 WHERE contact_id = $1::bigint AND state = 'active_confirmed' AND contested IS NOT TRUE
  RETURNING contact_id, owner_id, version),
event AS (SELECT gen_random_uuid()::text AS id, c.* FROM changed c)
INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload)
SELECT e.id, e.id, 'contact.edge_upserted', e.contact_id::text, convert_to(jsonb_build_object(
  'event_id', e.id, 'event_name', 'contact.edge_upserted', 'event_version', 1, 'occurred_at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'producer', 'monolith', 'actor', jsonb_build_object('actor_id', 'probe', 'actor_type', 'user'),
  'subject', jsonb_build_object('subject_type', 'contact', 'subject_id', e.contact_id::text, 'version', e.version),
  'correlation_id', e.id, 'causation_id', '', 'idempotency_key', 'probe:' || e.id, 'tenant_scope', 'global',
  'payload', jsonb_build_object('contact_id', e.contact_id, 'owner_id', e.owner_id))::text, 'UTF8')
FROM event e RETURNING 1)sql";

constexpr const char* kVisible = R"sql(
SELECT d.doc_id FROM unnest($1::text[], $2::text[]) u (doc_id, display_name)
JOIN serving.search_documents d ON d.doc_id = u.doc_id AND d.display_name = u.display_name)sql";

// Somebody else may have changed or hidden the contact meanwhile.
constexpr const char* kOvertaken = R"sql(
SELECT u.doc_id FROM unnest($1::text[], $2::text[]) u (doc_id, display_name)
LEFT JOIN app.contacts c ON c.contact_id = substr(u.doc_id, 9)::bigint
  AND c.display_name = u.display_name AND c.state NOT IN ('tombstoned', 'archived') AND NOT c.contested
WHERE c.contact_id IS NULL)sql";

struct Waiting {
  std::string display_name;
  Clock::time_point since;
};

struct Probe {
  Session changes, reads;
  std::map<std::string, Waiting> waiting;
  Figures figures;
  std::size_t overtaken = 0;

  explicit Probe(const std::string& url) : changes(url), reads(url) {}

  void change(const std::string& contact, int number) {
    const std::string doc_id = "contact:" + contact, display_name = "Probe " + std::to_string(number);
    if (waiting.contains(doc_id)) return;
    const auto since = Clock::now();
    if (!changes.query(kChange, {contact, display_name}).empty()) waiting[doc_id] = {display_name, since};
  }
  void look() {
    if (waiting.empty()) return;
    std::vector<std::string> ids, names;
    for (const auto& [doc_id, one] : waiting) ids.push_back(doc_id), names.push_back(one.display_name);
    const auto visible = reads.query(kVisible, {array_text(ids), array_text(names)});
    const auto now = Clock::now();
    for (const auto& row : visible) {
      figures.add(std::chrono::duration<double, std::milli>(now - waiting.at(row[0]).since).count());
      waiting.erase(row[0]);
    }
  }
  void drop_overtaken() {
    if (waiting.empty()) return;
    std::vector<std::string> ids, names;
    for (const auto& [doc_id, one] : waiting) ids.push_back(doc_id), names.push_back(one.display_name);
    for (const auto& row : reads.query(kOvertaken, {array_text(ids), array_text(names)})) overtaken += waiting.erase(row[0]);
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::string url, name = "freshness";
  double seconds = 20, per_second = 25;
  long long without_owner = 0;
  CLI::App app("From commit to visible document");
  app.add_option("--postgres", url, "URL of the monolith's database")->required();
  app.add_option("--seconds", seconds, "How long changes are made");
  app.add_option("--per-second", per_second, "Changes a second");
  app.add_option("--without-owner", without_owner, "No contacts of this owner");
  app.add_option("--name", name, "Of the figure");
  CLI11_PARSE(app, argc, argv);

  Probe probe(url);
  const auto contacts = probe.reads.query(kContacts, {std::to_string(without_owner), "20000"});
  if (contacts.empty()) {
    fmt::print(stderr, "there are no contacts with documents\n");
    return 1;
  }
  const auto begin = Clock::now(), end = begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  const auto give_up = end + std::chrono::seconds(30);
  const auto pause = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / per_second));
  auto next = begin, next_check = begin + std::chrono::seconds(1);
  for (int number = 1; Clock::now() < end || (!probe.waiting.empty() && Clock::now() < give_up);) {
    if (Clock::now() >= next && Clock::now() < end) {
      probe.change(contacts[static_cast<std::size_t>(number) % contacts.size()][0], number);
      ++number;
      next += pause;
    }
    probe.look();
    if (Clock::now() >= next_check) {
      probe.drop_overtaken();
      next_check += std::chrono::seconds(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  fmt::print(stderr, "{:<26}{}  never visible {}\n", name, probe.figures.text(), probe.waiting.size());
  nlohmann::json result = probe.figures.json();
  result["never_visible"] = probe.waiting.size();
  result["overtaken"] = probe.overtaken;
  fmt::print("{}\n", nlohmann::json{{name, result}}.dump());
  return probe.waiting.empty() ? 0 : 1;
}
