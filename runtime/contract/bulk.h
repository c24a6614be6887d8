#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "runtime/contract/transaction.h"

namespace cutover {

// One row of a stream out of PostgreSQL, in its binary form: at most 16 columns. Dies with the call that it
// was handed to.
class BulkRow {
 public:
  static constexpr std::size_t kColumnsMax = 16;

  // Takes a row as COPY sends it. Throws std::invalid_argument for anything else.
  void assign(std::string_view bytes) {
    std::size_t at = 2;
    size_ = bytes.size() < at ? kColumnsMax + 1 : load<std::uint16_t>(bytes.data());
    if (size_ > kColumnsMax) refuse();
    for (std::size_t i = 0; i < size_; ++i) {
      if (bytes.size() < at + 4) refuse();
      const auto length = static_cast<std::int32_t>(load<std::uint32_t>(bytes.data() + at));
      at += 4;
      null_[i] = length < 0;
      const std::size_t taken = length < 0 ? 0 : static_cast<std::size_t>(length);
      if (bytes.size() < at + taken) refuse();
      cells_[i] = bytes.substr(at, taken);
      at += taken;
    }
  }

  std::size_t size() const noexcept { return size_; }
  bool is_null(std::size_t column) const noexcept { return null_[column]; }
  // Columns of types smallint, integer and bigint.
  std::int64_t integer(std::size_t column) const {
    const std::string_view cell = cells_[column];
    if (cell.size() == 8) return static_cast<std::int64_t>(load<std::uint64_t>(cell.data()));
    if (cell.size() == 4) return static_cast<std::int32_t>(load<std::uint32_t>(cell.data()));
    if (cell.size() != 2) refuse();
    return static_cast<std::int16_t>(load<std::uint16_t>(cell.data()));
  }
  // double precision
  double number(std::size_t column) const {
    if (cells_[column].size() != 8) refuse();
    return std::bit_cast<double>(load<std::uint64_t>(cells_[column].data()));
  }
  // timestamptz, in microseconds since 1970; infinite ones are the largest and smallest numbers.
  std::int64_t microseconds(std::size_t column) const {
    constexpr std::int64_t kEpoch = 946'684'800'000'000;  // PostgreSQL counts from 2000
    const std::int64_t value = integer(column);
    if (value == std::numeric_limits<std::int64_t>::min()) return value;
    return value > std::numeric_limits<std::int64_t>::max() - kEpoch
               ? std::numeric_limits<std::int64_t>::max()
               : value + kEpoch;
  }
  bool boolean(std::size_t column) const { return cells_[column] == std::string_view("\1", 1); }
  std::string_view text(std::size_t column) const noexcept { return cells_[column]; }

 private:
  template <typename Number>
  static Number load(const char* bytes) noexcept {
    Number number = 0;
    for (std::size_t i = 0; i < sizeof(Number); ++i)
      number = static_cast<Number>(number << 8 | static_cast<unsigned char>(bytes[i]));
    return number;
  }
  [[noreturn]] static void refuse() {
    throw std::invalid_argument("a row of a stream has another form than it was asked for");
  }

  std::size_t size_ = 0;
  std::array<std::string_view, kColumnsMax> cells_;
  std::array<bool, kColumnsMax> null_{};
};

// Rows on their way into PostgreSQL, in its binary form.
class BulkBuffer {
 public:
  void begin_row(std::int16_t columns) { put(static_cast<std::uint16_t>(columns)); }
  void add(std::int64_t value) { sized(static_cast<std::uint64_t>(value)); }  // bigint
  void add(std::int32_t value) { sized(static_cast<std::uint32_t>(value)); }  // integer
  void add(std::int16_t value) { sized(static_cast<std::uint16_t>(value)); }  // smallint
  void add(double value) { sized(std::bit_cast<std::uint64_t>(value)); }      // double precision
  void add_null() { put(std::numeric_limits<std::uint32_t>::max()); }

  std::string& bytes() noexcept { return bytes_; }

 private:
  template <typename Number>
  void put(Number number) {
    for (int shift = 8 * (sizeof(Number) - 1); shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<char>(number >> shift));
  }
  template <typename Number>
  void sized(Number number) {
    put(static_cast<std::uint32_t>(sizeof(Number)));
    put(number);
  }
  std::string bytes_;
};

// A connection for streams of millions of rows, beside the transactions of the batches. Unqualified tables
// are those of the schema that it was opened for. One thread. Every call throws StatementError, or an
// exception that says that the dependency is away; the session is of no use then.
class BulkSession {
 public:
  virtual ~BulkSession() = default;
  // Takes a lock that lasts until this session ends, however it ends. False: somebody else has it.
  virtual bool try_lock(std::string_view name) = 0;
  // Begins a transaction that reads under one snapshot.
  //   snapshot  that of another session; empty: a new one
  //   returns   its name, for other sessions while this transaction lasts
  virtual std::string begin_snapshot(std::string_view snapshot = {}) = 0;
  // Begins a transaction that writes.
  virtual void begin() = 0;
  virtual void commit() = 0;
  virtual std::unique_ptr<Rows> query(const std::string& sql) = 0;
  // Streams the rows of a query. What `row` throws ends the session and is thrown on.
  virtual void copy_out(const std::string& query, const std::function<void(const BulkRow&)>& row) = 0;
  // Streams rows into "table (columns)". `fill` appends some rows to the buffer; false: those were the last.
  //   returns  how many rows there were
  virtual std::uint64_t copy_in(const std::string& table, const std::function<bool(BulkBuffer&)>& fill) = 0;
};

}  // namespace cutover
