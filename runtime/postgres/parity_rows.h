#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/contract/output.h"
#include "runtime/parity/ports.h"
#include "runtime/postgres/parity_ledger.h"
#include "runtime/postgres/session.h"

namespace cutover::postgres {

// Reads one output of both sides in one database: schema `serving` and the one that is compared with it.
// Every call is one statement and so sees both sides as of one moment; none reads more than a key range but
// those that count over everything. Throws StatementError and DependencyDown. One thread.
class ParityRows final : public parity::RowReader {
 public:
  // All but `output` outlive this.
  //   since  only rows that one side wrote since then, or that one side alone has; nullopt: all
  ParityRows(Session& session, ParityLedger& ledger, Output output, std::string against,
             std::optional<std::string> since);

  // Throws StatementError (undefined_table) when serving or the other schema has no such table.
  std::vector<parity::ColumnDifference> columns() override { return differing_; }
  std::optional<parity::Key> step(const parity::KeyRange& range, std::uint64_t rows) override;
  parity::BlockPair hash(const parity::KeyRange& range) override;
  std::uint64_t count_unequal(const parity::KeyRange& range) override;
  std::vector<parity::RowPair> read(const parity::KeyRange& range) override;
  std::vector<parity::RowPair> read(std::span<const parity::Key> keys) override;
  parity::Marks marks() override;

  // Rows to walk over, about; for progress.
  std::uint64_t estimate();

  const Output& output() const { return output_; }
  const std::string& schema(bool of_worker) const { return schemas_[of_worker ? 1 : 0]; }

 private:
  struct Range {
    std::string condition;  // over the key's columns, with parameters
    std::vector<Cell> parameters;
  };
  void read_columns();
  Range condition_of(const parity::KeyRange& range) const;
  std::string table(int side) const;
  std::string key_list() const;
  std::string changed(const Range& range) const;  // CTE and condition for `since`; empty without
  std::string field_text(int side, const OutputField& field, bool coarse) const;
  std::string row_text(int side, bool coarse) const;
  std::string row_select(int side) const;  // columns of a side as a reader wants them
  std::vector<parity::RowPair> pairs_of(const Table& table) const;

  Session& session_;
  ParityLedger& ledger_;
  const Output output_;
  const std::string schemas_[2];
  const std::optional<std::string> since_;
  std::vector<std::string> key_types_;
  std::vector<bool> present_[2];  // which fields the side has
  std::vector<parity::ColumnDifference> differing_;
  bool has_coarse_ = false;
};

// Text as an SQL identifier, and as an SQL literal.
std::string quoted_name(const std::string& name);
std::string quoted_text(const std::string& text);

}  // namespace cutover::postgres
