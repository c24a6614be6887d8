#include "score_rig.h"

#include "runtime/engine/worker_transaction.h"
#include "runtime/postgres/parameters.h"
#include "workers/score/score_worker.h"

namespace cutover::test {
namespace {

const std::string kLogin = "cutover_test_score";

std::function<std::uint64_t()> random_numbers() {
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [engine] { return (*engine)(); };
}

std::string as_login(std::string url) {
  return url.replace(url.find("//") + 2, url.find('@') - url.find("//") - 2, kLogin);
}

Settings settings_for(const std::string& url) {
  Settings settings;
  settings.postgres.url = url;
  return settings;
}

postgres::ConnectionOptions options_for(const std::string& url) {
  postgres::ConnectionOptions options;
  options.url = url;
  return options;
}

}  // namespace

std::string naming(const std::vector<std::int64_t>& principals) {
  std::string payload = R"({"scope":"principals","reason":"test","principal_ids":[)";
  for (std::size_t i = 0; i < principals.size(); ++i)
    payload += (i ? "," : "") + std::to_string(principals[i]);
  return payload + "]}";
}

ScoreHand::ScoreHand(const std::string& database_url, const std::string& instance)
    : settings_(settings_for(as_login(database_url))),
      metrics_(MetricBounds{{{"score-orchestrator", {"request"}, {"batch"}}}}, BuildInfo{}),
      transactions_(options_for(settings_.postgres.url),
                    postgres::Identity{"score-orchestrator", "test", "test", 0, false}),
      ids_(clock_, random_numbers()),
      worker_(score::make_score_worker()),
      context_(std::make_unique<HostJobContext>(
          HostJobContext::Parts{settings_, "score-orchestrator", "batch", instance, "test", clock_,
                                random_numbers(), metrics_, false, [] {}, stop_.get_token()})) {}

std::vector<Verdict> ScoreHand::deliver(const std::vector<Asked>& requests, bool shadow,
                                        std::int64_t sequence) {
  if (sequence != 0) sequence_ = sequence - 1;
  std::vector<std::string> texts;
  texts.reserve(requests.size() * 2);
  std::vector<Event> events;
  for (const Asked& asked : requests) {
    Event& event = events.emplace_back();
    event.event_name = "score.recompute_requested";
    std::string& bytes = texts.emplace_back(asked.payload + std::string(64, '\0'));
    event.payload = std::string_view(bytes).substr(0, asked.payload.size());
    event.place = {"GRAPH", 1, static_cast<std::uint64_t>(++sequence_)};
    event.event_id = texts.emplace_back("event-" + std::to_string(sequence_));
    event.key = "score";
    event.tenant_scope = "global";
    event.correlation_id = "correlation";
    event.occurred_at = postgres::parse_timestamp(asked.at);
  }
  auto batch = transactions_.begin();
  if (shadow) batch->use_shadow(true);
  WorkerTransaction tx(*batch, "score-orchestrator", ids_, clock_.now());
  auto verdicts = worker_->handle(events, tx);
  batch->commit();
  return verdicts;
}

void ScoreHand::work_off() {
  while (job_.run(*context_)) {
  }
}

ScoreWorld::ScoreWorld()
    : hand([this] {
        database.query("DO $$ BEGIN CREATE ROLE " + kLogin +
                       " LOGIN IN ROLE cutover_score_orchestrator; EXCEPTION WHEN duplicate_object OR "
                       "unique_violation THEN NULL; END $$");
        database.query("SELECT cutover.stream_incarnation('GRAPH', '2026-01-01')");
        return database.url();
      }()) {}

// state, confidence, contested, first seen, last evidence, ended
std::string ScoreWorld::contact_values(std::mt19937_64& random) {
  const auto share = [&](unsigned percent) { return random() % 100 < percent; };
  const auto before = [&](std::uint64_t days) {
    return "timestamptz '2026-06-01 12:00+00' - interval '" +
           std::to_string(random() % (days * 86'400'000'000)) + " microseconds'";
  };
  const bool ended = share(10);
  const char* state = ended       ? "tombstoned"
                      : share(60) ? "active_confirmed"
                      : share(50) ? "active_probable"
                      : share(70) ? "stale_decay"
                                  : "dormant";
  const std::string first = share(50)  ? before(6)
                            : share(5) ? "timestamptz '2026-06-02 12:00+00'"
                                       : before(500);
  return std::string("'") + state + "', " +
         (share(4) ? "0" : std::to_string(static_cast<double>(random() % 10'000) / 9'999)) + ", " +
         (share(4) ? "true" : "false") + ", " + first + ", " +
         (share(3) ? "timestamptz 'infinity'" : before(420)) + ", " + (ended ? before(120) : "NULL");
}

void ScoreWorld::populate(std::mt19937_64& random, int people, int contacts_each) {
  const auto share = [&](unsigned percent) { return random() % 100 < percent; };
  std::string principals, profiles, channels, incidents, contacts;
  const auto append = [](std::string& rows, const std::string& row) {
    rows += (rows.empty() ? "(" : ", (") + row + ")";
  };
  for (int id = 1; id <= people; ++id) {
    const std::string text = std::to_string(id);
    append(principals, text + (share(95) ? ", 'active'" : ", 'restricted'"));
    append(profiles, text + (share(90) ? ", 'single'" : share(50) ? ", 'employee'" : ", 'shadow'"));
    if (share(60))
      append(channels, text + (share(50) ? ", 'phone'" : ", 'email'") + ", 'v" + text + "', " +
                           (share(80) ? "'verified_active'" : "'challenged'") +
                           ", timestamptz '2026-05-20+00' - interval '" + std::to_string(random() % 100) +
                           " days'");
    if (share(15))
      append(incidents, text + (share(50) ? ", 'abuse_flag', 'soft'" : ", 'dispute', 'moderate'") +
                            ", '2026-05-01', " + (share(50) ? "'2026-05-20'" : "NULL"));
    for (int target = 1; target <= people; ++target)
      if (target != id && random() % static_cast<unsigned>(people) < static_cast<unsigned>(contacts_each))
        append(contacts, text + ", " + std::to_string(target) + ", " + contact_values(random));
  }
  change("INSERT INTO app.principals (principal_id, status) VALUES " + principals);
  change("INSERT INTO app.profiles (owner_principal_id, profile_class) VALUES " + profiles);
  if (!channels.empty())
    change("INSERT INTO app.channels (principal_id, kind, value, state, verified_at) VALUES " + channels);
  if (!incidents.empty())
    change("INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at, cleared_at) VALUES " +
           incidents);
  change(
      "INSERT INTO app.contacts (owner_id, target_id, state, confidence, contested, first_seen_at, "
      "last_evidence_at, ended_at) VALUES " +
      contacts);
  change(
      "INSERT INTO app.circles (owner_id, name) SELECT principal_id, 'friends' FROM app.principals WHERE "
      "principal_id % 3 > 0");
  change(
      "INSERT INTO app.circle_members SELECT k.circle_id, c.contact_id FROM app.circles k JOIN app.contacts "
      "c "
      "ON c.owner_id = k.owner_id OR (c.contact_id % 50 = 0 AND k.owner_id % 7 = 0) WHERE c.contact_id % 4 = "
      "0");
}

std::vector<std::int64_t> ScoreWorld::change_something(std::mt19937_64& random, int people) {
  const auto person = [&] { return static_cast<std::int64_t>(1 + random() % static_cast<unsigned>(people)); };
  const std::int64_t a = person();
  std::int64_t b = person();
  if (b == a) b = a % people + 1;
  const std::string owner = std::to_string(a), target = std::to_string(b);
  switch (random() % 10) {
    case 0:
      change("INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at) VALUES (" + owner +
             ", 'abuse_flag', 'soft', '2026-05-30')");
      return {a};
    case 1:
      change("UPDATE app.trust_incidents SET cleared_at = '2026-05-25' WHERE principal_id = " + owner);
      return {a};
    case 2:
      change(
          "UPDATE app.channels SET state = CASE state WHEN 'verified_active' THEN 'challenged' ELSE "
          "'recovered' END WHERE principal_id = " +
          owner);
      return {a};
    case 3:
      change(
          "DELETE FROM app.circle_members WHERE contact_id IN (SELECT contact_id FROM app.contacts WHERE "
          "owner_id = " +
          owner + " AND contact_id % 8 = 0)");
      return {a};
    case 4:
      change(
          "UPDATE app.principals SET status = CASE status WHEN 'active' THEN 'restricted' ELSE 'active' END "
          "WHERE principal_id = " +
          owner);
      return {a};
    default:
      change(
          "INSERT INTO app.contacts AS c (owner_id, target_id, state, confidence, contested, first_seen_at, "
          "last_evidence_at, ended_at) VALUES (" +
          owner + ", " + target + ", " + contact_values(random) +
          ") ON CONFLICT (owner_id, target_id) DO UPDATE SET (state, confidence, contested, first_seen_at, "
          "last_evidence_at, ended_at) = "
          "(excluded.state, excluded.confidence, excluded.contested, excluded.first_seen_at, "
          "excluded.last_evidence_at, excluded.ended_at)");
      return {std::min(a, b), std::max(a, b)};
  }
}

std::vector<std::string> ScoreWorld::results(const std::string& table, const std::string& condition) {
  const auto rows = database.query(
      "SELECT principal_id || ' ' || score || ' ' || quality || ' ' || position || ' ' || stability || ' ' "
      "|| trust || ' ' || penalty || ' ' || edges "
      "|| ' ' || coalesce(up_1, 0) || ' ' || coalesce(up_2, 0) || ' ' || coalesce(down_1, 0) || ' ' || "
      "coalesce(down_2, 0) FROM " +
      table + " WHERE " + condition + " ORDER BY principal_id");
  std::vector<std::string> texts;
  for (const auto& row : rows.rows) texts.push_back(row[0].value_or("null"));
  return texts;
}

}  // namespace cutover::test
