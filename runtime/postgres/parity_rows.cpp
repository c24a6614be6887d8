#include "runtime/postgres/parity_rows.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runtime/engine/ports.h"

namespace cutover::postgres {
namespace {

using parity::Key;
using parity::KeyRange;

constexpr const char* kColumns = R"sql(
SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped)sql";

// A PostgreSQL array of texts.
std::string array_text(const std::vector<std::string>& texts) {
  std::string out = "{";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

std::uint64_t hash_of(const Cell& cell) {
  return cell ? static_cast<std::uint64_t>(std::stoll(*cell)) : 0;
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

}  // namespace

std::string quoted_name(const std::string& name) {
  std::string out = name;
  replace_all(out, "\"", "\"\"");
  return "\"" + out + "\"";
}

std::string quoted_text(const std::string& text) {
  std::string out = text;
  replace_all(out, "'", "''");
  return "'" + out + "'";
}

ParityRows::ParityRows(Session& session, ParityLedger& ledger, Output output, std::string against,
                       std::optional<std::string> since)
    : session_(session),
      ledger_(ledger),
      output_(std::move(output)),
      schemas_{"serving", std::move(against)},
      since_(std::move(since)) {
  has_coarse_ = std::any_of(output_.fields.begin(), output_.fields.end(),
                            [](const OutputField& f) { return f.rule == OutputField::Rule::number; });
  read_columns();
}

void ParityRows::read_columns() {
  std::map<std::string, std::string> types[2];
  for (int side = 0; side < 2; ++side) {
    for (const auto& row : session_.query(kColumns, {table(side)}).rows)
      types[side][row[0].value()] = row[1].value();
    if (types[side].empty())
      throw StatementError("42P01", "there is no table " + schemas_[side] + "." + output_.table);
  }
  for (const std::string& key : output_.keys) key_types_.push_back(types[0][key]);
  for (const OutputField& field : output_.fields) {
    for (int side = 0; side < 2; ++side) present_[side].push_back(types[side].contains(field.name));
    if (types[0][field.name] != types[1][field.name])
      differing_.push_back({field.name, types[0][field.name], types[1][field.name]});
  }
}

std::string ParityRows::table(int side) const {
  return quoted_name(schemas_[side]) + "." + quoted_name(output_.table);
}

std::string ParityRows::key_list() const {
  std::string list;
  for (const std::string& key : output_.keys) list += (list.empty() ? "" : ", ") + quoted_name(key);
  return list;
}

ParityRows::Range ParityRows::condition_of(const KeyRange& range) const {
  Range result;
  const auto bound = [&](const Key& key, const char* relation) {
    std::string values;
    for (std::size_t i = 0; i < key.size(); ++i) {
      result.parameters.emplace_back(key[i]);
      values += fmt::format("{}${}::{}", i == 0 ? "" : ", ", result.parameters.size(), key_types_[i]);
    }
    result.condition +=
        fmt::format("{}({}) {} ({})", result.condition.empty() ? "" : " AND ", key_list(), relation, values);
  };
  if (range.after) bound(*range.after, ">");
  if (range.up_to) bound(*range.up_to, "<=");
  if (result.condition.empty()) result.condition = "true";
  return result;
}

std::string ParityRows::changed(const Range& range) const {
  if (!since_) return {};
  const std::string keys = key_list(), time = quoted_text(*since_) + "::timestamptz";
  const auto keys_of = [&](int side) {
    return fmt::format("SELECT {} FROM {} WHERE {}", keys, table(side), range.condition);
  };
  const std::string written = quoted_name(output_.written_at);
  return fmt::format(
      "WITH changed AS MATERIALIZED ({0} AND {2} >= {3} UNION {1} AND {2} >= {3} UNION ({0} EXCEPT {1}) "
      "UNION ({1} EXCEPT {0})) ",
      keys_of(0), keys_of(1), written, time);
}

// A number that is none is told apart by its side: it equals nothing, not even itself.
std::string ParityRows::field_text(int side, const OutputField& field, bool coarse) const {
  const auto index = static_cast<std::size_t>(&field - output_.fields.data());
  if (!present_[side][index]) return "NULL::text";
  const std::string name = quoted_name(field.name);
  switch (field.rule) {
    case OutputField::Rule::same:
    case OutputField::Rule::newest:
      return name;
    case OutputField::Rule::set:
      return fmt::format(
          "CASE WHEN cardinality({0}) > 1 THEN (SELECT array_agg(x ORDER BY x) FROM (SELECT DISTINCT "
          "unnest({0}::text[]) "
          "COLLATE \"C\" AS x) u) ELSE {0}::text[] END",
          name);
    case OutputField::Rule::number:
      break;
  }
  return fmt::format(
      "CASE WHEN {0} IN ('NaN', 'Infinity', '-Infinity') THEN 'no number: {1}' ELSE ({2})::text END", name,
      side == 0 ? "serving" : "worker",
      coarse && field.tolerance > 0 ? fmt::format("floor({} / {} + 0.5)", name, field.tolerance) : name);
}

std::string ParityRows::row_text(int side, bool coarse) const {
  std::string values;
  for (const OutputField& field : output_.fields) values += ", " + field_text(side, field, coarse);
  return fmt::format("ROW({}{})::text", key_list(), values);
}

std::string ParityRows::row_select(int side) const {
  std::string list = key_list();
  for (std::size_t i = 0; i < output_.fields.size(); ++i)
    list +=
        fmt::format(", {}::text AS v{}", present_[side][i] ? quoted_name(output_.fields[i].name) : "NULL", i);
  list += fmt::format(
      ", coalesce({}, '') AS place_stream, coalesce({}, 0) AS place_sequence, ({})::text AS stratum, true AS "
      "present",
      quoted_name(output_.stream), quoted_name(output_.sequence),
      output_.stratum.empty() ? "''" : output_.stratum);
  return list;
}

std::optional<Key> ParityRows::step(const KeyRange& range, std::uint64_t rows) {
  Range part = condition_of(range);
  const std::string keys = key_list();
  // An ORDER BY takes the name of an output column, which is text here, for that column: hence the k.
  std::string texts, order;
  for (const std::string& key : output_.keys) {
    texts += (texts.empty() ? "" : ", ") + quoted_name(key) + "::text";
    order += (order.empty() ? "k." : ", k.") + quoted_name(key);
  }
  const auto of = [&](int side) {
    return fmt::format("(SELECT {0} FROM {1} WHERE {2} ORDER BY {0} LIMIT {3})", keys, table(side),
                       part.condition, rows);
  };
  const Table found =
      session_.query(fmt::format("SELECT {0} FROM ({1} UNION ALL {2}) k ORDER BY {3} OFFSET {4} LIMIT 1",
                                 texts, of(0), of(1), order, rows - 1),
                     part.parameters);
  if (found.rows.empty()) return std::nullopt;
  Key key;
  for (const Cell& cell : found.rows.front()) key.push_back(cell.value_or(""));
  return key;
}

parity::BlockPair ParityRows::hash(const KeyRange& range) {
  const Range part = condition_of(range);
  const auto of = [&](int side) {
    return fmt::format(
        "SELECT {0} AS side, ({1})::text AS stratum, hashtextextended({2}, 0) AS exact{3} FROM {4} WHERE "
        "{5}{6}",
        side, output_.stratum.empty() ? "''" : output_.stratum, row_text(side, false),
        has_coarse_ ? ", hashtextextended(" + row_text(side, true) + ", 0) AS coarse" : "", table(side),
        part.condition, since_ ? fmt::format(" AND ({0}) IN (SELECT {0} FROM changed)", key_list()) : "");
  };
  const Table found =
      session_.query(fmt::format("{}SELECT side, coalesce(stratum, ''), count(*), bit_xor(exact), "
                                 "bit_xor({}) FROM ({} UNION ALL {}) r GROUP BY 1, 2",
                                 changed(part), has_coarse_ ? "coarse" : "exact", of(0), of(1)),
                     part.parameters);
  parity::BlockPair pair;
  for (const auto& row : found.rows) {
    parity::Block& block = row[0] == "0" ? pair.serving : pair.worker;
    const std::uint64_t rows = std::stoull(row[2].value());
    block.rows += rows;
    block.strata[row[1].value()] += rows;
    block.exact ^= hash_of(row[3]);
    block.coarse ^= hash_of(row[4]);
  }
  return pair;
}

std::uint64_t ParityRows::count_unequal(const KeyRange& range) {
  const Range part = condition_of(range);
  const auto of = [&](int side) {
    return fmt::format("(SELECT {}, {} AS content FROM {} WHERE {})", key_list(), row_text(side, false),
                       table(side), part.condition);
  };
  return std::stoull(
      session_
          .query(fmt::format("SELECT count(*) FROM {} a JOIN {} b USING ({}) WHERE a.content <> b.content",
                             of(0), of(1), key_list()),
                 part.parameters)
          .rows.at(0)
          .at(0)
          .value());
}

std::vector<parity::RowPair> ParityRows::read(const KeyRange& range) {
  const Range part = condition_of(range);
  std::string keys;
  for (const std::string& key : output_.keys)
    keys += (keys.empty() ? "" : ", ") + quoted_name(key) + "::text";
  const auto of = [&](int side) {
    return fmt::format("(SELECT {} FROM {} WHERE {}{})", row_select(side), table(side), part.condition,
                       since_ ? fmt::format(" AND ({0}) IN (SELECT {0} FROM changed)", key_list()) : "");
  };
  std::string values;
  for (const char side : {'a', 'b'}) {
    values += fmt::format(", {0}.present, {0}.place_stream, {0}.place_sequence, {0}.stratum", side);
    for (std::size_t i = 0; i < output_.fields.size(); ++i) values += fmt::format(", {}.v{}", side, i);
  }
  return pairs_of(session_.query(fmt::format("{}SELECT {}{} FROM {} a FULL JOIN {} b USING ({})",
                                             changed(part), keys, values, of(0), of(1), key_list()),
                                 part.parameters));
}

std::vector<parity::RowPair> ParityRows::read(std::span<const Key> wanted) {
  if (wanted.empty()) return {};
  std::vector<Cell> parameters;
  std::string arrays, keys, values, on_a, on_b;
  for (std::size_t i = 0; i < output_.keys.size(); ++i) {
    std::vector<std::string> column;
    for (const Key& key : wanted) column.push_back(key.at(i));
    parameters.emplace_back(array_text(column));
    const std::string name = quoted_name(output_.keys[i]);
    arrays += fmt::format("{}${}::{}[]", i == 0 ? "" : ", ", i + 1, key_types_[i]);
    keys += fmt::format("{}w.{}::text", i == 0 ? "" : ", ", name);
    on_a += fmt::format("{}a.{} = w.{}", i == 0 ? "" : " AND ", name, name);
    on_b += fmt::format("{}b.{} = w.{}", i == 0 ? "" : " AND ", name, name);
  }
  for (const char side : {'a', 'b'}) {
    values += fmt::format(", {0}.present, {0}.place_stream, {0}.place_sequence, {0}.stratum", side);
    for (std::size_t i = 0; i < output_.fields.size(); ++i) values += fmt::format(", {}.v{}", side, i);
  }
  return pairs_of(session_.query(fmt::format("SELECT {}{} FROM unnest({}) w ({}) LEFT JOIN (SELECT {} FROM "
                                             "{}) a ON {} LEFT JOIN (SELECT {} FROM {}) b ON {}",
                                             keys, values, arrays, key_list(), row_select(0), table(0), on_a,
                                             row_select(1), table(1), on_b),
                                 parameters));
}

std::vector<parity::RowPair> ParityRows::pairs_of(const Table& found) const {
  std::vector<parity::RowPair> pairs;
  const std::size_t keys = output_.keys.size(), width = 4 + output_.fields.size();
  for (const auto& row : found.rows) {
    parity::RowPair& pair = pairs.emplace_back();
    for (std::size_t i = 0; i < keys; ++i) pair.key.push_back(row[i].value_or(""));
    for (int side = 0; side < 2; ++side) {
      const std::size_t at = keys + static_cast<std::size_t>(side) * width;
      if (row[at] != "t") continue;
      parity::Row& read = (side == 0 ? pair.serving : pair.worker).emplace();
      read.stream = row[at + 1].value_or("");
      read.sequence = row[at + 2] ? std::stoull(*row[at + 2]) : 0;
      read.stratum = row[at + 3].value_or("");
      read.values.assign(row.begin() + static_cast<std::ptrdiff_t>(at + 4),
                         row.begin() + static_cast<std::ptrdiff_t>(at + width));
    }
  }
  return pairs;
}

parity::Marks ParityRows::marks() {
  // What is unfinished first: work that is finished meanwhile is then pending for one more look.
  struct Open {
    std::uint64_t sequence = 0;
    const char* side = "";
  };
  std::map<std::string, Open> open;
  if (!output_.unfinished.empty())
    for (int side = 0; side < 2; ++side) {
      std::string query = output_.unfinished;
      replace_all(query, "{schema}", quoted_name(schemas_[side]));
      const Table found = session_.query("SELECT q.stream, min(q.sequence) FROM (" + query +
                                         ") q (stream, sequence) WHERE q.stream IS NOT NULL GROUP BY 1");
      for (const auto& row : found.rows) {
        const Open found_here{std::stoull(row[1].value()), side == 0 ? "serving" : "worker"};
        const auto [known, is_new] = open.emplace(row[0].value(), found_here);
        if (!is_new && found_here.sequence < known->second.sequence) known->second = found_here;
      }
    }
  parity::Marks marks = ledger_.marks();
  for (const auto& [stream, unfinished] : open)
    if (const auto mark = marks.find(stream);
        mark != marks.end() && unfinished.sequence <= mark->second.common) {
      mark->second.common = unfinished.sequence == 0 ? 0 : unfinished.sequence - 1;
      mark->second.behind = unfinished.side;
    }
  return marks;
}

std::uint64_t ParityRows::estimate() {
  const Table found = session_.query(
      "SELECT greatest(0, sum(c.reltuples))::bigint FROM pg_class c WHERE c.oid IN (to_regclass($1), "
      "to_regclass($2))",
      {table(0), table(1)});
  return std::stoull(found.rows.at(0).at(0).value_or("0"));
}

}  // namespace cutover::postgres
