#include "runtime/cli/output.h"

#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "runtime/cli/progress_bar.h"

using namespace cutover::cli;

TEST_CASE("columns are as wide as their widest cell and the last one is not padded", "[output]") {
  std::ostringstream text;
  Output(text, false, false).table({"key", "value"}, {{"a", "1"}, {"longer", "2"}, {"caf\xc3\xa9", "3"}});
  CHECK(text.str() ==
        "key     value\n"
        "a       1\n"
        "longer  2\n"
        "caf\xc3\xa9    3\n");
}

TEST_CASE("colour surrounds a cell without changing the columns, and is there only when asked for",
          "[output]") {
  std::ostringstream plain;
  Output(plain, false, false).table({"a", "b"}, {{Cell("x", Tone::bad), "y"}});
  CHECK(plain.str() == "a  b\nx  y\n");
  std::ostringstream colored;
  Output(colored, false, true).table({"a", "b"}, {{Cell("x", Tone::bad), "y"}});
  CHECK(colored.str() == "\x1b[2ma\x1b[0m  \x1b[2mb\x1b[0m\n\x1b[31mx\x1b[0m  y\n");
}

TEST_CASE("what servers say cannot steer the terminal", "[output]") {
  std::ostringstream text;
  Output(text, false, false).table({"a"}, {{"x\x1b[2J\ny"}});
  CHECK(text.str() == "a\nx [2J y\n");
}

TEST_CASE("a document is JSON even with bytes that are not UTF-8", "[output]") {
  std::ostringstream text;
  Output(text, true, false).document({{"error", "caf\xe9"}});
  CHECK(Json::parse(text.str())["error"] == "caf\xef\xbf\xbd");
}

TEST_CASE("counts are written for people", "[output]") {
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1'234'567) == "1,234,567");
  CHECK(counted(1, "relay") == "1 relay");
  CHECK(counted(2'000, "event") == "2,000 events");
}

TEST_CASE("progress never passes its end, whatever was expected", "[output]") {
  CHECK(progress_line("contacts", 10, 20) == "contacts  [###############---------------]  50 %  10 of 20");
  CHECK(progress_line("contacts", 30, 20) == "contacts  [##############################] 100 %  30 of 30");
  CHECK(progress_line("contacts", 0, 0) == "contacts  [------------------------------]   0 %  0 of 1");
}
