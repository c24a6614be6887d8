#include <cmath>
#include <limits>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include "runtime/contract/transaction.h"

using namespace cutover;
using Catch::Matchers::Message;

namespace {

class OneCell final : public Rows {
 public:
  explicit OneCell(std::optional<std::string> cell) : cell_(std::move(cell)) {}
  std::size_t size() const override { return 1; }
  std::size_t affected() const override { return 1; }
  bool is_null(std::size_t, std::size_t) const override { return !cell_; }
  std::string_view text(std::size_t, std::size_t) const override {
    return cell_ ? std::string_view(*cell_) : "";
  }

 private:
  std::optional<std::string> cell_;
};

}  // namespace

TEST_CASE("cells are read as numbers", "[rows]") {
  CHECK(OneCell("-9223372036854775808").integer(0, 0) == std::numeric_limits<std::int64_t>::min());
  CHECK(OneCell("42").integer(0, 0) == 42);
  CHECK(OneCell("0.25").number(0, 0) == 0.25);
  CHECK(OneCell("-1e-3").number(0, 0) == -0.001);
  CHECK(std::isnan(OneCell("NaN").number(0, 0)));
  CHECK(OneCell("-Infinity").number(0, 0) == -std::numeric_limits<double>::infinity());
  CHECK(OneCell("t").boolean(0, 0));
}

TEST_CASE("a cell that is null or no number says where it is, not what it holds", "[rows]") {
  CHECK_THROWS_MATCHES(OneCell(std::nullopt).integer(3, 1), std::invalid_argument,
                       Message("row 3, column 1: null where there should be an integer of 64 bits"));
  for (const char* text : {"", "secret", "1.5", "1 ", " 1", "9223372036854775808"})
    CHECK_THROWS_MATCHES(OneCell(text).integer(0, 2), std::invalid_argument,
                         Message("row 0, column 2: not an integer of 64 bits"));
  for (const char* text : {"", "1,5", "1.5x"})
    CHECK_THROWS_MATCHES(OneCell(text).number(0, 0), std::invalid_argument,
                         Message("row 0, column 0: not a number"));
}
