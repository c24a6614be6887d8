// Prints contacts for COPY: usage: score_world PRINCIPALS EDGES HUB_CONTACTS >contacts.copy
//   columns  contact_id, owner_id, target_id, state, confidence, first_seen_at, last_evidence_at
// Degrees are spread as in the field: lognormal, Gini 0.675, the 99th percentile 2.3 times the 95th. Half of
// a principal's ties lead to somebody near it, which makes triangles, half to somebody by popularity; about
// half are answered. Principal 1 has HUB_CONTACTS contacts; those beyond the other principals lead to nobody.
// The same arguments give the same world.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <utility>
#include <vector>

namespace {

constexpr double kSigma = 1.39;  // Gini 0.675
constexpr double kAnswered = 0.5;
constexpr std::uint64_t kDay = 86'400;
constexpr std::uint64_t kT = 1'780'272'000;  // 2026-06-01 00:00:00 UTC

using Pair = std::pair<std::uint32_t, std::uint32_t>;

std::vector<Pair> ties(std::uint32_t principals, std::uint64_t wanted, std::mt19937_64& random) {
  std::lognormal_distribution<double> degree(0, kSigma);
  std::vector<double> degrees(principals);
  for (double& d : degrees) d = degree(random);
  double sum = 0;
  for (const double d : degrees) sum += d;
  // Popular are those with many ties of their own.
  std::discrete_distribution<std::uint32_t> popular(degrees.begin(), degrees.end());
  std::uniform_real_distribution<double> share(0, 1);
  std::vector<Pair> all;
  all.reserve(wanted + wanted / 8);
  const double picks = static_cast<double>(wanted) / (1 + kAnswered) * 1.12;  // what falls together is lost
  for (std::uint32_t u = 0; u < principals; ++u) {
    const double mine = degrees[u] / sum * picks;
    const auto count = static_cast<std::uint64_t>(std::min(mine + share(random), 0.5 * principals));
    const auto span = static_cast<std::int64_t>(count) * 2 + 10;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::uint32_t v;
      if (share(random) < 0.5) {
        const std::int64_t near =
            static_cast<std::int64_t>(u) +
            static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(2 * span + 1)) - span;
        v = static_cast<std::uint32_t>((near % principals + principals) % principals);
      } else {
        v = popular(random);
      }
      if (v == u) continue;
      all.emplace_back(u, v);
      if (share(random) < kAnswered) all.emplace_back(v, u);
    }
  }
  return all;
}

void print_time(std::uint64_t seconds_before) {
  const std::time_t at = static_cast<std::time_t>(kT - seconds_before);
  std::tm parts{};
  gmtime_r(&at, &parts);
  std::printf("\t%04d-%02d-%02d %02d:%02d:%02d+00", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
              parts.tm_hour, parts.tm_min, parts.tm_sec);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("usage: score_world PRINCIPALS EDGES HUB_CONTACTS\n", stderr), 2;
  const auto principals = static_cast<std::uint32_t>(std::atol(argv[1]));
  const auto edges = static_cast<std::uint64_t>(std::atoll(argv[2]));
  const auto hub = static_cast<std::uint64_t>(std::atoll(argv[3]));
  std::mt19937_64 random(principals);
  std::vector<Pair> all = ties(principals, edges, random);
  std::erase_if(all, [](const Pair& pair) { return pair.first == 0; });
  for (std::uint32_t v = 1; v < principals && v <= hub; ++v) all.emplace_back(0, v);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());

  std::uint64_t contact = 0;
  const auto print = [&](std::uint64_t owner, std::uint64_t target) {
    const std::uint64_t dice = random();
    std::printf("%llu\t%llu\t", static_cast<unsigned long long>(++contact),
                static_cast<unsigned long long>(owner));
    if (target == 0)
      std::fputs("\\N", stdout);
    else
      std::printf("%llu", static_cast<unsigned long long>(target));
    std::printf("\t%s\t%.9f",
                dice % 8 == 0   ? "active_probable"
                : dice % 8 == 1 ? "stale_decay"
                                : "active_confirmed",
                0.3 + 0.7 * static_cast<double>(random() >> 11) / 9007199254740992.0);
    print_time(random() % (dice % 20 == 3 ? 7 * kDay : 900 * kDay));
    print_time(dice % 5 == 2 ? random() % (300 * kDay) : random() % (90 * kDay));
    std::putchar('\n');
  };
  for (const auto& [owner, target] : all) print(owner + 1, target + 1);
  for (std::uint64_t i = principals - 1; i < hub; ++i) print(1, 0);
}
