// Latency of serving.search as an application sees it: queries made from the documents that are there, asked by owners of
// all sizes. Standard output: one JSON object; standard error: a table.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <map>

#include "tests/bench/search/figures.h"
#include "tests/bench/search/session.h"

using namespace cutover::bench;

namespace {

// What people type, by kind.
constexpr const char* kQueries = R"sql(
WITH docs AS (
  SELECT d.*, split_part(d.display_name, ' ', 1) AS first, split_part(d.display_name, ' ', 2) AS last
  FROM serving.search_documents d TABLESAMPLE BERNOULLI (least(100, $1::double precision)) REPEATABLE ($2::double precision))
SELECT k.kind, k.query FROM docs d CROSS JOIN LATERAL (VALUES
  ('full name', d.display_name),
  ('first name', d.first),
  ('three letters', left(d.first, 3)),
  ('five letters', left(d.display_name, 5)),
  ('first and start of last', d.first || ' ' || left(d.last, 3)),
  ('name with a typo', overlay(d.display_name placing 'x' from 2 + abs(hashtext(d.doc_id)) % greatest(length(d.display_name) - 3, 1) for 1)),
  ('start of a number', left(d.phone, 8)),
  ('whole number', d.phone),
  ('address', d.email),
  ('start of an address', left(d.email, 8)),
  ('username', d.username),
  ('start of a username', '@' || left(d.username, 6)),
  ('company', d.company_name),
  ('job', d.job_title),
  ('nothing like it', left(md5(d.doc_id), 10))) k (kind, query)
WHERE k.query <> '' ORDER BY k.kind, hashtext(k.query || d.doc_id))sql";

// The largest owner, some of the next, and ordinary ones.
constexpr const char* kOwners = R"sql(
WITH sizes AS (SELECT owner_id, count(*) AS n FROM serving.search_documents WHERE visibility = 'owner' GROUP BY owner_id)
SELECT owner_id, n FROM (
  (SELECT owner_id, n FROM sizes ORDER BY n DESC LIMIT 3) UNION
  (SELECT owner_id, n FROM sizes ORDER BY hashint8(owner_id) LIMIT 17)) o ORDER BY n DESC)sql";

}  // namespace

int main(int argc, char** argv) {
  std::string url;
  int per_kind = 200;
  double seed = 1;
  CLI::App app("Latency of serving.search");
  app.add_option("--postgres", url, "URL of a database with documents")->required();
  app.add_option("--per-kind", per_kind, "Queries of each kind");
  app.add_option("--seed", seed, "Seed of the sample");
  CLI11_PARSE(app, argc, argv);

  Session session(url);
  const auto total = session.query("SELECT count(*), count(*) FILTER (WHERE visibility = 'public') FROM serving.search_documents").front();
  const double documents = std::stod(total[0]);
  const auto owners = session.query(kOwners);
  if (owners.empty()) {
    fmt::print(stderr, "there are no documents\n");
    return 1;
  }
  std::map<std::string, std::vector<std::string>> queries;
  // Few documents have a username, so many are looked at.
  for (const auto& row : session.query(kQueries, {std::to_string(100.0 * 300 * per_kind / documents), std::to_string(seed)})) {
    auto& of_kind = queries[row[0]];
    if (of_kind.size() < static_cast<std::size_t>(per_kind)) of_kind.push_back(row[1]);
  }
  const auto ask = [&](const std::string& owner, const std::string& query) {
    const auto begin = std::chrono::steady_clock::now();
    const auto rows = session.query("SELECT * FROM serving.search($1::bigint, $2)", {owner, query});
    if (!rows.empty() && rows.front().back() != "0") {
      fmt::print(stderr, "the projection is stale: build it with `cutover reindex search-projector` and run the projector\n");
      std::exit(1);
    }
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  };
  for (const auto& [kind, list] : queries)  // the first queries of a session plan and read what later ones find ready
    for (std::size_t i = 0; i < std::min<std::size_t>(3, list.size()); ++i) ask(owners[i][0], list[i]);

  Figures all, largest;
  nlohmann::json kinds;
  for (const auto& [kind, list] : queries) {
    Figures figures;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto& owner = owners[i % owners.size()];
      const double ms = ask(owner[0], list[i]);
      figures.add(ms);
      if (&owner == &owners.front()) largest.add(ms);
    }
    all.add(figures);
    kinds[kind] = figures.json();
    fmt::print(stderr, "{:<26}{}\n", kind, figures.text());
  }
  fmt::print(stderr, "{:<26}{}\n{:<26}{}\n", fmt::format("largest owner ({})", owners.front()[1]), largest.text(), "all", all.text());
  const nlohmann::json result = {{"documents", documents}, {"public", std::stod(total[1])}, {"largest_owner", std::stod(owners.front()[1])},
                                 {"query_ms", all.json()}, {"largest_owner_ms", largest.json()}, {"kinds", kinds}};
  fmt::print("{}\n", result.dump());
}
