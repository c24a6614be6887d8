#include "runtime/event/json_text.h"

#include <random>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

using namespace cutover;

TEST_CASE("numbers follow the JSON grammar and PostgreSQL's range", "[json_text]") {
  for (const char* good : {"0", "-0", "7", "-17", "1234567890123456789012345678901234567890", "0.5", "-0.25",
                           "1e9", "1E-9", "2.5e+300", "1e999", "-1.0E-999"})
    CHECK(is_json_number(good));
  for (const char* bad :
       {"",    "-",      "+1",   "01", "-01", "00",  "1.",  ".5",       "1.e5", "e5",    "1e",
        "1e+", "1e1000", "0x10", "1 ", " 1",  "1,0", "NaN", "Infinity", "--1",  "1.2.3", "1e5.0"})
    CHECK_FALSE(is_json_number(bad));
  CHECK(is_json_number(std::string(400, '1')));
  CHECK_FALSE(is_json_number(std::string(401, '1')));
}

TEST_CASE("the first byte that is not UTF-8 is found", "[json_text]") {
  CHECK(find_bad_utf8("") == std::nullopt);
  CHECK(find_bad_utf8("aé漢😀\x7f\xf4\x8f\xbf\xbf") == std::nullopt);
  CHECK(find_bad_utf8("ab\x80") == 2);             // a continuation without a start
  CHECK(find_bad_utf8("ab\xc3") == 2);             // cut short
  CHECK(find_bad_utf8("\xe6\xbc") == 0);           // cut short
  CHECK(find_bad_utf8("\xc1\x81") == 0);           // overlong
  CHECK(find_bad_utf8("\xe0\x80\x80") == 0);       // overlong
  CHECK(find_bad_utf8("a\xf0\x80\x80\x80") == 1);  // overlong
  CHECK(find_bad_utf8("\xed\xa0\x80") == 0);       // a surrogate
  CHECK(find_bad_utf8("\xf4\x90\x80\x80") == 0);   // beyond U+10FFFF
  CHECK(find_bad_utf8("\xff") == 0);
}

TEST_CASE("what is escaped is undone to the same text, as another parser does", "[json_text]") {
  std::mt19937_64 random(9);
  const auto character = [&]() -> std::string {
    switch (random() % 4) {
      case 0:
        return std::string(1, static_cast<char>(1 + random() % 0x1F));
      case 1:
        return std::string(1, "\"\\/ a"[random() % 5]);
      case 2:
        return "é";
      default:
        return "😀";
    }
  };
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (auto length = random() % 30; length > 0; --length) text += character();
    for (const bool ascii : {false, true}) {
      std::string escaped;
      if (ascii) {
        const std::string quoted = nlohmann::json(text).dump(-1, ' ', true);  // \u00e9, \ud83d\ude00
        escaped = quoted.substr(1, quoted.size() - 2);
      } else {
        append_escaped(escaped, text);
        REQUIRE(nlohmann::json::parse('"' + escaped + '"') == text);
      }
      bool has_escapes = false;
      REQUIRE_FALSE(find_bad_escape(escaped, has_escapes));
      REQUIRE(has_escapes == (escaped.find('\\') != std::string::npos));
      std::string back(escaped.size(), '\0');
      back.resize(unescape(escaped, back.data()));
      REQUIRE(back == text);
    }
  }
}

TEST_CASE("an escape that no text column can hold is found where it stands", "[json_text]") {
  const auto offset = [](std::string_view text) {
    bool has_escapes = false;
    const auto bad = find_bad_escape(text, has_escapes);
    REQUIRE(has_escapes);
    return bad ? static_cast<int>(bad->offset) : -1;
  };
  CHECK(offset(R"(\"\\\/\b\f\n\r\t\u0001\uFFFF\ud83d\ude00)") == -1);
  CHECK(offset(R"(\\u0000)") == -1);  // a backslash, then text
  CHECK(offset(R"(ab\u0000)") == 2);
  CHECK(offset(R"(\\\u0000)") == 2);
  CHECK(offset(R"(\a)") == 0);
  CHECK(offset(R"(\)") == 0);
  CHECK(offset(R"(\u123)") == 0);
  CHECK(offset(R"(\u12g4)") == 0);
  CHECK(offset(R"(\ud800)") == 0);
  CHECK(offset(R"(\ud800\ud800)") == 0);
  CHECK(offset(R"(\ude00\ud83d)") == 0);
}
