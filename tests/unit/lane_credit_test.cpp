#include "runtime/nats/lane_credit.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <map>
#include <random>
#include <vector>

using namespace cutover;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPlenty = 1 << 30;

struct Fixture {
  LaneCredit credit;
  Deadline now{1h};

  explicit Fixture(std::size_t prefetch, std::size_t bytes = kPlenty) : credit(prefetch, bytes, 10s) {}

  std::vector<Pull> pulls() {
    std::vector<Pull> all;
    while (auto pull = credit.next(now)) all.push_back(*pull);
    return all;
  }
  void arrive(std::size_t count, std::size_t bytes = 500) {
    for (std::size_t i = 0; i < count; ++i) credit.arrived(bytes);
  }
};

}  // namespace

TEST_CASE("the prefetch is asked for in four parts", "[nats]") {
  Fixture f{100};
  std::vector<Pull> pulls = f.pulls();
  REQUIRE(pulls.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(pulls[i].batch == 25);
    CHECK(pulls[i].number == i + 1);
  }
  CHECK(f.credit.outstanding() == 100);
}

TEST_CASE("a trickle of releases makes no pull each", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.arrive(60);
  int sent = 0;
  for (int i = 0; i < 50; ++i) {
    f.credit.released(1);
    sent += static_cast<int>(f.pulls().size());
  }
  CHECK(sent == 2);
}

TEST_CASE("with nothing asked for, the smallest room is worth a pull", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.arrive(100);
  CHECK(f.pulls().empty());
  f.credit.released(1);
  REQUIRE(f.pulls().size() == 1);
  CHECK(f.credit.outstanding() == 1);
  f.credit.released(5);
  CHECK(f.pulls().empty());
}

TEST_CASE("a closed pull gives back what it did not deliver", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.arrive(40);  // the broker serves them in turns: ten of each
  f.credit.closed(1, 15);
  CHECK(f.credit.outstanding() == 45);
  f.credit.closed(1, 15);  // twice told counts once
  CHECK(f.credit.outstanding() == 45);
  f.credit.closed(2, 15);
  f.credit.closed(3, 15);
  f.credit.closed(4, 15);
  CHECK(f.credit.outstanding() == 0);
  CHECK(f.credit.held() == 40);
}

TEST_CASE("without a word about the rest, as much as can still be open counts", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.credit.closed(1, std::nullopt);
  CHECK(f.credit.outstanding() == 75);
  f.arrive(10);
  f.credit.closed(2, std::nullopt);
  CHECK(f.credit.outstanding() == 50);
}

TEST_CASE("a pull whose end was never told is forgiven after its time", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.arrive(30);
  f.credit.released(30);
  CHECK(f.pulls().size() == 1);
  f.credit.expire(f.now + 9s);
  CHECK(f.credit.outstanding() == 95);
  f.now += 10s;
  f.credit.expire(f.now);
  CHECK(f.credit.outstanding() == 0);
  CHECK(f.pulls().size() == 4);
  CHECK(f.credit.outstanding() == 100);
}

TEST_CASE("forgotten pulls say nothing any more", "[nats]") {
  Fixture f{100};
  f.pulls();
  f.credit.forget_pulls();
  CHECK(f.credit.outstanding() == 0);
  CHECK_FALSE(f.credit.knows(4));
  CHECK(f.pulls().size() == 4);
  f.credit.closed(2, 25);
  CHECK(f.credit.outstanding() == 100);
  CHECK(f.credit.knows(5));
  CHECK_FALSE(f.credit.knows(9));
}

TEST_CASE("large messages take the place of many", "[nats]") {
  Fixture f{1'000, 1'000'000};
  for (const Pull& pull : f.pulls()) CHECK(pull.bytes_max == 333'333);
  f.credit.forget_pulls();
  f.arrive(200, 100'000);  // learns the size
  f.credit.released(200);
  std::size_t asked = 0;
  for (const Pull& pull : f.pulls()) asked += pull.batch;
  CHECK(asked >= 8);
  CHECK(asked <= 11);
}

TEST_CASE("a message larger than a pull may carry is asked for alone", "[nats]") {
  Fixture f{100, 300'000};
  std::vector<Pull> pulls = f.pulls();
  REQUIRE(pulls.size() == 4);
  for (const Pull& pull : pulls) f.credit.too_large(pull.number, pull.batch);
  pulls = f.pulls();
  REQUIRE(pulls.size() == 1);
  CHECK(pulls[0].batch == 1);
  CHECK(pulls[0].bytes_max == 0);
  f.arrive(1, 900'000);
  CHECK(f.pulls().empty());
  f.credit.released(1);
  CHECK_FALSE(f.pulls().empty());
}

TEST_CASE("a pull that ends because it is full asks for nothing special", "[nats]") {
  Fixture f{100, 300'000};
  std::vector<Pull> pulls = f.pulls();
  f.arrive(10, 9'000);
  f.credit.released(10);
  f.credit.too_large(pulls[0].number, 15);
  for (const Pull& pull : f.pulls()) CHECK(pull.bytes_max > 0);
}

// A broker that serves open pulls in turns, loses some of what it sends, and does not always tell.
TEST_CASE("whatever happens, the prefetch holds and credit comes back", "[nats]") {
  auto seed = GENERATE(range(0u, 60u));
  std::mt19937 random(seed);
  auto chance = [&](unsigned percent) { return random() % 100 < percent; };
  const std::size_t prefetch = 1 + random() % 200;
  const bool lossy = chance(50);
  Fixture f{prefetch};
  struct Open {
    std::uint64_t number;
    std::size_t left;
    Deadline over;
  };
  std::vector<Open> open;
  std::size_t turn = 0, truly_held = 0, lost = 0;

  for (int step = 0; step < 3'000; ++step) {
    f.now += std::chrono::milliseconds(random() % 20);
    f.credit.expire(f.now);
    for (const Pull& pull : f.pulls()) open.push_back({pull.number, pull.batch, f.now + 5s});
    for (std::size_t i = 0; i < open.size();) {
      if (open[i].over > f.now) {
        ++i;
        continue;
      }
      if (!lossy || chance(70))
        f.credit.closed(open[i].number,
                        !lossy || chance(70) ? std::optional<std::uint64_t>(open[i].left) : std::nullopt);
      open.erase(open.begin() + static_cast<std::ptrdiff_t>(i));
    }
    for (std::size_t burst = random() % 20; burst > 0 && !open.empty(); --burst) {
      Open& pull = open[++turn % open.size()];
      --pull.left;
      if (lossy && chance(5)) {
        ++lost;
      } else {
        f.arrive(1);
        ++truly_held;
      }
      if (pull.left == 0) open.erase(open.begin() + static_cast<std::ptrdiff_t>(turn % open.size()));
    }
    std::size_t back = truly_held == 0 ? 0 : random() % (truly_held + 1);
    f.credit.released(back);
    truly_held -= back;

    std::size_t promised = 0;
    for (const Open& pull : open) promised += pull.left;
    CHECK(f.credit.held() == truly_held);
    CHECK(promised + truly_held <= prefetch);
    CHECK(f.credit.outstanding() + f.credit.held() <= prefetch);
    if (!lossy) CHECK(f.credit.outstanding() == promised);
  }
  // Quiet: after the life of every pull nothing is missing.
  f.credit.released(truly_held);
  f.now += 11s;
  f.credit.expire(f.now);
  f.pulls();
  CHECK(prefetch - f.credit.outstanding() < 4);  // what four equal parts leave over
}
