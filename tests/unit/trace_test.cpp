#include "runtime/observe/trace.h"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace cutover;

namespace {
constexpr std::string_view kExample = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

// 0, 1, 2, ...
Random64 counting(std::uint64_t first = 0) {
  return [next = first]() mutable { return next++; };
}
}  // namespace

TEST_CASE("a traceparent survives reading and writing", "[trace]") {
  const auto trace = parse_traceparent(kExample);
  REQUIRE(trace);
  CHECK(trace->traceparent() == kExample);
  CHECK(trace->trace_id() == "0af7651916cd43dd8448eb211c80319c");
}

TEST_CASE("a malformed traceparent is refused", "[trace]") {
  const auto text = GENERATE(as<std::string>{}, "", "00", "garbage",
                             "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
                             "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                             "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-extra",
                             "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
                             "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g");
  INFO(text);
  CHECK_FALSE(parse_traceparent(text));
}

TEST_CASE("a later version is read as far as version 00 goes", "[trace]") {
  const auto trace =
      parse_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-09-what-comes-later");
  REQUIRE(trace);
  CHECK(trace->traceparent() == kExample);
}

TEST_CASE("a child keeps the trace and the flags and gets a span of its own", "[trace]") {
  const auto parent = *parse_traceparent(kExample);
  const auto child = parent.child(counting(41));
  CHECK(child.trace_id() == parent.trace_id());
  CHECK(child.flags == parent.flags);
  CHECK(child.span == 41);
}

TEST_CASE("an id is never zero, even when the random source says so", "[trace]") {
  CHECK(parse_traceparent(new_trace(counting()).traceparent()));
  CHECK(parse_traceparent(kExample)->child(counting()).span == 1);
}
