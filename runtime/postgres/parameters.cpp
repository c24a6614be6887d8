#include "runtime/postgres/parameters.h"

#include <bit>
#include <charconv>
#include <cstdint>

namespace cutover::postgres {
namespace {

// Type oids of PostgreSQL's catalog; they never change.
constexpr unsigned kBool = 16, kInt8 = 20, kText = 25, kFloat8 = 701, kTimestamptz = 1184;
constexpr unsigned kInt8Array = 1016, kTextArray = 1009, kFloat8Array = 1022, kTimestamptzArray = 1185;
constexpr unsigned kUnspecified = 0;

void put32(std::string& out, std::uint32_t value) {
  char bytes[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
                   static_cast<char>(value)};
  out.append(bytes, 4);
}

void put64(std::string& out, std::uint64_t value) {
  put32(out, static_cast<std::uint32_t>(value >> 32));
  put32(out, static_cast<std::uint32_t>(value));
}

// A one-dimensional array: dimensions, has nulls, element type, length, lower bound; then length and bytes of each.
void put_array_header(std::string& out, unsigned element_type, std::size_t size) {
  put32(out, size == 0 ? 0 : 1);
  put32(out, 0);
  put32(out, element_type);
  if (size == 0) return;
  put32(out, static_cast<std::uint32_t>(size));
  put32(out, 1);
}

struct Encoder {
  std::string& out;
  unsigned type = kUnspecified;
  bool binary = true;

  void operator()(Null) {}
  void operator()(bool value) {
    type = kBool;
    out.push_back(value ? 1 : 0);
  }
  void operator()(std::int64_t value) {
    type = kInt8;
    put64(out, static_cast<std::uint64_t>(value));
  }
  void operator()(double value) {
    type = kFloat8;
    put64(out, std::bit_cast<std::uint64_t>(value));
  }
  void operator()(std::string_view value) {
    binary = false;  // the cast decides the type
    out.assign(value);
  }
  void operator()(Instant value) {
    type = kTimestamptz;
    put64(out, static_cast<std::uint64_t>(postgres_microseconds(value)));
  }
  void operator()(std::span<const std::int64_t> values) {
    type = kInt8Array;
    out.reserve(20 + 12 * values.size());
    put_array_header(out, kInt8, values.size());
    for (std::int64_t value : values) {
      put32(out, 8);
      put64(out, static_cast<std::uint64_t>(value));
    }
  }
  void operator()(std::span<const double> values) {
    type = kFloat8Array;
    put_array_header(out, kFloat8, values.size());
    for (double value : values) {
      put32(out, 8);
      put64(out, std::bit_cast<std::uint64_t>(value));
    }
  }
  void operator()(std::span<const std::string_view> values) {
    type = kTextArray;
    std::size_t bytes = 20;
    for (std::string_view value : values) bytes += 4 + value.size();
    out.reserve(bytes);
    put_array_header(out, kText, values.size());
    for (std::string_view value : values) {
      if (value.data() == nullptr) {  // a view of nothing is null
        out[7] = 1;
        put32(out, 0xffffffff);
        continue;
      }
      put32(out, static_cast<std::uint32_t>(value.size()));
      out.append(value);
    }
  }
  void operator()(std::span<const Instant> values) {
    type = kTimestamptzArray;
    put_array_header(out, kTimestamptz, values.size());
    for (Instant value : values) {
      put32(out, 8);
      put64(out, static_cast<std::uint64_t>(postgres_microseconds(value)));
    }
  }
};

}  // namespace

EncodedParameters::EncodedParameters(std::span<const Param> parameters) : storage_(parameters.size()) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Encoder encoder{storage_[i]};
    std::visit(encoder, parameters[i]);
    bool null = std::holds_alternative<Null>(parameters[i]);
    types_.push_back(encoder.type);
    values_.push_back(null ? nullptr : storage_[i].c_str());
    lengths_.push_back(static_cast<int>(storage_[i].size()));
    formats_.push_back(encoder.binary ? 1 : 0);
  }
}

std::int64_t postgres_microseconds(Instant instant) noexcept {
  constexpr std::chrono::sys_days kEpoch{std::chrono::year{2000} / 1 / 1};
  return (instant - Instant{kEpoch}).count();
}

Instant parse_timestamp(std::string_view text) {
  auto number = [&](std::size_t from, std::size_t length) {
    int value = 0;
    if (from + length > text.size() ||
        std::from_chars(text.data() + from, text.data() + from + length, value).ec != std::errc{})
      throw std::invalid_argument("not a timestamp of PostgreSQL: " + std::string(text));
    return value;
  };
  std::chrono::sys_days day{std::chrono::year{number(0, 4)} / number(5, 2) / number(8, 2)};
  std::int64_t micros = 0;
  if (text.size() > 19 && text[19] == '.') {
    std::int64_t unit = 100'000;
    for (std::size_t i = 20; i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i, unit /= 10)
      micros += (text[i] - '0') * unit;
  }
  return Instant{day} + std::chrono::hours{number(11, 2)} + std::chrono::minutes{number(14, 2)} +
         std::chrono::seconds{number(17, 2)} + std::chrono::microseconds{micros};
}

}  // namespace cutover::postgres
