#include "runtime/cli/status_query.h"

#include <iostream>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "runtime/cli/commands.h"

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
          {"retrying", worker.retrying}};
}

Json as_json(const Status& status) {
  Json document = {{"workers", Json::array()}};
  for (const WorkerStatus& worker : status.workers) document["workers"].push_back(as_json(worker));
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

void print(Output& out, const Status& status) {
  for (const WorkerStatus& worker : status.workers) {
    out.line(out.paint(worker.worker, Tone::good));
    if (status.outbox) print_instances(out, worker);
    print_lanes(out, worker);
    if (status.outbox) {
      out.line("  settled within the hour: " + listed(worker.settled_last_hour));
      out.line(fmt::format(
          "  retrying: {}; dead letters: {}", grouped(worker.retrying),
          worker.dead_letters.empty() ? "none" : out.paint(listed(worker.dead_letters), Tone::bad)));
    }
  }
  if (const auto& outbox = status.outbox)
    out.line(fmt::format(
        "outbox: {} waiting{}{}, {} timers, {}", grouped(outbox->waiting),
        outbox->waiting > 0 ? ", the oldest for " + age(outbox->oldest_seconds) : "",
        outbox->failing > 0 ? fmt::format(", {} of them failed before", grouped(outbox->failing)) : "",
        grouped(outbox->timers),
        outbox->relays == 0 ? out.paint("no relay connected", Tone::warn)
                            : counted(outbox->relays, "relay")));
}

int run_status(const Shell& shell, const Options& options) {
  const Settings settings = shell.load_settings().values;
  Output out = shell.output();
  for (;;) {
    const Status status = read_status(settings, options.workers);
    if (options.watch && !out.json()) out.line("\x1b[2J\x1b[H");
    if (out.json())
      out.document(as_json(status));
    else
      print(out, status);
    for (const std::string& trouble : status.troubles)
      std::cerr << "error: " << trouble << ". Do: see `cutover doctor`.\n";
    if (!options.watch) return status.troubles.empty() ? kFine : kInconclusive;
    std::this_thread::sleep_for(kWatchInterval);  // ends with Ctrl-C
  }
}

}  // namespace

void add_status(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command =
      shell.add(shell.app(), "status", "Show instances, lanes, ledger, dead letters and outbox",
                "cutover status --json", [&shell, options] { return run_status(shell, *options); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->workers, "Only these workers")->check(CLI::IsMember(names));
  command->add_flag("--watch", options->watch, "Show it again every 2 s, until Ctrl-C");
}

}  // namespace cutover::cli
