#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/contract/output.h"
#include "runtime/parity/ports.h"

namespace cutover::parity {

// What becomes of one key, or of one event that a side gave up on.
enum class Class {
  equal,
  tolerated,  // within the rules of the fields
  ignored,    // a rule hides every difference
  transient,  // gone when read again
  pending,    // written by an event that only one side has settled
  missing,    // the worker has no such row
  extra,      // the monolith has no such row
  field_differs,
  type_differs,  // null against a value, or a column of another type
  error_on_one_side,
  errors_differ,
};
inline constexpr std::size_t kClasses = 11;
std::string_view to_text(Class what) noexcept;  // field differs
std::optional<Class> class_of(std::string_view text) noexcept;
// Whether it says that worker and monolith differ.
bool is_mismatch(Class what) noexcept;

struct FieldDifference {
  std::string field;
  Class what = Class::field_differs;  // field_differs or type_differs
  Value serving;
  Value worker;
  double distance = 0;  // of two numbers, in tolerances of the field; 1 for everything else
};

struct Compared {
  Class what = Class::equal;  // equal, tolerated, missing, extra, field_differs or type_differs
  std::vector<FieldDifference> fields;
};

// Compares two rows by the rules of the output. One of both is there at least.
Compared compare(const Output& output, const RowPair& pair);

// Changes whenever one of both rows does.
std::uint64_t fingerprint(const RowPair& pair) noexcept;

// Elements of PostgreSQL's text of a one-dimensional array, in order: {a,"b c"}. Anything else is one
// element.
std::vector<std::string> array_elements(std::string_view text);

}  // namespace cutover::parity
