#include "runtime/cli/status_query.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/operator_transactions.h"
#include "runtime/cli/score_tools.h"
#include "runtime/postgres/headers.h"

namespace cutover::cli {
namespace {

struct Options {
  std::vector<std::string> workers;
  bool watch = false;
};

constexpr std::chrono::seconds kWatchInterval{2};

std::string age(double seconds) {
  if (seconds < 1) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7'200) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.0f} h", seconds / 3'600);
}

std::string listed(const std::map<std::string, std::uint64_t>& counts) {
  std::string all;
  for (const auto& [name, count] : counts)
    all += fmt::format("{}{} {}", all.empty() ? "" : ", ", grouped(count), name);
  return all.empty() ? "none" : all;
}

Json as_json(const OwnershipStatus& o) {
  Json segments = Json::array();
  for (const auto& row : o.segments)
    segments.push_back({{"stream", row.stream},
                        {"incarnation", row.segment.incarnation},
                        {"epoch", row.segment.epoch},
                        {"from_sequence", row.segment.from_sequence},
                        {"mode", postgres::to_text(row.segment.mode)},
                        {"percent", percent_text(row.segment.percent_hundredths)}});
  Json blocked = Json::array();
  for (const Guard& guard : o.guards)
    if (!guard.passed)
      blocked.push_back({{"guard", guard.name},
                         {"forceable", guard.forceable},
                         {"found", guard.text},
                         {"do", guard.what_to_do}});
  Json parity = nullptr;
  if (o.facts.parity)
    parity = {{"verdict", o.facts.parity->verdict},
              {"age_seconds", o.facts.parity->age.count()},
              {"samples", o.facts.parity->samples}};
  const auto optional = [](const auto& value) { return value ? Json(*value) : Json(nullptr); };
  return {{"stage", to_text(o.facts.standing.stage)},
          {"percent", percent_text(o.facts.standing.percent_hundredths)},
          {"epoch", o.facts.standing.epoch},
          {"since",
           o.facts.standing.since ? Json(postgres::timestamp_text(*o.facts.standing.since)) : Json(nullptr)},
          {"segments", segments},
          {"worker_pending", o.facts.pending},
          {"worker_drain_seconds", optional(o.facts.drain_seconds)},
          {"monolith_pending", optional(o.monolith_pending)},
          {"parity", parity},
          {"dead_letters", o.facts.dead_letters},
          {"reverse_ready", o.not_reversible.empty()},
          {"reverse_trouble", o.not_reversible},
          {"next_step", o.next ? Json(to_text(*o.next)) : Json(nullptr)},
          {"blocked_by", blocked}};
}

Json as_json(const WorkerStatus& worker) {
  Json instances = Json::array();
  for (const InstanceStatus& i : worker.instances)
    instances.push_back({{"instance", i.instance},
                         {"side", i.side},
                         {"host", i.host},
                         {"pid", i.pid},
                         {"build", i.build},
                         {"alive", i.alive},
                         {"ready", i.ready},
                         {"up_seconds", i.up_seconds},
                         {"seen_seconds", i.seen_seconds}});
  Json lanes = Json::array();
  for (const LaneStatus& l : worker.lanes)
    lanes.push_back({{"lane", l.lane},
                     {"stream", l.stream},
                     {"consumer", l.consumer},
                     {"priority", l.priority},
                     {"exists", l.exists},
                     {"pending", l.pending},
                     {"ack_pending", l.ack_pending},
                     {"redelivered", l.redelivered},
                     {"stream_last_sequence", l.last_sequence}});
  return {{"worker", worker.worker},
          {"instances", instances},
          {"lanes", lanes},
          {"settled_last_hour", worker.settled_last_hour},
          {"dead_letters", worker.dead_letters},
          {"retrying", worker.retrying},
          {"ownership", worker.ownership ? as_json(*worker.ownership) : Json(nullptr)}};
}

Json as_json(const RunStatus& run) {
  return {{"schema", run.schema},
          {"run", run.run},
          {"state", run.state},
          {"phase", run.phase},
          {"formula", run.formula},
          {"as_of", run.as_of},
          {"official", run.official},
          {"requests", run.requests},
          {"attempt", run.attempt},
          {"done", run.done},
          {"total", run.total},
          {"seconds", run.seconds},
          {"eta_seconds", run.eta_seconds ? Json(*run.eta_seconds) : Json(nullptr)},
          {"error", run.error}};
}

Json as_json(const Status& status, const std::vector<RunStatus>& runs) {
  Json document = {{"workers", Json::array()}};
  for (const WorkerStatus& worker : status.workers) document["workers"].push_back(as_json(worker));
  document["score_runs"] = Json::array();
  for (const RunStatus& run : runs) document["score_runs"].push_back(as_json(run));
  document["outbox"] = nullptr;
  if (const auto& outbox = status.outbox)
    document["outbox"] = {{"waiting", outbox->waiting},
                          {"oldest_seconds", outbox->oldest_seconds},
                          {"timers", outbox->timers},
                          {"failing", outbox->failing},
                          {"relays", outbox->relays}};
  document["troubles"] = status.troubles;
  return document;
}

void print_instances(Output& out, const WorkerStatus& worker) {
  if (worker.instances.empty()) {
    out.line("  no instance runs");
    return;
  }
  std::vector<std::vector<Cell>> rows;
  for (const InstanceStatus& i : worker.instances)
    rows.push_back({"  " + i.instance, i.side,
                    i.alive ? (i.ready ? Cell("ready", Tone::good) : Cell("not ready", Tone::warn))
                            : Cell("gone", Tone::bad),
                    age(i.up_seconds), age(i.seen_seconds) + " ago", fmt::format("{} {}", i.host, i.pid),
                    i.build});
  out.table({"  instance", "side", "state", "up", "seen", "host, pid", "build"}, rows);
}

void print_lanes(Output& out, const WorkerStatus& worker) {
  std::vector<std::vector<Cell>> rows;
  for (const LaneStatus& l : worker.lanes) {
    if (!l.exists) {
      rows.push_back(
          {"  " + l.lane, l.stream, std::to_string(l.priority), Cell("no consumer yet", Tone::warn), "", ""});
      continue;
    }
    rows.push_back({"  " + l.lane, l.stream, std::to_string(l.priority),
                    Cell(grouped(l.pending), l.pending > 0 ? Tone::warn : Tone::plain),
                    grouped(l.ack_pending),
                    Cell(grouped(l.redelivered), l.redelivered > 0 ? Tone::warn : Tone::plain)});
  }
  if (!rows.empty())
    out.table({"  lane", "stream", "priority", "pending", "ack pending", "redelivered"}, rows);
}

double seconds_between(Instant from, Instant to) {
  return std::chrono::duration<double>(to - from).count();
}

void print_ownership(Output& out, const OwnershipStatus& o) {
  const GuardFacts& f = o.facts;
  std::string stage = "  stage: " + out.paint(to_text(f.standing), Tone::good);
  if (f.standing.since) stage += fmt::format(", since {}", age(seconds_between(*f.standing.since, f.now)));
  for (const auto& row : o.segments)
    stage += fmt::format("; {}{} from {}, epoch {}", row.stream,
                         row.segment.incarnation > 1 ? fmt::format(" ({})", row.segment.incarnation) : "",
                         row.segment.from_sequence, row.segment.epoch);
  out.line(stage);
  out.line(
      fmt::format("  waiting: worker {}{}; monolith {}", grouped(f.pending),
                  f.drain_seconds ? fmt::format(", {:.1f} s to drain", *f.drain_seconds) : ", pace unknown",
                  o.monolith_pending ? grouped(*o.monolith_pending) : "unknown: its gate does not say"));
  out.line("  parity: " + (f.parity ? fmt::format("{}, {} old, over {} samples", f.parity->verdict,
                                                  age(static_cast<double>(f.parity->age.count())),
                                                  grouped(f.parity->samples))
                                    : std::string("no verdict")));
  out.line("  reverse: " + (o.not_reversible.empty() ? out.paint("ready", Tone::good) : o.not_reversible));
  if (!o.next) return;
  std::size_t blocked = 0;
  for (const Guard& guard : o.guards) blocked += guard.passed ? 0 : 1;
  out.line(fmt::format(
      "  next: {}{}", to_text(*o.next),
      blocked == 0 ? ", nothing is in its way" : fmt::format(", {} in its way:", counted(blocked, "guard"))));
  for (const Guard& guard : o.guards)
    if (!guard.passed)
      out.line(fmt::format("    {} {}", out.paint(guard.name + ":", Tone::warn), guard.text));
}

void print_runs(Output& out, const std::vector<RunStatus>& runs) {
  for (const RunStatus& run : runs) {
    std::string line = fmt::format("score run {}{}: {}", run.run, run.schema == "shadow" ? " (shadow)" : "", run.state);
    if (run.state == "running") {
      line += ", " + run.phase;
      if (run.total > 0) line += fmt::format(" {:.0f} %", 100.0 * static_cast<double>(run.done) / static_cast<double>(run.total));
      if (run.eta_seconds) line += ", ready in about " + age(*run.eta_seconds);
    }
    line += fmt::format(", as of {}, {}{}", run.as_of, run.formula, run.official ? "" : " (candidate)");
    if (run.state != "queued") line += ", " + age(run.seconds);
    if (run.attempt > 1) line += fmt::format(", attempt {}", run.attempt);
    if (!run.error.empty()) line += ": " + out.paint(run.error, Tone::bad);
    out.line(line);
  }
}

void print(Output& out, const Status& status, const std::vector<RunStatus>& runs) {
  for (const WorkerStatus& worker : status.workers) {
    out.line(out.paint(worker.worker, Tone::good));
    if (worker.ownership) print_ownership(out, *worker.ownership);
    if (status.outbox) print_instances(out, worker);
    print_lanes(out, worker);
    if (status.outbox) {
      out.line("  settled within the hour: " + listed(worker.settled_last_hour));
      out.line(fmt::format(
          "  retrying: {}; dead letters: {}", grouped(worker.retrying),
          worker.dead_letters.empty() ? "none" : out.paint(listed(worker.dead_letters), Tone::bad)));
    }
  }
  print_runs(out, runs);
  if (const auto& outbox = status.outbox)
    out.line(fmt::format(
        "outbox: {} waiting{}{}, {} timers, {}", grouped(outbox->waiting),
        outbox->waiting > 0 ? ", the oldest for " + age(outbox->oldest_seconds) : "",
        outbox->failing > 0 ? fmt::format(", {} of them failed before", grouped(outbox->failing)) : "",
        grouped(outbox->timers),
        outbox->relays == 0 ? out.paint("no relay connected", Tone::warn)
                            : counted(outbox->relays, "relay")));
}

// On a terminal the screen is drawn over the one before, without a flicker; into a pipe goes one block after
// the other.
void redraw(const std::string& screen) {
  std::string frame = "\x1b[H";
  for (const char c : screen) {
    if (c == '\n') frame += "\x1b[K";
    frame += c;
  }
  std::cout << frame << "\x1b[J" << std::flush;
}

std::string rendered(const Status& status, const std::vector<RunStatus>& runs, bool color, bool watch) {
  std::ostringstream text;
  Output out(text, false, color);
  if (watch) {
    out.line(
        out.paint(postgres::timestamp_text(SystemClock().now()).substr(0, 19) + "Z, every 2 s, until Ctrl-C",
                  Tone::dim));
  }
  print(out, status, runs);
  for (const std::string& trouble : status.troubles)
    if (watch) out.line(out.paint("trouble: " + trouble, Tone::bad));
  return text.str();
}

// Batches of scores, unless only other workers are asked for; none without PostgreSQL, which is a trouble already.
std::vector<RunStatus> read_runs(const Settings& settings, const Options& options, const ScoreTools& scores, Status& status) {
  std::vector<RunStatus> runs;
  const bool asked = options.workers.empty() ||
                     std::find(options.workers.begin(), options.workers.end(), scores.worker) != options.workers.end();
  if (!asked || !status.outbox) return runs;
  try {
    operator_transactions(settings, scores.worker, "status")([&](Transaction& tx) { runs = scores.runs(tx); });
  } catch (const std::exception& e) {
    status.troubles.push_back(std::string("score runs: ") + e.what());
  }
  return runs;
}

int run_status(const Shell& shell, const Options& options, const ScoreTools& scores) {
  Interrupt interrupt;
  const Settings settings = shell.load_settings().values;
  Output out = shell.output();
  const char* term = std::getenv("TERM");
  const bool screen = options.watch && !out.json() && ::isatty(STDOUT_FILENO) == 1 &&
                      (term == nullptr || std::string_view(term) != "dumb");
  if (screen) std::cout << "\x1b[2J";
  for (;;) {
    Status status = read_status(settings, options.workers);
    const std::vector<RunStatus> runs = read_runs(settings, options, scores, status);
    if (out.json())
      out.document(as_json(status, runs));
    else if (screen)
      redraw(rendered(status, runs, wants_color(STDOUT_FILENO), true));
    else
      std::cout << rendered(status, runs, wants_color(STDOUT_FILENO), options.watch) << (options.watch ? "\n" : "")
                << std::flush;
    if (!screen)
      for (const std::string& trouble : status.troubles)
        std::cerr << "error: " << trouble << ". Do: see `cutover doctor`.\n";
    const int code = status.troubles.empty() ? kFine : kInconclusive;
    if (!options.watch || !interrupt.wait(kWatchInterval)) return code;
  }
}

}  // namespace

void add_status(Shell& shell, const ScoreTools& scores) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(
      shell.app(), "status",
      "Show stage, lag of both sides, what blocks the next step, instances, lanes, dead letters and outbox",
      "cutover status --json", [&shell, options, &scores] { return run_status(shell, *options, scores); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->workers, "Only these workers")->check(CLI::IsMember(names));
  command->add_flag("--watch", options->watch, "A screen to keep open: drawn again every 2 s, until Ctrl-C");
}

}  // namespace cutover::cli
