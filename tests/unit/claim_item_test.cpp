#include "runtime/engine/claim_item.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "runtime/policy/segments.h"
#include "runtime/policy/vectors.h"
#include "unit/envelope_text.h"

using namespace cutover;
using namespace cutover::test;

namespace {

nlohmann::json vectors() {
  std::ifstream file(CUTOVER_SOURCE_DIR "/tests/vectors/ownership.json");
  return nlohmann::json::parse(file);
}

std::string base64(const std::string& text) {
  std::string out;
  unsigned value = 0;
  int bits = 0;
  for (const char c : text) {
    const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t digit = digits.find(c);
    if (digit == std::string_view::npos) break;
    value = value << 6 | static_cast<unsigned>(digit);
    bits += 6;
    if (bits >= 8) out.push_back(static_cast<char>(value >> (bits -= 8) & 255));
  }
  return out;
}

}  // namespace

TEST_CASE("every shared vector is read as the file says", "[claim_item]") {
  const nlohmann::json all = vectors();
  const std::string worker = all.at("worker");
  const std::vector<std::string> listed = all.at("events");
  CHECK(all.at("messages").size() > 40);
  for (const auto& vector : all.at("messages")) {
    CAPTURE(vector.at("name"));
    const PaddedText body(vector.contains("body") ? vector.at("body").get<std::string>() : base64(vector.at("body_base64")));
    const std::string subject = vector.at("subject");
    std::vector<std::pair<std::string, std::string>> headers;
    for (const auto& [name, value] : vector.at("headers").items()) headers.emplace_back(name, value);
    Message message;
    message.subject = subject;
    message.data = body.view();
    for (const auto& [name, value] : headers) message.headers.push_back({name, value});

    EnvelopeParser parser;
    EventArena arena;
    const auto parsed = parser.parse({.data = message.data, .nats_subject = message.subject, .cutover_key = message.header("Cutover-Key")}, arena);
    const Event* event = std::get_if<Event>(&parsed);
    const bool is_listed = event && std::find(listed.begin(), listed.end(), event->event_name) != listed.end();
    const ClaimQuestion question = claim_question(message, parsed, 7, worker, is_listed);
    CHECK(question.item.sequence == 7);
    CHECK(question.item.key == vector.at("key").get<std::string>());
    CHECK(bucket(question.item.key) == vector.at("bucket").get<int>());
    CHECK(question.addressed == vector.at("addressed").get<bool>());
    CHECK(question.item.event_id == vector.at("event_id").get<std::string>());
    CHECK(question.item.version == vector.at("version").get<std::int64_t>());
    std::string mark;
    if (!question.item.idempotency_key.empty())
      mark = std::string(question.item.tenant_scope) + '\x1f' + std::string(question.item.idempotency_key);
    CHECK(mark == (vector.at("mark").is_null() ? "" : vector.at("mark").get<std::string>()));
  }
}

TEST_CASE("the hash of the vectors is that of the file", "[claim_item]") {
  const std::unique_ptr<FILE, int (*)(FILE*)> sum(popen("sha256sum " CUTOVER_SOURCE_DIR "/tests/vectors/ownership.json", "r"), pclose);
  REQUIRE(sum);
  char hash[65] = {};
  REQUIRE(fread(hash, 1, 64, sum.get()) == 64);
  CHECK(vectors_hash() == hash);
}
