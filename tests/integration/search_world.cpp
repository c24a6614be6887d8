#include "search_world.h"

#include <random>

namespace cutover::test {
namespace {

std::function<std::uint64_t()> random_numbers() {
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [engine] { return (*engine)(); };
}

postgres::ConnectionOptions options_of(const TestDatabase& database, const std::string& role) {
  postgres::ConnectionOptions options = database.options("search test");
  if (!role.empty()) options.url.replace(options.url.find("//") + 2, options.url.find('@') - options.url.find("//") - 2, role);
  return options;
}

// Events with the memory that they point into.
struct Batch {
  std::vector<std::string> texts;
  std::vector<Event> events;
};

Batch batch_of(const std::vector<Told>& told, std::int64_t& sequence) {
  Batch batch;
  batch.texts.reserve(told.size() * 3);
  for (const Told& one : told) {
    Event& event = batch.events.emplace_back();
    event.event_name = batch.texts.emplace_back(one.name);
    std::string& bytes = batch.texts.emplace_back(one.payload + std::string(64, '\0'));
    event.payload = std::string_view(bytes).substr(0, one.payload.size());
    event.place = {one.name.starts_with("contact.") ? "CONTACT" : "CORE", 1,
                   static_cast<std::uint64_t>(one.sequence != 0 ? one.sequence : ++sequence)};
    event.event_id = batch.texts.emplace_back("event-" + std::to_string(event.place.sequence));
    event.event_version = 1;
    event.tenant_scope = "global";
    event.correlation_id = "correlation";
  }
  return batch;
}

}  // namespace

SearchHand::SearchHand(const TestDatabase& database, const std::string& role)
    : transactions(options_of(database, role), postgres::Identity{"search-projector", "test", "test", 0, false}),
      ids_(clock, random_numbers()),
      worker_(search::make_search_worker(settings_)) {}

std::vector<Verdict> SearchHand::begin(const std::vector<Told>& events, bool shadow) {
  Batch batch = batch_of(events, sequence_);
  open_ = transactions.begin();
  if (shadow) open_->use_shadow(true);
  WorkerTransaction tx(*open_, "search-projector", ids_, clock.now());
  return worker_->handle(batch.events, tx);
}

void SearchHand::commit() {
  open_->commit();
  open_.reset();
}

std::vector<Verdict> SearchHand::deliver(const std::vector<Told>& events, bool shadow) {
  std::vector<Verdict> verdicts = begin(events, shadow);
  commit();
  return verdicts;
}

int SearchHand::run_jobs() {
  int done = 0;
  for (bool more = true; more;) {
    in_transaction()([&](Transaction& tx) { more = jobs_.run(tx); });
    done += more;
  }
  return done;
}

void SearchHand::run_shadow_chores() {
  for (const Chore& chore : search_projector_spec(std::make_shared<search::SearchSettings>(settings_)).chores)
    for (bool more = chore.shadow; more;) in_transaction(true)([&](Transaction& tx) { more = chore.run(tx); });
}

search::InTransaction SearchHand::in_transaction(bool shadow) {
  return [this, shadow](const std::function<void(Transaction&)>& what) {
    auto batch = transactions.begin();
    if (shadow) batch->use_shadow(true);
    WorkerTransaction tx(*batch, "search-projector", ids_, clock.now());
    what(tx);
    batch->commit();
  };
}

SearchWorld::SearchWorld() : hand(database) {}

std::int64_t SearchWorld::differences(const std::string& schema) {
  static const std::string columns =
      "doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv";
  return database.count("SELECT count(*) FROM ((SELECT " + columns + " FROM serving.search_document_source EXCEPT SELECT " + columns +
                        " FROM " + schema + ".search_documents) UNION ALL (SELECT " + columns + " FROM " + schema +
                        ".search_documents EXCEPT SELECT " + columns + " FROM serving.search_document_source)) d");
}

std::string SearchWorld::field(const std::string& doc_id, const std::string& column, const std::string& schema) {
  return database.value("SELECT " + column + " FROM " + schema + ".search_documents WHERE doc_id = $1", {doc_id});
}

bool SearchWorld::exists(const std::string& doc_id, const std::string& schema) {
  return database.count("SELECT count(*) FROM " + schema + ".search_documents WHERE doc_id = $1", {doc_id}) == 1;
}

std::vector<std::string> SearchWorld::take_outgoing() {
  std::vector<std::string> found;
  for (const auto& row : database.query("SELECT subject || ' ' || key FROM cutover.outbox ORDER BY outbox_id").rows)
    found.push_back(*row.front());
  database.query("DELETE FROM cutover.outbox");
  return found;
}

}  // namespace cutover::test
