#include <charconv>
#include <string>

#include "runtime/contract/transaction.h"

namespace cutover {
namespace {

// The whole cell as a number; a null or anything else is an error that names the cell, not its content.
template <class Number>
Number parse(const Rows& rows, std::size_t row, std::size_t column, const char* kind) {
  const auto refuse = [&](const char* what) {
    return std::invalid_argument("row " + std::to_string(row) + ", column " + std::to_string(column) + ": " +
                                 what + kind);
  };
  if (rows.is_null(row, column)) throw refuse("null where there should be ");
  const std::string_view text = rows.text(row, column);
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) throw refuse("not ");
  return number;
}

}  // namespace

std::int64_t Rows::integer(std::size_t row, std::size_t column) const {
  return parse<std::int64_t>(*this, row, column, "an integer of 64 bits");
}

double Rows::number(std::size_t row, std::size_t column) const {
  return parse<double>(*this, row, column, "a number");
}

}  // namespace cutover
