#include "runtime/host/quantities.h"

#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace cutover;
using namespace std::chrono_literals;

TEST_CASE("durations are read with their units", "[quantities]") {
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("30s") == 30s);
  CHECK(parse_duration("1.5s") == 1500ms);
  CHECK(parse_duration("10m") == 10min);
  CHECK(parse_duration("12h") == 12h);
  CHECK(parse_duration("7d") == 168h);
  CHECK(parse_duration("0") == 0ms);
}

TEST_CASE("what is not a duration is refused", "[quantities]") {
  const auto text =
      GENERATE(as<std::string>{}, "", "30", "s", "-1s", "+1s", "1 s", "1S", "1.5", "1s2", "0.1ms", "1e3s",
               "nan", "inf", "99999999999999999999d", "3651d", "1w", ".5s", "1s\n");
  INFO(text);
  CHECK_FALSE(parse_duration(text));
}

TEST_CASE("sizes are read with their units", "[quantities]") {
  CHECK(parse_size("512B") == 512U);
  CHECK(parse_size("256KiB") == 262'144U);
  CHECK(parse_size("1.5MiB") == 1'572'864U);
  CHECK(parse_size("2GiB") == 2'147'483'648U);
}

TEST_CASE("what is not a size is refused", "[quantities]") {
  const auto text =
      GENERATE(as<std::string>{}, "", "512", "KiB", "-1B", "1KB", "1kib", "0.5B", "1025GiB", "1e400GiB");
  INFO(text);
  CHECK_FALSE(parse_size(text));
}

TEST_CASE("what is printed reads back as the same amount", "[quantities]") {
  for (const auto span :
       {0ms, 1ms, 999ms, 1000ms, 1500ms, 90'000ms, 3'600'000ms, 86'400'000ms, 604'800'001ms})
    CHECK(parse_duration(format_duration(span)) == span);
  for (const std::uint64_t bytes : {0ULL, 1ULL, 1000ULL, 1024ULL, 262144ULL, 1ULL << 40})
    CHECK(parse_size(format_size(bytes)) == bytes);
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(168h) == "7d");
  CHECK(format_size(262'144) == "256KiB");
}
