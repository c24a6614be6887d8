// Fills the lanes with cases that can wait, and measures how long critical ones take from their publication to the commit of their
// decision. PostgreSQL says when a transaction was committed (track_commit_timestamp), by the same clock as ours.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <random>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fixtures/test_broker.h"
#include "runtime/contract/timestamp.h"
#include "runtime/postgres/session.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kFirstCritical = 10'000'000;  // case ids from here on are P0
constexpr std::int64_t kFirstArriving = 5'000'000;
constexpr std::size_t kPublishAtOnce = 2'000;

std::string envelope(const std::string& name, std::int64_t case_id, std::int64_t version, const std::string& key, const std::string& payload) {
  std::string at;
  append_timestamp(at, SystemClock().now());
  return fmt::format(
      R"({{"event_id":"{}","event_name":"{}","event_version":1,"occurred_at":"{}","producer":"bench",)"
      R"("actor":{{"actor_id":"bench","actor_type":"system"}},"subject":{{"subject_type":"case","subject_id":"{}","version":{}}},)"
      R"("correlation_id":"bench","causation_id":"","idempotency_key":"{}","tenant_scope":"global","payload":{}}})",
      uuid_of(key), name, at, case_id, version, key, payload);
}

Sending message(const std::string& name, const std::string& token, std::int64_t case_id, std::int64_t version, const std::string& payload) {
  const std::string key = fmt::format("{}:{}:{}", name, case_id, version);
  return {name + (token.empty() ? "" : "." + token), envelope(name, case_id, version, key, payload), "",
          {{"Cutover-Key", std::to_string(case_id)}}};
}

Sending opened(std::int64_t case_id, bool critical) {
  std::string at;
  append_timestamp(at, SystemClock().now());
  const std::string payload = fmt::format(
      R"({{"case_id":{},"case_type":"{}","severity":"L2","principal_id":{},"verified_business":false,"opened_at":"{}","evidence":{}}})", case_id,
      critical ? "C1" : "C3", case_id, at,
      critical ? R"({"incumbent_otp":false,"challenger_otp":false,"incumbent_device_days":3,"challenger_device_days":4})"
               : R"({"auto_applied":false,"requester_confirmed_merge":false})");
  return message("security.case_opened", critical ? "urgent" : "", case_id, 1, payload);
}

template <class Make>
void publish_all(TestBroker& broker, std::int64_t from, std::int64_t to, Make make) {
  std::vector<Sending> batch;
  for (std::int64_t id = from; id < to; ++id) {
    batch.push_back(make(id));
    if (batch.size() < kPublishAtOnce && id + 1 < to) continue;
    broker.publish(batch);
    batch.clear();
  }
}

std::int64_t count(postgres::Session& db, const std::string& sql) { return std::stoll(*db.query(sql).rows.at(0).at(0)); }

// Half of the cases wait for their intake, half in their lane.
void preload(TestBroker& broker, postgres::Session& db, std::int64_t cases) {
  const std::int64_t half = cases / 2;
  db.query(fmt::format("INSERT INTO serving.dispute_queue (case_id, case_type, severity, principal_id, opened_at, verified_business, state, version, "
                       "routed_lane, base_lane, lane, first_response_due, stream, seq) SELECT i, 'C3', 'L2', i, now(), false, 'routed', 1, 3, 3, 3, "
                       "now() + interval '72 h', 'CORE', i FROM generate_series(1, {}) i", half));
  db.query(fmt::format("INSERT INTO serving.dispute_evidence SELECT i, 1, 'opened', true, now(), "
                       "'{{\"auto_applied\":false,\"requester_confirmed_merge\":false}}', 'CORE', i FROM generate_series(1, {}) i", half));
  publish_all(broker, 1, half + 1, [](std::int64_t id) {
    return message("dispute.queue_routed", "p3", id, 0, fmt::format(R"({{"case_id":{},"version":1,"lane":3}})", id));
  });
  publish_all(broker, half + 1, cases + 1, [](std::int64_t id) { return opened(id, false); });
}

struct Options {
  std::string nats, postgres;
  std::int64_t cases = 100'000, critical = 1'000, seconds = 30, rate = 200;
};

const std::string kWaitingDone = fmt::format("SELECT count(*) FROM serving.dispute_decisions WHERE case_id < {}", kFirstCritical);

// Returns the document with what was measured.
nlohmann::json measure(TestBroker& broker, postgres::Session& db, const Options& options) {
  while (count(db, kWaitingDone) == 0) std::this_thread::sleep_for(20ms);
  const std::int64_t done_before = count(db, kWaitingDone);
  const auto begin = std::chrono::steady_clock::now();
  std::int64_t arrived = 0;
  std::jthread arrivals([&](std::stop_token stop) {
    TestBroker own(options.nats);
    while (!stop.stop_requested()) {
      const std::int64_t many = std::max<std::int64_t>(options.rate / 20, 1);
      publish_all(own, kFirstArriving + arrived, kFirstArriving + arrived + many, [](std::int64_t id) { return opened(id, false); });
      arrived += many;
      std::this_thread::sleep_for(50ms);
    }
  });
  std::mt19937_64 random(17);
  std::uniform_int_distribution<std::int64_t> moment(0, options.seconds * 1'000'000);
  std::vector<std::int64_t> moments;
  for (std::int64_t i = 0; i < options.critical; ++i) moments.push_back(moment(random));
  std::sort(moments.begin(), moments.end());
  std::vector<Instant> published;
  for (std::int64_t i = 0; i < options.critical; ++i) {
    std::this_thread::sleep_until(begin + std::chrono::microseconds(moments[static_cast<std::size_t>(i)]));
    const Sending critical = opened(kFirstCritical + i, true);
    published.push_back(SystemClock().now());
    broker.publish(critical);
  }
  const std::int64_t done_after = count(db, kWaitingDone);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const std::string critical_done = fmt::format("SELECT count(*) FROM serving.dispute_decisions WHERE case_id >= {}", kFirstCritical);
  const auto limit = std::chrono::steady_clock::now() + 120s;
  while (count(db, critical_done) < options.critical && std::chrono::steady_clock::now() < limit) std::this_thread::sleep_for(20ms);
  arrivals.request_stop();
  arrivals.join();

  std::vector<double> milliseconds;
  for (const auto& cells : db.query(fmt::format("SELECT case_id, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint "
                                               "FROM serving.dispute_decisions WHERE case_id >= {}", kFirstCritical)).rows) {
    const Instant decided{std::chrono::microseconds(std::stoll(*cells[1]))};
    milliseconds.push_back(static_cast<double>((decided - published[static_cast<std::size_t>(std::stoll(*cells[0]) - kFirstCritical)]).count()) / 1'000);
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto at = [&](double share) { return milliseconds.empty() ? -1.0 : milliseconds[static_cast<std::size_t>(share * static_cast<double>(milliseconds.size() - 1))]; };
  nlohmann::json histogram = nlohmann::json::array();
  double low = 0;
  for (double high : {5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 500.0, 1'000.0, 1e9}) {
    const auto many = std::count_if(milliseconds.begin(), milliseconds.end(), [&](double ms) { return ms >= low && ms < high; });
    histogram.push_back({{"below_ms", high < 1e9 ? nlohmann::json(high) : nlohmann::json(nullptr)}, {"cases", many}});
    low = high;
  }
  return {{"waiting_cases", options.cases},
          {"critical_cases", options.critical},
          {"critical_decided", milliseconds.size()},
          {"p50_ms", at(0.5)}, {"p95_ms", at(0.95)}, {"p99_ms", at(0.99)}, {"max_ms", at(1)},
          {"seconds", seconds},
          {"arrived", arrived},
          {"p3_decided_meanwhile", done_after - done_before},
          {"p3_still_waiting", options.cases + arrived - done_after},
          {"histogram", histogram}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string phase;
  CLI::App app("Latency of critical cases behind a backlog");
  app.add_option("phase", phase)->required()->check(CLI::IsMember({"preload", "measure"}));
  app.add_option("--nats", options.nats)->required();
  app.add_option("--postgres", options.postgres)->required();
  app.add_option("--cases", options.cases);
  app.add_option("--critical", options.critical);
  app.add_option("--seconds", options.seconds);
  app.add_option("--rate", options.rate);
  CLI11_PARSE(app, argc, argv);
  try {
    TestBroker broker(options.nats);
    postgres::Session db(options.postgres, "", "dispute bench");
    if (phase == "preload")
      preload(broker, db, options.cases);
    else
      std::cout << measure(broker, db, options).dump() << "\n";
  } catch (const std::exception& e) {
    std::cerr << "dispute_probe: " << e.what() << "\n";
    return 3;
  }
  return 0;
}
