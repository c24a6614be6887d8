// One lane without a broker: the test answers its questions and pulls, and tells it the time.

#include "runtime/nats/lane_pull.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace cutover;
using namespace std::chrono_literals;
using nlohmann::json;
using Condition = LaneState::Condition;

namespace {

struct Sent {
  std::string subject, reply;
  json body;
};

LaneSpec spec() {
  LaneSpec lane;
  lane.name = "main";
  lane.stream = "CORE";
  lane.filter_subject = "core.>";
  lane.max_ack_pending = 100;
  return lane;
}

struct Fixture {
  std::vector<Sent> sent;
  std::vector<std::string> notices;
  std::vector<Message> out;
  Deadline now{1h};
  LanePull lane;

  explicit Fixture(LanePullOptions options = {.prefetch = 8})
      : lane(
            3, spec(), "w-main", options,
            [this](const std::string& subject, const std::string& reply, const std::string& body) {
              sent.push_back({subject, reply, body.empty() ? json() : json::parse(body)});
            },
            [this](const std::string& text) { notices.push_back(text); }) {}

  static json stream_info(const std::string& created = "2026-01-01T00:00:00Z", std::uint64_t last = 100) {
    return {{"created", created}, {"state", {{"first_seq", 1}, {"last_seq", last}}}};
  }
  static json consumer_info(std::uint64_t pending = 0, std::uint64_t ack_pending = 0) {
    return {{"created", "2026-01-01T00:00:01Z"},
            {"config", consumer_config(spec(), "w-main")},
            {"delivered", {{"stream_seq", 10}}},
            {"ack_floor", {{"stream_seq", 5}}},
            {"num_pending", pending},
            {"num_ack_pending", ack_pending}};
  }
  static json api_error(int code, int err_code, const std::string& text) {
    return {{"error", {{"code", code}, {"err_code", err_code}, {"description", text}}}};
  }
  // The last question, which must be about this.
  void answer(const std::string& subject, const json& body) {
    auto question = std::find_if(sent.rbegin(), sent.rend(), [](const Sent& s) { return s.reply[0] == 'q'; });
    REQUIRE(question != sent.rend());
    REQUIRE(question->subject == "$JS.API." + subject);
    REQUIRE(question->reply.starts_with("q3-"));
    std::uint64_t number = std::stoull(question->reply.substr(3));
    sent.clear();
    lane.on_answer(number, body.dump(), out, now);
  }
  void start() {
    lane.restart(now);
    answer("STREAM.INFO.CORE", stream_info());
    answer("CONSUMER.INFO.CORE.w-main", consumer_info());
    REQUIRE(lane.state().condition == Condition::running);
  }
  std::vector<std::uint64_t> take_pulls() {
    std::vector<std::uint64_t> numbers;
    for (const Sent& one : sent)
      if (one.subject == "$JS.API.CONSUMER.MSG.NEXT.CORE.w-main")
        numbers.push_back(std::stoull(one.reply.substr(2)));
    sent.clear();
    return numbers;
  }
  void status(std::uint64_t pull, const std::string& line, int pending = -1) {
    std::string block = "NATS/1.0 " + line + "\r\n";
    if (pending >= 0) block += "Nats-Pending-Messages: " + std::to_string(pending) + "\r\n";
    lane.on_status(pull, parse_status(block + "\r\n"), now);
  }
  void deliver(std::uint64_t sequence, std::uint64_t consumer_sequence) {
    Message message;
    message.stream_sequence = sequence;
    AckReply reply;
    reply.stream_sequence = sequence;
    reply.consumer_sequence = consumer_sequence;
    reply.published_at = Instant(std::chrono::microseconds(static_cast<std::int64_t>(sequence)));
    lane.on_message(std::move(message), reply, out, now);
  }
  void pass(std::chrono::milliseconds time) {
    for (Deadline end = now + time; now < end;) {
      now += 20ms;
      lane.tick(now, now);
    }
  }
};

}  // namespace

TEST_CASE("a lane looks at stream and consumer, then pulls in parts", "[nats]") {
  Fixture f;
  f.lane.restart(f.now);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info(7, 2));
  CHECK(f.lane.state().pending == 7);
  CHECK(f.lane.state().ack_pending == 2);
  REQUIRE(f.sent.size() == 4);
  for (const Sent& pull : f.sent) {
    CHECK(pull.subject == "$JS.API.CONSUMER.MSG.NEXT.CORE.w-main");
    CHECK(pull.reply.starts_with("3-"));
    CHECK(pull.body["batch"] == 2);
    CHECK(pull.body["expires"] == 10'000'000'000);
    CHECK(pull.body["idle_heartbeat"] == 2'000'000'000);
    CHECK(pull.body["max_bytes"] > 0);
  }
}

TEST_CASE("a pull never outlives ack_wait, and has time for heartbeats", "[nats]") {
  LaneSpec quick = spec();
  quick.ack_wait = 900ms;
  std::vector<json> pulls;
  LanePull lane(
      0, quick, "w-main", {.prefetch = 1},
      [&](const std::string& subject, const std::string&, const std::string& body) {
        if (subject.find("MSG.NEXT") != std::string::npos) pulls.push_back(json::parse(body));
      },
      [](const std::string&) {});
  std::vector<Message> out;
  lane.restart(Deadline(1h));
  lane.on_answer(1, Fixture::stream_info().dump(), out, Deadline(1h));
  json info = Fixture::consumer_info();
  info["config"] = consumer_config(quick, "w-main");
  lane.on_answer(2, info.dump(), out, Deadline(1h));
  REQUIRE(pulls.size() == 1);
  CHECK(pulls[0]["expires"] == 450'000'000);
  CHECK(pulls[0]["idle_heartbeat"] == 150'000'000);
}

TEST_CASE("an expired pull is sent again, for what it did not bring", "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.status(pulls[0], "408 Request Timeout", 2);
  CHECK(f.take_pulls().size() == 1);
  f.deliver(1, 1);
  f.status(pulls[1], "408 Request Timeout", 1);
  CHECK(f.take_pulls().empty());  // one place is held, one is free: not worth a pull while others are open
  f.lane.release(1, f.now);
  CHECK(f.take_pulls().size() == 1);
  CHECK(f.lane.credit().outstanding() == 8);
}

TEST_CASE("too many pulls at the consumer: wait, then ask again", "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.status(pulls[3], "409 Exceeded MaxWaiting");
  CHECK(f.lane.credit().outstanding() == 6);
  CHECK(f.take_pulls().empty());
  f.pass(900ms);
  CHECK(f.take_pulls().empty());
  f.pass(200ms);
  CHECK(f.take_pulls().size() == 1);
  CHECK(f.lane.state().condition == Condition::running);
}

TEST_CASE("news about a pull that was given up is ignored", "[nats]") {
  Fixture f;
  f.start();
  auto old = f.take_pulls();
  f.lane.restart(f.now);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info());
  CHECK(f.take_pulls().size() == 4);
  f.status(old[0], "409 Consumer Deleted");
  f.status(old[1], "408 Request Timeout", 2);
  CHECK(f.lane.credit().outstanding() == 8);
  CHECK(f.sent.empty());
}

TEST_CASE("a deleted consumer is created again behind what was acked", "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.status(pulls[0], "409 Consumer Deleted");
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::api_error(404, kConsumerNotFound, "consumer not found"));
  REQUIRE(f.sent.size() == 1);
  CHECK(f.sent[0].body["stream_name"] == "CORE");
  CHECK(f.sent[0].body["config"]["deliver_policy"] == "by_start_sequence");
  CHECK(f.sent[0].body["config"]["opt_start_seq"] == 6);
  f.answer("CONSUMER.DURABLE.CREATE.CORE.w-main", Fixture::consumer_info());
  CHECK(f.take_pulls().size() == 4);
  REQUIRE(f.notices.size() == 1);
  CHECK(f.notices[0] == "consumer w-main of stream CORE was deleted; created again, behind sequence 5");
}

TEST_CASE("a stream of another time ends the lane for good", "[nats]") {
  bool told_before = GENERATE(false, true);
  Fixture f{
      {.prefetch = 8, .stream_created = told_before ? parse_api_time("2026-01-01T00:00:00Z") : std::nullopt}};
  if (!told_before) f.start();
  f.lane.restart(f.now);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info("2026-01-02T00:00:00.5Z"));
  CHECK(f.lane.state().condition == Condition::recreated);
  CHECK(f.lane.state().detail ==
        "stream CORE was deleted and created again at 2026-01-02T00:00:00.500000Z, it was of "
        "2026-01-01T00:00:00.000000Z; declare its new life with `cutover incarnation start`, then restart");
  f.sent.clear();
  f.lane.restart(f.now);
  f.pass(1min);
  f.deliver(1, 1);
  CHECK(f.sent.empty());
  CHECK(f.out.empty());
  CHECK(f.lane.state().condition == Condition::recreated);
}

TEST_CASE("messages of a consumer that starts to count anew wait until the stream is known to be the same",
          "[nats]") {
  bool same = GENERATE(true, false);
  Fixture f;
  f.start();
  f.deliver(11, 1);
  f.deliver(12, 2);
  CHECK(f.out.size() == 2);
  f.deliver(1, 1);
  f.deliver(2, 2);
  CHECK(f.out.size() == 2);
  if (!same) {
    f.answer("STREAM.INFO.CORE", Fixture::stream_info("2026-01-02T00:00:00Z"));
    CHECK(f.out.size() == 2);
    CHECK(f.lane.take_kept().empty());
    return;
  }
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("STREAM.MSG.GET.CORE", {{"message", {{"seq", 12}, {"time", "1970-01-01T00:00:00.000012Z"}}}});
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info());
  REQUIRE(f.out.size() == 4);
  CHECK(f.out[2].stream_sequence == 1);
  CHECK(f.out[3].stream_sequence == 2);
}

TEST_CASE("silence with pulls open is told; heartbeats, messages and statuses break it", "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.pass(4'900ms);
  CHECK_FALSE(f.lane.silent());
  f.status(pulls[2], "100 Idle Heartbeat");
  f.pass(4'900ms);
  CHECK_FALSE(f.lane.silent());
  f.pass(200ms);
  CHECK(f.lane.silent());
  CHECK(f.lane.state().condition == Condition::unreachable);
  CHECK(f.lane.state().detail == "no heartbeat from consumer w-main of stream CORE");
  f.sent.clear();
  f.lane.check_again(f.now);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info());
  CHECK(f.take_pulls().size() == 4);
  CHECK(f.lane.state().condition == Condition::running);
}

TEST_CASE("a lane that is not read is not called silent", "[nats]") {
  Fixture f;
  f.start();
  Deadline read_until = f.now;
  f.now += 1min;
  f.lane.tick(f.now, read_until);
  CHECK_FALSE(f.lane.silent());
}

TEST_CASE("a paused lane pulls nothing and misses no heartbeat", "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.lane.pause(true, f.now);
  for (std::uint64_t pull : pulls) f.status(pull, "408 Request Timeout", 2);
  CHECK(f.take_pulls().empty());
  f.pass(4s);
  CHECK(f.take_pulls().empty());
  CHECK_FALSE(f.lane.silent());
  f.lane.pause(false, f.now);
  CHECK(f.take_pulls().size() == 4);
}

TEST_CASE("waiting messages that are not delivered are asked for again, then the lane is called stalled",
          "[nats]") {
  Fixture f{{.prefetch = 8, .heartbeat = 1h, .probe_interval = 1s}};
  f.start();
  f.take_pulls();
  f.pass(1'100ms);
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info(4));
  CHECK(f.take_pulls().size() == 4);
  CHECK(f.lane.state().condition == Condition::running);
  f.pass(1'100ms);
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info(4));
  CHECK(f.lane.state().condition == Condition::stalled);
  CHECK(f.take_pulls().size() == 4);
  f.deliver(1, 1);
  CHECK(f.lane.state().condition == Condition::running);
}

TEST_CASE("an API that does not answer, or has nobody, makes the lane unreachable and is asked again",
          "[nats]") {
  Fixture f;
  f.lane.restart(f.now);
  bool nobody = GENERATE(false, true);
  if (nobody)
    f.lane.on_nobody(f.now);
  else
    f.pass(5'100ms);
  CHECK(f.lane.state().condition == Condition::unreachable);
  CHECK(f.lane.state().detail.find(nobody ? "nobody answers the JetStream API" : "does not answer") !=
        std::string::npos);
  f.sent.clear();
  f.pass(300ms);
  REQUIRE_FALSE(f.sent.empty());
  f.answer("STREAM.INFO.CORE", Fixture::api_error(503, 10008, "JetStream system temporarily unavailable"));
  CHECK(f.lane.state().detail == "stream CORE: JetStream system temporarily unavailable");
  f.pass(600ms);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  f.answer("CONSUMER.INFO.CORE.w-main", Fixture::consumer_info());
  CHECK(f.lane.state().condition == Condition::running);
}

TEST_CASE("answers that come too late or twice change nothing", "[nats]") {
  Fixture f;
  f.start();
  f.take_pulls();
  f.lane.on_answer(1, Fixture::stream_info("2030-01-01T00:00:00Z").dump(), f.out, f.now);
  f.lane.on_answer(2, Fixture::stream_info("2030-01-01T00:00:00Z").dump(), f.out, f.now);
  f.lane.on_answer(77, "{}", f.out, f.now);
  CHECK(f.lane.state().condition == Condition::running);
  CHECK(f.sent.empty());
}

TEST_CASE("a refusal of the pull itself is reported and repaired through the consumer's configuration",
          "[nats]") {
  Fixture f;
  f.start();
  auto pulls = f.take_pulls();
  f.status(pulls[0], "409 Exceeded MaxRequestBatch of 1");
  CHECK(f.lane.state().condition == Condition::missing);
  CHECK(f.lane.state().detail == "consumer w-main refuses pulls: 409 Exceeded MaxRequestBatch of 1");
  f.pass(300ms);
  f.answer("STREAM.INFO.CORE", Fixture::stream_info());
  json info = Fixture::consumer_info();
  info["config"]["max_batch"] = 1;
  f.answer("CONSUMER.INFO.CORE.w-main", info);
  REQUIRE(f.sent.size() == 1);
  CHECK_FALSE(f.sent[0].body["config"].contains("max_batch"));
  f.answer("CONSUMER.DURABLE.CREATE.CORE.w-main", Fixture::consumer_info());
  CHECK(f.take_pulls().size() == 4);
}
