#include "tests/bench/report.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cutover::bench {
namespace {

using nlohmann::ordered_json;

using Measure = double (*)(const Figures&);

double rate(const Figures& f) {
  return f.events_per_second;
}
double cpu(const Figures& f) {
  return f.cpu_ms_per_1000;
}
double rss(const Figures& f) {
  return f.rss_mib;
}
double p50(const Figures& f) {
  return f.p50_ms.value_or(0);
}
double p99(const Figures& f) {
  return f.p99_ms.value_or(0);
}

Spread of(const std::vector<Figures>& runs, Measure measure) {
  std::vector<double> values;
  std::transform(runs.begin(), runs.end(), std::back_inserter(values), measure);
  return spread(std::move(values));
}

double median(const std::vector<Figures>& runs, Measure measure) {
  return of(runs, measure).median;
}

double ratio(const std::vector<Figures>& runs, const std::vector<Figures>& base, Measure measure) {
  return median(runs, measure) / median(base, measure);
}

double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

ordered_json spread_json(const Spread& s) {
  return {{"median", rounded(s.median)}, {"min", rounded(s.min)}, {"max", rounded(s.max)}};
}

ordered_json by_program(const std::map<std::string, std::vector<Figures>>& runs, Measure measure) {
  ordered_json object = ordered_json::object();
  for (const std::string& kind : Programs::kinds())
    if (runs.contains(kind)) object[kind] = spread_json(of(runs.at(kind), measure));
  return object;
}

ordered_json latency(const std::vector<Figures>& runs) {
  return {{"p50", rounded(median(runs, p50))}, {"p99", rounded(median(runs, p99))}};
}

ordered_json growth_row(const std::vector<Figures>& runs, const std::vector<Figures>& base) {
  return {{"throughput_eps", spread_json(of(runs, rate))},
          {"ratio", rounded(ratio(runs, base, rate))},
          {"cpu_ms_per_1000", rounded(median(runs, cpu))},
          {"rss_mib", rounded(of(runs, rss).max)}};
}

ordered_json growth(const Results& r) {
  ordered_json object = ordered_json::object();
  if (!r.large.empty()) {
    object["large_backlog"] = growth_row(r.large, r.small);
    object["large_backlog"]["events"] = r.large_workload.events;
    object["large_backlog"]["rss_ratio"] = rounded(of(r.large, rss).max / of(r.small, rss).max);
  }
  if (!r.two_processes.empty() && !r.large.empty())
    object["two_processes"] = growth_row(r.two_processes, r.large);
  if (!r.full_ledger.empty()) {
    object["full_ledger"] = growth_row(r.full_ledger, r.empty_ledger);
    object["full_ledger"]["rows"] = r.ledger_keys;
  }
  if (!r.fenced.empty()) object["fence"] = growth_row(r.fenced, r.unfenced);
  return object;
}

std::string backlog_table(const Results& r) {
  std::string out = fmt::format("{:<14}{:>10}{:>10}{:>10}{:>12}{:>10}{:>10}\n", "backlog", "events/s", "min",
                                "max", "CPU ms/1000", "peak MiB", "ev/batch");
  for (const std::string& kind : Programs::kinds()) {
    if (!r.backlog.contains(kind)) continue;
    const std::vector<Figures>& runs = r.backlog.at(kind);
    const Spread eps = of(runs, rate);
    out += fmt::format("{:<14}{:>10.0f}{:>10.0f}{:>10.0f}{:>12.2f}{:>10.1f}{:>10.0f}\n", kind, eps.median,
                       eps.min, eps.max, median(runs, cpu), of(runs, rss).max,
                       median(runs, [](const Figures& f) { return f.batch_mean; }));
  }
  return out;
}

std::string steady_table(const Results& r) {
  std::string out = fmt::format("{:<14}{:>10}{:>10}{:>12}\n", "steady", "p50 ms", "p99 ms", "CPU ms/1000");
  for (const std::string& kind : Programs::kinds())
    if (r.steady.contains(kind))
      out += fmt::format("{:<14}{:>10.2f}{:>10.2f}{:>12.2f}\n", kind, median(r.steady.at(kind), p50),
                         median(r.steady.at(kind), p99), median(r.steady.at(kind), cpu));
  return out;
}

std::string growth_table(const Results& r) {
  std::string out;
  const ordered_json rows = growth(r);
  for (const auto& [name, row] : rows.items())
    out +=
        fmt::format("{:<14}{:>10.0f}{:>10.0f}{:>10.0f}{:>12.2f}{:>10.1f}   x {:.2f}\n", name,
                    row["throughput_eps"]["median"].get<double>(), row["throughput_eps"]["min"].get<double>(),
                    row["throughput_eps"]["max"].get<double>(), row["cpu_ms_per_1000"].get<double>(),
                    row["rss_mib"].get<double>(), row["ratio"].get<double>());
  return out;
}

}  // namespace

Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

std::vector<Goal> goals(const Results& r) {
  std::vector<Goal> list;
  const auto at_least = [&](std::string name, std::string text, double value, double limit) {
    list.push_back({std::move(name), std::move(text), value, limit, true});
  };
  const auto at_most = [&](std::string name, std::string text, double value, double limit) {
    list.push_back({std::move(name), std::move(text), value, limit, false});
  };
  const auto runs_of = [](const std::map<std::string, std::vector<Figures>>& part, const char* kind) {
    return part.contains(kind) ? &part.at(kind) : nullptr;
  };
  if (const auto* runtime = runs_of(r.backlog, "runtime")) {
    if (const auto* bare = runs_of(r.backlog, "bare_loop"))
      at_least("vs_bare_loop", "throughput, times bare_loop", ratio(*runtime, *bare, rate), 0.8);
    if (const auto* go = runs_of(r.backlog, "go_per_event"))
      at_least("vs_go_per_event", "throughput, times go_per_event", ratio(*runtime, *go, rate), 5);
    if (const auto* go = runs_of(r.backlog, "go_batched")) {
      at_least("vs_go_batched", "throughput, times go_batched", ratio(*runtime, *go, rate), 1);
      at_most("cpu_vs_go_batched", "worker CPU, times go_batched", ratio(*runtime, *go, cpu), 0.5);
    }
    at_most("cpu_ms_per_1000", "worker CPU, ms per 1,000 events", median(*runtime, cpu), 5);
  }
  if (const auto* runtime = runs_of(r.steady, "runtime")) {
    const auto* bare = runs_of(r.steady, "bare_loop");
    at_most("latency_p50", "publish to commit, p50, ms", median(*runtime, p50), 1);
    if (bare) list.back().bare = median(*bare, p50);
    at_most("latency_p99", "publish to commit, p99, ms", median(*runtime, p99), 3);
    if (bare) list.back().bare = median(*bare, p99);
  }
  if (!r.large.empty()) {
    at_least("large_backlog", "throughput of a ten times larger backlog, times the smaller",
             ratio(r.large, r.small, rate), 0.9);
    if (!r.bare_large.empty()) list.back().bare = ratio(r.bare_large, r.bare_small, rate);
    at_most("rss_mib", "peak memory over the larger backlog, MiB", of(r.large, rss).max, 48);
    at_most("rss_growth", "peak memory of the larger backlog, times the smaller",
            of(r.large, rss).max / of(r.small, rss).max, 1.1);
  }
  if (!r.two_processes.empty())
    at_least("two_processes", "throughput of two processes, times one", ratio(r.two_processes, r.large, rate),
             1);
  if (!r.full_ledger.empty())
    at_least("full_ledger", "throughput on a full ledger, random keys, times an empty one",
             ratio(r.full_ledger, r.empty_ledger, rate), 0.8);
  if (!r.fenced.empty())
    at_least("fence", "throughput with the fence, times without", ratio(r.fenced, r.unfenced, rate), 0.97);
  return list;
}

ordered_json to_json(const Results& r) {
  ordered_json object{{"throughput_eps", by_program(r.backlog, rate)},
                      {"cpu_ms_per_1000", by_program(r.backlog, cpu)},
                      {"rss_mib", by_program(r.backlog, rss)},
                      {"latency_ms", nullptr},
                      {"latency_ms_by_program", ordered_json::object()},
                      {"growth", growth(r)},
                      {"goals", ordered_json::object()}};
  if (r.steady.contains("runtime")) object["latency_ms"] = latency(r.steady.at("runtime"));
  for (const auto& [kind, runs] : r.steady) object["latency_ms_by_program"][kind] = latency(runs);
  for (const Goal& goal : goals(r)) {
    ordered_json& row = object["goals"][goal.name];
    row = {{"value", rounded(goal.value)},
           {goal.at_least ? "at_least" : "at_most", goal.limit},
           {"met", goal.met()}};
    if (goal.bare) row["bare_loop"] = rounded(*goal.bare);
  }
  return object;
}

std::string to_table(const Results& r) {
  std::string out = backlog_table(r) + growth_table(r);
  if (!r.steady.empty()) out += "\n" + steady_table(r);
  const std::vector<Goal> list = goals(r);
  if (!list.empty()) out += "\n";
  for (const Goal& goal : list)
    out += fmt::format("{}  {:<62}{:>9.2f}   {} {}{}\n", goal.met() ? "pass" : "MISS", goal.text, goal.value,
                       goal.at_least ? "at least" : "at most", goal.limit,
                       goal.bare ? fmt::format("   (bare_loop: {:.2f})", *goal.bare) : "");
  return out;
}

}  // namespace cutover::bench
