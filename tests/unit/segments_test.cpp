#include "runtime/policy/segments.h"

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace cutover;

namespace {

struct Vector {
  std::string key;
  std::uint64_t hash;
  int bucket;
};

std::vector<Vector> read_vectors() {
  std::ifstream file(CUTOVER_SOURCE_DIR "/tests/vectors/ownership.json");
  std::vector<Vector> vectors;
  const nlohmann::json all = nlohmann::json::parse(file);
  for (const auto& key : all.at("keys"))
    vectors.push_back({key[0], std::stoull(key[1].get<std::string>(), nullptr, 16), key[2]});
  return vectors;
}

// Keys of the vectors at the edges of a canary of 1 %: buckets 99 and 100.
constexpr std::string_view kBucket99 = "subject-5097", kBucket100 = "subject-2347";

}  // namespace

TEST_CASE("the shared vectors hold", "[segments]") {
  const auto vectors = read_vectors();
  REQUIRE(vectors.size() > 50);
  for (const Vector& vector : vectors) {
    CAPTURE(vector.key);
    CHECK(fnv1a64(vector.key) == vector.hash);
    CHECK(bucket(vector.key) == vector.bucket);
  }
}

TEST_CASE("buckets are even", "[segments]") {
  std::vector<int> tenths(10);
  for (int i = 0; i < 100'000; ++i)
    ++tenths[static_cast<std::size_t>(bucket("profile:" + std::to_string(i)) / 1000)];
  for (const int count : tenths) {
    CHECK(count > 9'500);
    CHECK(count < 10'500);
  }
}

TEST_CASE("without a segment every event is the worker's, below the first one the monolith's", "[segments]") {
  const Owner none = owner({}, 1, 1, "key");
  CHECK(none.serving == Side::worker);
  CHECK_FALSE(none.shadow);
  CHECK(none.epoch == 0);
  const Segment later{.epoch = 1, .incarnation = 1, .from_sequence = 100, .mode = Mode::monolith};
  CHECK(owner(std::span(&later, 1), 1, 99, "key").serving == Side::monolith);
  CHECK(owner(std::span(&later, 1), 1, 99, "key").epoch == 0);
  CHECK(owner(std::span(&later, 1), 2, 100, "key").serving == Side::worker);
  CHECK(owner(std::span(&later, 1), 1, 100, "key").serving == Side::monolith);
}

TEST_CASE("modes say who applies and what shadow computes", "[segments]") {
  const auto in = [](Mode mode, int percent_hundredths, std::string_view key) {
    const Segment segment{
        .epoch = 3, .incarnation = 1, .mode = mode, .percent_hundredths = percent_hundredths};
    return owner(std::span(&segment, 1), 1, 5, key);
  };
  CHECK(in(Mode::monolith, 0, "k").serving == Side::monolith);
  CHECK_FALSE(in(Mode::monolith, 0, "k").shadow);
  CHECK(in(Mode::shadow, 0, "k").serving == Side::monolith);
  CHECK(in(Mode::shadow, 0, "k").shadow);
  CHECK(in(Mode::worker, 0, "k").serving == Side::worker);
  CHECK_FALSE(in(Mode::worker, 0, "k").shadow);
  CHECK(in(Mode::worker, 0, "k").epoch == 3);
  CHECK(in(Mode::canary, 100, kBucket99).serving == Side::worker);
  CHECK(in(Mode::canary, 100, kBucket100).serving == Side::monolith);
  CHECK(in(Mode::canary, 101, kBucket100).serving == Side::worker);
  CHECK(in(Mode::canary, 100, kBucket99).shadow);
  CHECK(in(Mode::canary, 100, kBucket100).shadow);
  CHECK(in(Mode::canary, 0, "").serving == Side::monolith);
  CHECK(in(Mode::canary, 10'000, "").serving == Side::worker);
}

TEST_CASE("the highest epoch that has begun decides, in any order of segments", "[segments]") {
  std::vector<Segment> segments{{.epoch = 1, .incarnation = 1, .from_sequence = 1, .mode = Mode::monolith},
                                {.epoch = 2, .incarnation = 1, .from_sequence = 100, .mode = Mode::shadow},
                                {.epoch = 3, .incarnation = 1, .from_sequence = 200, .mode = Mode::worker},
                                {.epoch = 4,
                                 .incarnation = 1,
                                 .from_sequence = 150,
                                 .mode = Mode::monolith},  // a reverse with a stale end
                                {.epoch = 5, .incarnation = 2, .from_sequence = 1, .mode = Mode::shadow}};
  std::mt19937_64 random(1);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(segments.begin(), segments.end(), random);
    CHECK(owner(segments, 1, 99, "k").epoch == 1);
    CHECK(owner(segments, 1, 100, "k").epoch == 2);
    CHECK(owner(segments, 1, 149, "k").epoch == 2);
    CHECK(owner(segments, 1, 150, "k").epoch == 4);
    CHECK(owner(segments, 1, 1'000'000, "k").epoch == 4);
    CHECK(owner(segments, 2, 1, "k").epoch == 5);
  }
}

TEST_CASE("a growing canary only takes keys, and never gives one back", "[segments]") {
  for (int i = 0; i < 1000; ++i) {
    const std::string key = "principal:" + std::to_string(i);
    bool taken = false;
    for (int percent = 0; percent <= 10'000; percent += 250) {
      const Segment segment{
          .epoch = 1, .incarnation = 1, .mode = Mode::canary, .percent_hundredths = percent};
      const bool now = owner(std::span(&segment, 1), 1, 1, key).serving == Side::worker;
      REQUIRE((now || !taken));
      taken = now;
    }
    REQUIRE(taken);
  }
}
