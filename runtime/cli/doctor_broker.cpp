#include <memory>

#include <fmt/format.h>

#include "runtime/cli/doctor.h"
#include "runtime/cli/jetstream.h"
#include "runtime/cli/output.h"
#include "runtime/cli/server_greeting.h"
#include "runtime/cli/topology_files.h"
#include "runtime/host/settings_table.h"
#include "runtime/nats/api.h"
#include "runtime/postgres/session.h"
#include "streams/topology_plan.h"

namespace cutover::cli {
namespace {

using State = Check::State;
using nlohmann::json;

constexpr const char* kServerVersionMin = "2.9.0";

// The greeting is plain text. Where a server wants TLS from the first byte there is none, and that is no
// fault.
Check server_check(const std::string& url, std::chrono::milliseconds timeout, bool logged_in) {
  Check check{"nats server " + mask_password(url), State::ok, "", ""};
  try {
    const ServerGreeting greeting = greet(url, timeout);
    check.found = fmt::format("version {}{}", greeting.version, greeting.jetstream ? ", JetStream" : "");
    if (compare_versions(greeting.version, kServerVersionMin) < 0) {
      check.state = State::fail;
      check.what_to_do = "nats-server 2.9 or later is needed: upgrade it.";
    } else if (!greeting.jetstream) {
      check.state = State::fail;
      check.found += ", JetStream is off";
      check.what_to_do = "Enable it: a jetstream block in the server's configuration, or nats-server -js.";
    }
  } catch (const std::exception& error) {
    check.state = logged_in ? State::warn : State::fail;
    check.found = error.what();
    check.what_to_do = logged_in
                           ? "Another server of the list answers; this one cannot take over."
                           : "Check nats.servers, that the server runs, and the way there (port, firewall).";
  }
  return check;
}

Check account_check(JetStream& jetstream) {
  const auto info = jetstream.ask("INFO");
  const auto used = info.value("storage", std::uint64_t{0});
  const auto limit = info.value("/limits/max_storage"_json_pointer, std::int64_t{-1});
  Check check{"jetstream account", State::ok,
              fmt::format("{} streams, {:.1f} MiB stored of {}", info.value("streams", 0),
                          static_cast<double>(used) / (1024 * 1024),
                          limit < 0 ? "no limit"
                                    : fmt::format("{:.1f} MiB", static_cast<double>(limit) / (1024 * 1024))),
              ""};
  if (limit >= 0 && static_cast<double>(used) > 0.8 * static_cast<double>(limit)) {
    check.state = State::warn;
    check.what_to_do = "Raise the account's storage limit: a full stream refuses the outbox.";
  }
  return check;
}

Check topology_check(const Settings& settings, JetStream& jetstream) {
  const Topology topology = topology_of(settings);
  Check check{"topology", State::ok, counted(topology.streams.size(), "stream") + " as the files want them",
              ""};
  std::string differences;
  for (const Change& change : plan(topology, jetstream.admin()))
    if (change.kind != Change::Kind::unmanaged)
      differences += (differences.empty() ? "" : "; ") + to_text(change);
  if (differences.empty()) return check;
  return {check.name, State::fail, differences,
          "See `cutover streams plan`, then run `cutover streams apply`."};
}

// A stream that was deleted and made anew has other events under the sequences that the ledger knows.
Check lives_check(const Settings& settings, JetStream& jetstream) {
  Check check{"stream incarnations", State::ok, "", ""};
  postgres::Session session(settings.postgres.url, settings.postgres.password, "cutover doctor");
  const auto known = session.query(
      "SELECT DISTINCT ON (stream) stream, (extract(epoch FROM created_at) * 1e6)::bigint FROM "
      "cutover.streams "
      "ORDER BY stream, incarnation DESC");
  std::string other;
  for (const auto& row : known.rows) {
    const auto info = jetstream.admin().stream(row[0].value());
    const auto created = info ? parse_api_time(info->value("created", "")) : std::nullopt;
    if (created && created->time_since_epoch().count() != std::stoll(row[1].value()))
      other += (other.empty() ? "" : ", ") + row[0].value();
  }
  check.found = counted(known.rows.size(), "stream") + " known to the ledger";
  if (!other.empty())
    return {check.name, State::fail, "deleted and created anew: " + other,
            "Workers refuse to process them. Restore the stream, or accept the loss: `cutover incarnation start "
            "STREAM`."};
  return check;
}

// 2.10 and later tell their time; before that the creation time of a consumer made for the purpose does.
Check broker_clock_check(JetStream& jetstream) {
  const SystemClock clock;
  std::string stream;  // not a work queue: that refuses a second consumer
  for (const json& info : jetstream.admin().streams())
    if (info.value("/config/retention"_json_pointer, "") == "limits")
      stream = info.value("/config/name"_json_pointer, "");
  if (stream.empty()) return {"nats clock", State::skipped, "no stream to ask", ""};
  Instant before = clock.now();
  std::string told = jetstream.ask("STREAM.INFO." + stream).value("ts", "");
  if (told.empty()) {
    before = clock.now();
    const json consumer =
        jetstream.ask("CONSUMER.CREATE." + stream, {{"stream_name", stream},
                                                    {"config",
                                                     {{"deliver_policy", "new"},
                                                      {"ack_policy", "explicit"},
                                                      {"mem_storage", true},
                                                      {"inactive_threshold", 1'000'000'000}}}});
    told = consumer.value("created", "");
    jetstream.admin().delete_consumer(stream, consumer.value("name", ""));
  }
  const auto theirs = parse_api_time(told);
  if (!theirs) return {"nats clock", State::skipped, "the server does not tell its time", ""};
  return clock_check("nats clock", "the broker's clock", *theirs - before);
}

template <typename Look>
Check guarded(const std::string& name, const Look& look) {
  try {
    return look();
  } catch (const std::exception& error) {
    return {name, State::fail, error.what(), "Correct this first, then run doctor again."};
  }
}

}  // namespace

std::vector<Check> check_broker(const Settings& settings) {
  std::unique_ptr<JetStream> jetstream;
  Check login{"nats connection", State::ok, "", ""};
  try {
    jetstream = std::make_unique<JetStream>(settings);
    login.found = "connected to " + jetstream->connection().server();
  } catch (const std::exception& error) {
    login = {login.name, State::fail, error.what(), "Check nats.servers, the credentials and the TLS files."};
  }
  std::vector<Check> checks;
  for (const std::string& url : settings.nats.servers)
    checks.push_back(server_check(url, settings.nats.timeout, jetstream != nullptr));
  checks.push_back(login);
  if (!jetstream) {
    for (const char* name : {"jetstream account", "topology", "stream incarnations", "nats clock"})
      checks.push_back({name, State::skipped, "no connection", ""});
    return checks;
  }
  checks.push_back(guarded("jetstream account", [&] { return account_check(*jetstream); }));
  checks.push_back(guarded("topology", [&] { return topology_check(settings, *jetstream); }));
  checks.push_back(guarded("stream incarnations", [&] { return lives_check(settings, *jetstream); }));
  checks.push_back(guarded("nats clock", [&] { return broker_clock_check(*jetstream); }));
  return checks;
}

}  // namespace cutover::cli
