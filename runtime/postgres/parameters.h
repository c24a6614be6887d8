#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/contract/transaction.h"

namespace cutover::postgres {

// Parameters of one statement in the form that libpq wants: scalars and arrays in PostgreSQL's binary format, whose type
// the caller's cast in the statement must match (int8, float8, bool, timestamptz, text, and arrays of them). Text is sent
// as text, so that it fits every type that it is cast to.
class EncodedParameters {
 public:
  explicit EncodedParameters(std::span<const Param> parameters);
  int count() const noexcept { return static_cast<int>(values_.size()); }
  const unsigned* types() const noexcept { return types_.data(); }
  const char* const* values() const noexcept { return values_.data(); }
  const int* lengths() const noexcept { return lengths_.data(); }
  const int* formats() const noexcept { return formats_.data(); }

 private:
  std::vector<std::string> storage_;
  std::vector<unsigned> types_;
  std::vector<const char*> values_;
  std::vector<int> lengths_, formats_;
};

// Microseconds since 2000-01-01, as PostgreSQL counts time.
std::int64_t postgres_microseconds(Instant instant) noexcept;
// The text form of a timestamptz with DateStyle ISO and TimeZone UTC.
Instant parse_timestamp(std::string_view text);

}  // namespace cutover::postgres
