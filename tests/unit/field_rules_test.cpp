#include "runtime/event/field_rules.h"

#include <string>

#include <catch2/catch_test_macros.hpp>

using namespace cutover;

TEST_CASE("UUIDs have hyphens in four places and hex elsewhere", "[field_rules]") {
  const std::string good = "018f2b6e-7c1a-7abc-8def-0123456789aB";
  CHECK(is_uuid(good));
  CHECK(is_uuid("00000000-0000-0000-0000-000000000000"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = good[i] == '-' ? '0' : '-';
    CHECK_FALSE(is_uuid(bad));
    bad[i] = 'g';
    CHECK_FALSE(is_uuid(bad));
  }
  CHECK_FALSE(is_uuid(good.substr(1)));
  CHECK_FALSE(is_uuid(good + "0"));
}

TEST_CASE("event names are two tokens", "[field_rules]") {
  for (const char* good : {"a.b", "score.recompute_requested", "x2.y_3", "_._"}) CHECK(is_event_name(good));
  for (const char* bad : {"", ".", "a", "a.", ".b", "a.b.c", "A.b", "a.B", "a-b.c", "a.b c", "a.é", "a..b"})
    CHECK_FALSE(is_event_name(bad));
}

TEST_CASE("control characters are found at every position", "[field_rules]") {
  for (std::size_t length = 0; length < 40; ++length) {
    CHECK_FALSE(has_control_character(std::string(length, ' ')));
    CHECK_FALSE(has_control_character(std::string(length, '\x80')));
    for (std::size_t at = 0; at < length; ++at)
      for (const char c : {'\0', '\x1f', '\x7f'}) {
        std::string text(length, '~');
        text[at] = c;
        CHECK(has_control_character(text));
      }
  }
}

TEST_CASE("a traceparent has version 00, two ids that are not zero, and flags", "[field_rules]") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(is_traceparent(good));
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'G';
    CHECK_FALSE(is_traceparent(bad));
  }
  CHECK_FALSE(is_traceparent(good.substr(0, 54)));
  CHECK_FALSE(is_traceparent(good + "0"));
  CHECK_FALSE(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
  CHECK_FALSE(is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
}
