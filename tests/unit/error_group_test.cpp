#include "runtime/policy/error_group.h"

#include <random>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace cutover;

TEST_CASE("what differs between occurrences is masked", "[error_group]") {
  CHECK(error_group("case 4711 is closed") == "case <n> is closed");
  CHECK(error_group("Key (id)=(42) already exists.") == "Key (id)=(<n>) already exists.");
  CHECK(error_group("event 018f2b6e-7c1a-7abc-8def-0123456789AB failed") == "event <uuid> failed");
  CHECK(error_group("at 2026-03-01T10:20:30.123Z, 2026-03-01 10:20:30+00 and 10:20:30,5 on 2026-03-01") ==
        "at <time>, <time> and <time> on <time>");
  CHECK(error_group("invalid input: \"abc\" 'it is' `x`") == "invalid input: \"?\" '?' `?`");
  CHECK(error_group("connect to 10.0.0.17:5432 took 3.5 s, 1e-5 of 12ms") ==
        "connect to <n>:<n> took <n> s, <n> of <n>ms");
  CHECK(error_group("at 0x7ffe12 hash deadBEEF01 token usr_8fh2k9 ref evt-1a2b3c") ==
        "at <hex> hash <hex> token usr_<id> ref evt-<id>");
  CHECK(error_group("  two\n\tlines  \r\n") == "two lines");
}

TEST_CASE("names of constraints, columns and the like stay, values do not", "[error_group]") {
  CHECK(error_group("new row for relation \"contacts\" violates check constraint \"has_owner\"") ==
        "new row for relation \"contacts\" violates check constraint \"has_owner\"");
  CHECK(error_group("invalid input syntax for type bigint: \"Anna\"") ==
        "invalid input syntax for type bigint: \"?\"");
  CHECK(error_group("column \"c17\" of table \"a b\" is \"x\"") ==
        "column \"c<n>\" of table \"a b\" is \"?\"");
}

TEST_CASE("words stay, apostrophes and lone quotes too", "[error_group]") {
  for (const char* text : {"relation app.contacts does not exist", "can't connect, won't retry", "a \" alone",
                           "größer als erlaubt", "deadbeef is a word", "<n> and <uuid>", ""})
    CHECK(error_group(text) == text);
}

TEST_CASE("errors that differ only in ids, numbers and times are one group", "[error_group]") {
  std::mt19937_64 random(5);
  const auto hex = [&](int digits) {
    std::string text;
    for (int i = 0; i < digits; ++i) text += "0123456789abcdef"[random() % 16];
    return text;
  };
  const auto number = [&](std::uint64_t least, std::uint64_t most) {
    return std::to_string(least + random() % (most - least));
  };
  const auto error = [&] {
    return "row " + number(0, 1'000'000'000) + " of '" + hex(static_cast<int>(random() % 20)) + "': event " +
           hex(8) + "-" + hex(4) + "-" + hex(4) + "-" + hex(4) + "-" + hex(12) + " at 2026-0" +
           number(1, 10) + "-1" + number(0, 10) + "T1" + number(0, 10) + ":0" + number(0, 10) + ":00." +
           number(0, 1'000'000) + "Z, offset " + number(0, 99) + "." + number(0, 99) + ", at 0x" + hex(9);
  };
  const std::string group = error_group(error());
  CHECK(group == "row <n> of '?': event <uuid> at <time>, offset <n>, at <hex>");
  for (int i = 0; i < 1000; ++i) CHECK(error_group(error()) == group);
}

TEST_CASE("an error text is cut at 2 KiB between characters", "[error_group]") {
  CHECK(error_text("short") == "short");
  CHECK(error_text(std::string(2048, 'x')).size() == 2048);
  CHECK(error_text(std::string(5000, 'x')).size() == 2048);
  const std::string cut = error_text("x" + [] {
    std::string text;
    while (text.size() < 4000) text += "漢";
    return text;
  }());
  CHECK(cut.size() == 1 + 682 * 3);
  CHECK(cut.ends_with("漢"));
  CHECK(error_text(std::string(2047, 'x') + "é") == std::string(2047, 'x'));
  CHECK(error_text(std::string(2046, 'x') + "é") == std::string(2046, 'x') + "é");
}

TEST_CASE("bytes that a text column cannot hold become question marks", "[error_group]") {
  CHECK(error_text(std::string_view("a\0b", 3)) == "a?b");
  CHECK(error_text("a\xff\xc0\x80\xed\xa0\x80z") == "a??????z");
  CHECK(error_text("cut \xe6\xbc") == "cut ??");
  CHECK(error_group("\xff 42") == "? <n>");
}

TEST_CASE("any bytes give a valid, bounded text", "[error_group]") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (auto i = random() % 3000; i > 0; --i)
      bytes += random() % 4 ? "a1'\"- :.x0TZ"[random() % 12] : static_cast<char>(random());
    for (const std::string& text : {error_text(bytes), error_group(bytes)}) {
      REQUIRE(text.size() <= kErrorBytesMax);
      REQUIRE(text.find('\0') == std::string::npos);
      REQUIRE_NOTHROW(nlohmann::json(text).dump());  // throws for text that is not UTF-8
    }
  }
}
