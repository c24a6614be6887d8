#include "runtime/postgres/parity_measures.h"

#include <fmt/format.h>

#include "runtime/postgres/parity_rows.h"

namespace cutover::postgres {
namespace {

std::string table_of(const Output& output, const std::string& schema) {
  return quoted_name(schema) + "." + quoted_name(output.table);
}

std::string keys_of(const Output& output) {
  std::string list;
  for (const std::string& key : output.keys) list += (list.empty() ? "" : ", ") + quoted_name(key);
  return list;
}

double number(const Cell& cell) {
  return cell ? std::stod(*cell) : 0;
}

parity::Spread spread_of(Session& session, const std::string& finite) {
  const auto row = session
                       .query("SELECT count(*), avg(x), (p.q)[1], (p.q)[2], (p.q)[3] FROM (" + finite +
                              ") f CROSS JOIN (SELECT percentile_cont(ARRAY[0.1, 0.5, 0.9]) WITHIN GROUP "
                              "(ORDER BY x) AS q FROM (" +
                              finite + ") g) p GROUP BY p.q")
                       .rows;
  if (row.empty()) return {};
  return {std::stoull(row[0][0].value()), number(row[0][1]), number(row[0][2]), number(row[0][3]),
          number(row[0][4])};
}

}  // namespace

parity::Statistics read_statistics(Session& session, const Output& output, const std::string& against) {
  const auto finite = [&](const std::string& schema) {
    return fmt::format(
        "SELECT {0}, {1}::double precision AS x FROM {2} WHERE {1} IS NOT NULL AND {1} NOT IN ('NaN', "
        "'Infinity', '-Infinity')",
        keys_of(output), quoted_name(output.measured), table_of(output, schema));
  };
  parity::Statistics s;
  s.field = output.measured;
  s.serving = spread_of(session, finite("serving"));
  s.worker = spread_of(session, finite(against));
  const auto row =
      session
          .query(fmt::format(
              "SELECT count(*), avg(b.x - a.x), stddev_samp(b.x - a.x), count(*) FILTER (WHERE abs(b.x - "
              "a.x) > {}), count(*) FILTER (WHERE abs(b.x - a.x) > {}), count(*) FILTER (WHERE abs(b.x - "
              "a.x) > {}) FROM ({}) a JOIN ({}) b USING ({})",
              parity::kBeyond[0], parity::kBeyond[1], parity::kBeyond[2], finite("serving"), finite(against),
              keys_of(output)))
          .rows.at(0);
  s.pairs = std::stoull(row[0].value());
  s.mean_difference = number(row[1]);
  s.deviation = number(row[2]);
  for (std::size_t i = 0; i < s.beyond.size(); ++i) s.beyond[i] = std::stoull(row[3 + i].value());
  return s;
}

parity::Histogram read_histogram(Session& session, const Output& output, const std::string& against,
                                 int bins) {
  const Output::Distribution& d = output.distribution;
  parity::Histogram histogram{d.label, d.from, d.to, {}, {}};
  for (auto* side : {&histogram.serving, &histogram.worker}) {
    side->assign(static_cast<std::size_t>(bins), 0);
    const std::string query = fmt::format(
        "SELECT least(greatest(width_bucket(x, {}, {}, {}), 1), {}), count(*) FROM (SELECT ({})::double "
        "precision AS x FROM {}) r "
        "WHERE x IS NOT NULL AND x NOT IN ('NaN', 'Infinity', '-Infinity') GROUP BY 1",
        d.from, d.to, bins, bins, d.expression,
        table_of(output, side == &histogram.serving ? "serving" : against));
    for (const auto& row : session.query(query).rows)
      (*side)[std::stoul(row[0].value()) - 1] = std::stoull(row[1].value());
  }
  return histogram;
}

parity::Matrix read_matrix(Session& session, const Output& output, const std::string& against) {
  parity::Matrix matrix{output.matrix, {}};
  const std::string value = quoted_name(output.matrix);
  const std::string query = fmt::format(
      "SELECT coalesce(a.v, ''), coalesce(b.v, ''), count(*) FROM (SELECT {0}, {1}::text AS v FROM {2}) a "
      "FULL JOIN (SELECT {0}, "
      "{1}::text AS v FROM {3}) b USING ({0}) GROUP BY 1, 2",
      keys_of(output), value, table_of(output, "serving"), table_of(output, against));
  for (const auto& row : session.query(query).rows)
    matrix.counts[{row[0].value(), row[1].value()}] = std::stoull(row[2].value());
  return matrix;
}

}  // namespace cutover::postgres
