#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "tests/fuzz/envelope_checks.h"
#include "tests/unit/envelope_text.h"

using namespace cutover::test;

namespace {

constexpr int kMutations = 40'000;

std::vector<std::string> read_corpus() {
  std::vector<std::string> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(CUTOVER_SOURCE_DIR "/tests/fuzz/corpus")) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(inputs.begin(), inputs.end());  // the seed must mean the same everywhere
  return inputs;
}

void check(const std::string& input) {
  try {
    check_envelope(input);
  } catch (const std::exception& broken) {
    FAIL(broken.what() << " for: " << input);
  }
}

std::string mutated(std::string text, const std::vector<std::string>& corpus, std::mt19937_64& random) {
  static const std::string_view kPieces[] = {
      "\"",   "\\",   "{",   "}", "[", "]", ",",  ":",    "\\u0000",       "\\ud800",       "\xff",
      "\xc3", "null", "1e9", "-", "0", " ", "\n", "\\\"", "\"event_id\":", "\"payload\":{}"};
  const auto somewhere = [&](const std::string& in) { return random() % (in.size() + 1); };
  for (auto changes = 1 + random() % 4; changes > 0; --changes) {
    const std::size_t at = somewhere(text);
    switch (random() % 5) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 1:
        text.insert(at, kPieces[random() % std::size(kPieces)]);
        break;
      case 2:
        text.erase(at, 1 + random() % 20);
        break;
      case 3:
        text.insert(at, text.substr(somewhere(text), random() % 40));
        break;
      default: {
        const std::string& other = corpus[random() % corpus.size()];
        text.insert(at, other.substr(somewhere(other), random() % 60));
      }
    }
  }
  return text;
}

}  // namespace

TEST_CASE("every input that the fuzzer kept is parsed as it must be", "[fuzz]") {
  const auto corpus = read_corpus();
  REQUIRE(corpus.size() > 50);
  for (const std::string& input : corpus) check(input);
}

TEST_CASE("random mutations of envelopes are parsed as they must be", "[fuzz]") {
  auto corpus = read_corpus();
  std::mt19937_64 random(20260301);
  const std::string whole = EnvelopeText{}.text();
  for (int i = 0; i < kMutations; ++i) {
    const std::string& start = i % 2 ? whole : corpus[random() % corpus.size()];
    check(mutated(start, corpus, random));
  }
}

TEST_CASE("repeated fields and the edge of the nesting limit are parsed as they must be", "[fuzz]") {
  check(EnvelopeText{}.add("producer", R"("another")").text());
  check(EnvelopeText{}.add(R"(produc\u0065r)", R"("another")").text());
  for (std::size_t levels = 61; levels <= 65; ++levels)
    check(EnvelopeText{}
              .set("payload", R"({"a":)" + std::string(levels, '[') + std::string(levels, ']') + "}")
              .text());
}

TEST_CASE("every prefix and every flipped bit of an envelope is parsed as it must be", "[fuzz]") {
  const std::string whole = EnvelopeText{}.set("idempotency_key", R"("a\"\u00e9b")").text();
  check(whole);
  for (std::size_t length = 0; length < whole.size(); ++length) check(whole.substr(0, length));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    check(flipped);
  }
}
