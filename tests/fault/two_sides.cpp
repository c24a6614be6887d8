#include "fault/two_sides.h"

#include <fstream>
#include <sstream>
#include <thread>

#include <nlohmann/json.hpp>

#include "fixtures/waiting.h"
#include "runtime/host/handover.h"
#include "runtime/nats/stream_reader.h"

namespace cutover::test {
namespace {

using namespace std::chrono_literals;

}  // namespace

TwoSides::TwoSides() : TwoSides(Options()) {}

TwoSides::TwoSides(Options options)
    // When a row was committed tells the latency of its event. A young cluster would make each segment of its log
    // anew, and stop every commit for a tenth of a second: one that has run for a while takes an old one.
    : servers("track_commit_timestamp = on\nwal_init_zero = off"),
      db(servers.addresses().pg_url),
      broker(servers.addresses().nats_url),
      options_(std::move(options)),
      control_(db.options("cutover test control")) {
  db.query("CREATE TABLE shadow.effects (LIKE public.effects INCLUDING ALL)");
  db.query("UPDATE cutover.workers SET ordered = $1::boolean WHERE worker = $2",
           {options_.ordered ? "t" : "f", kWorker});
  broker.make_stream(kStream, {"contact.>"});
  broker.make_stream("CORE", {"profile.>"});  // the worker's other stream, which stays empty
  broker.make_stream("OUT", {"out.>"});
}

std::vector<std::pair<std::string, std::string>> TwoSides::environment() const {
  std::vector<std::pair<std::string, std::string>> all = {
      {"CUTOVER_NATS_SERVERS", broker.url()}, {"CUTOVER_POSTGRES_URL", db.url()}, {"CUTOVER_LOG_FORMAT", "json"}};
  if (options_.replays_a_second > 0) all.emplace_back("CUTOVER_REPLAY_RATE", std::to_string(options_.replays_a_second));
  return all;
}

void TwoSides::start_worker(bool fixed) {
  worker.reset();
  std::vector<std::string> argv{CUTOVER_TEST_WORKER,
                                kWorker,
                                "--emit",
                                "out.effect_noted",
                                "--concurrency",
                                "2",
                                "--event",
                                kEvent,
                                "--ordered",
                                options_.ordered ? "yes" : "no",
                                "--fixed",
                                fixed ? "yes" : "no",
                                "--lane",
                                "contact," + kStream + ",contact.>,5,512,2000"};
  worker = std::make_unique<Program>(argv, environment(), log_file("worker"));
}

void TwoSides::start_monolith() {
  monolith.reset();
  monolith =
      std::make_unique<Program>(std::vector<std::string>{CUTOVER_TEST_MONOLITH,
                                                         "effects",
                                                         "--worker",
                                                         kWorker,
                                                         "--stream",
                                                         kStream,
                                                         "--filter",
                                                         "contact.>",
                                                         "--events",
                                                         kEvent,
                                                         "--emit",
                                                         "out.effect_noted",
                                                         "--ack-wait",
                                                         "2s",
                                                         "--concurrency",
                                                         "8",
                                                         "--nats",
                                                         broker.url(),
                                                         "--pg",
                                                         db.url()},
                                std::vector<std::pair<std::string, std::string>>{}, log_file("monolith"));
}

void TwoSides::start_relay() {
  relay.reset();
  relay = std::make_unique<Program>(std::vector<std::string>{CUTOVER_PROGRAM, "relay"}, environment(),
                                    log_file("relay"));
}

std::string TwoSides::ended() {
  std::string all;
  const std::pair<const char*, Program*> processes[] = {
      {"worker", worker.get()}, {"monolith", monolith.get()}, {"relay", relay.get()}};
  for (const auto& [name, process] : processes) {
    if (!process || process->running()) continue;
    const std::string text = log(name);
    all += std::string(name) + " ended:\n" + text.substr(text.size() > 4000 ? text.size() - 4000 : 0) + "\n";
  }
  return all;
}

std::string TwoSides::log(const std::string& process) const {
  std::stringstream text;
  text << std::ifstream(log_file(process)).rdbuf();
  return text.str();
}

TwoSides::Flip TwoSides::flip(Mode mode, int percent_hundredths) {
  if (!broker.connection.wait_connected(std::chrono::steady_clock::now() + 20s))
    throw std::runtime_error("the broker is away");
  if (!control_.connected()) control_.connect();
  Handover handover;
  handover.worker = kWorker;
  handover.streams = {kStream};
  handover.mode = mode;
  handover.percent_hundredths = percent_hundredths;
  handover.log.actor = "test";
  handover.log.command = "flip";
  handover.log.reason = "a test";
  Flip flip{mode, percent_hundredths, 0, std::chrono::system_clock::now(), {}, {}};
  const HandedOver done =
      hand_over(control_, broker.connection, handover, [](std::chrono::milliseconds time) {
        std::this_thread::sleep_for(time);
        return true;
      });
  flip.ended = std::chrono::system_clock::now();
  flip.held = done.held;
  flip.from_sequence = done.segments.at(0).from_sequence;
  return flip;
}

std::string TwoSides::command(std::vector<std::string> words) {
  const std::string name = "command-" + std::to_string(++commands_);
  words.insert(words.begin(), CUTOVER_PROGRAM);
  Program program(words, environment(), log_file(name));
  const std::optional<int> status = program.wait(120s);
  return (status ? std::to_string(*status) : "no end") + " " + log(name);
}

std::int64_t TwoSides::effects(const std::string& where) {
  return db.count("SELECT count(*) FROM effects WHERE " + where);
}

bool TwoSides::quiet() {
  for (const std::string& stream : {kStream, std::string("REPLAY")})
    for (const auto& info : broker.admin.consumers(stream))
      if (info.at("num_pending") != 0 || info.at("num_ack_pending") != 0) return false;
  return db.count("SELECT count(*) FROM cutover.outbox WHERE published_at IS NULL") == 0;
}

std::vector<std::string> TwoSides::outgoing() {
  std::vector<std::string> keys;
  read_stream(
      broker.connection, {.stream = "OUT", .filter_subject = "", .last = broker.last_sequence("OUT")},
      [&](Message&& message) { keys.push_back(nlohmann::json::parse(message.data)["idempotency_key"]); },
      std::chrono::steady_clock::now() + 60s);
  return keys;
}

}  // namespace cutover::test
