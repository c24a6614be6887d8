#include <iostream>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "runtime/cli/audit_effects.h"
#include "runtime/cli/audit_stream.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/progress_bar.h"

namespace cutover::cli {
namespace {

constexpr std::size_t kNamed = 20;  // lines of each list on a terminal

struct Options {
  std::string worker;
  std::uint64_t from = 1;
  bool redrive = false;
  std::string reason = "missing from their stream";
};

struct Audit {
  std::vector<StreamAudit> streams;
  std::optional<EffectsAudit> effects;
  std::vector<std::string> troubles;

  std::uint64_t stranded() const {
    std::uint64_t count = 0;
    for (const StreamAudit& stream : streams) count += stream.counts[AuditClass::stranded];
    return count;
  }
  bool missing() const { return effects && !effects->missing.empty(); }
};

std::set<std::string> streams_of(const WorkerSpec& worker) {
  std::set<std::string> names;
  for (const LaneSpec& lane : worker.lanes) names.insert(lane.stream);
  return names;
}

const char* side_text(Side side) {
  return side == Side::worker ? "worker" : "monolith";
}

Json as_json(const StreamAudit& audit) {
  Json counts = Json::object();
  for (std::size_t c = 0; c < kAuditClasses; ++c)
    counts[std::string(to_text(static_cast<AuditClass>(c)))] = audit.counts[static_cast<AuditClass>(c)];
  Json stranded = Json::array();
  for (const StrandedEvent& event : audit.stranded)
    stranded.push_back({{"stream", event.stream},
                        {"sequence", event.sequence},
                        {"subject", event.subject},
                        {"message_id", event.message_id},
                        {"lane", event.lane},
                        {"owner", side_text(event.owner)},
                        {"epoch", event.epoch}});
  return {{"stream", audit.stream},    {"incarnation", audit.incarnation},
          {"from", audit.range.begin}, {"to", audit.range.end - 1},
          {"counts", counts},          {"unknown_consumer", audit.unknown},
          {"stranded", stranded}};
}

Json as_json(const EffectsAudit& effects) {
  Json missing = Json::array();
  for (const postgres::PublishedEvent& event : effects.missing)
    missing.push_back({{"outbox_id", event.outbox_id},
                       {"message_id", event.message_id},
                       {"subject", event.subject},
                       {"stream", event.stream},
                       {"sequence", event.sequence},
                       {"published_at", event.published_at}});
  return {{"published", effects.published},
          {"missing", missing},
          {"redriven", effects.redriven},
          {"waiting", effects.waiting.count},
          {"waiting_oldest_seconds", effects.waiting.oldest_seconds},
          {"waiting_error", effects.waiting.error}};
}

Json as_json(const Audit& audit, const std::string& worker) {
  Json document = {{"worker", worker}, {"stranded", audit.stranded()}, {"streams", Json::array()}};
  for (const StreamAudit& stream : audit.streams) document["streams"].push_back(as_json(stream));
  document["effects"] = audit.effects ? as_json(*audit.effects) : Json(nullptr);
  document["troubles"] = audit.troubles;
  return document;
}

std::string words(std::string_view name) {
  std::string text(name);
  for (char& c : text)
    if (c == '_') c = ' ';
  return text;
}

void print_streams(Output& out, const Audit& audit) {
  std::vector<std::vector<Cell>> rows;
  for (const StreamAudit& stream : audit.streams) {
    for (std::size_t i = 0; i < kAuditClasses; ++i) {
      const auto c = static_cast<AuditClass>(i);
      const std::uint64_t count = stream.counts[c];
      if (c != AuditClass::stranded) {
        if (count > 0) rows.push_back({stream.stream, words(to_text(c)), grouped(count)});
        continue;
      }
      rows.push_back({stream.stream, Cell("stranded", count > 0 ? Tone::bad : Tone::good),
                      Cell(grouped(count), count > 0 ? Tone::bad : Tone::good)});
    }
  }
  out.table({"stream", "class", "sequences"}, rows);
}

// "... and 5 more; --json has all"
void print_rest(Output& out, std::size_t all) {
  if (all > kNamed) out.line(fmt::format("  ... and {} more; --json has them all", grouped(all - kNamed)));
}

void print_stranded(Output& out, const Audit& audit) {
  std::vector<const StrandedEvent*> events;
  for (const StreamAudit& stream : audit.streams)
    for (const StrandedEvent& event : stream.stranded) events.push_back(&event);
  if (events.empty()) return;
  out.line(out.paint(
      fmt::format("{} acknowledged by the owner, and in nobody's ledger:", counted(events.size(), "event")),
      Tone::bad));
  std::vector<std::vector<Cell>> rows;
  for (const StrandedEvent* event : events) {
    if (rows.size() == kNamed) break;
    rows.push_back({fmt::format("  {}/{}", event->stream, event->sequence), event->subject, event->lane,
                    event->epoch > 0 ? fmt::format("{}, epoch {}", side_text(event->owner), event->epoch)
                                     : side_text(event->owner),
                    event->message_id});
  }
  out.table({"  place", "subject", "lane", "owner", "message id"}, rows);
  print_rest(out, events.size());
  out.line(
      "Do: `cutover explain` tells what is known of each; keep the broker's and the worker's logs of that "
      "time.");
}

void print_effects(Output& out, const EffectsAudit& effects) {
  out.line(fmt::format(
      "outgoing events: {} published within outbox.keep, {} missing from their stream",
      grouped(effects.published),
      out.paint(grouped(effects.missing.size()), effects.missing.empty() ? Tone::good : Tone::bad)));
  std::vector<std::vector<Cell>> rows;
  for (const postgres::PublishedEvent& event : effects.missing) {
    if (rows.size() == kNamed) break;
    rows.push_back({fmt::format("  {}/{}", event.stream, event.sequence), event.subject, event.published_at,
                    event.message_id});
  }
  if (!rows.empty()) {
    out.table({"  place", "subject", "published", "message id"}, rows);
    print_rest(out, effects.missing.size());
    out.line(effects.redriven > 0
                 ? fmt::format("{} set back to waiting: the relay publishes them again.",
                               counted(effects.redriven, "event"))
                 : "Do: `cutover audit --redrive` publishes them again, under the same message ids.");
  }
  if (effects.waiting.count > 0)
    out.line(out.paint(
        fmt::format("{} waiting for more than a minute, the oldest for {:.0f} s{}",
                    counted(effects.waiting.count, "outgoing event"), effects.waiting.oldest_seconds,
                    effects.waiting.error.empty() ? "; does a relay run?" : ": " + effects.waiting.error),
        Tone::warn));
}

Audit run_audit(const Settings& settings, const Options& options) {
  const WorkerSpec& worker = settings.worker(options.worker);
  Audit audit;
  ProgressBar bar;
  const AuditProgress progress = [&](std::string_view what, std::uint64_t done, std::uint64_t expected) {
    bar.show(what, static_cast<std::int64_t>(done), static_cast<std::int64_t>(expected));
  };
  postgres::Session session(settings.postgres.url, settings.postgres.password, "cutover audit");
  postgres::AuditLedger ledger(session, worker.name);
  postgres::AuditOutbox outbox(session, worker.name);
  std::optional<JetStream> jetstream;
  try {
    jetstream.emplace(settings);
  } catch (const BrokerError& error) {
    audit.troubles.emplace_back(error.what());
  }
  for (const std::string& stream : streams_of(worker)) try {
      audit.streams.push_back(
          jetstream ? audit_stream(worker, stream, {options.from, kToTheEnd}, ledger, *jetstream, progress)
                    : audit_ledger_only(stream, options.from, ledger, progress));
      const StreamAudit& done = audit.streams.back();
      if (!done.trouble.empty()) audit.troubles.push_back(done.trouble);
      if (done.unknown > 0)
        audit.troubles.push_back(
            fmt::format("stream {}: {} of the monolith's unsettled, and nobody knows its consumer: its gate "
                        "names stream and "
                        "durable of each lane in the heartbeat",
                        stream, counted(done.unknown, "event")));
    } catch (const BrokerError& error) {
      audit.troubles.emplace_back(error.what());
    }
  if (jetstream) try {
      audit.effects = audit_effects(
          outbox, *jetstream,
          options.redrive ? std::optional(Redrive{operator_name(), options.reason}) : std::nullopt, progress);
    } catch (const BrokerError& error) {
      audit.troubles.emplace_back(error.what());
    }
  return audit;
}

int audit_command(const Shell& shell, const Options& options) {
  const Settings settings = shell.load_settings().values;
  const Audit audit = run_audit(settings, options);
  Output out = shell.output();
  if (out.json()) {
    out.document(as_json(audit, options.worker));
  } else {
    print_streams(out, audit);
    print_stranded(out, audit);
    if (audit.effects) print_effects(out, *audit.effects);
  }
  for (const std::string& trouble : audit.troubles)
    std::cerr << "error: " << trouble << ". Do: see `cutover doctor`, and audit again.\n";
  if (audit.stranded() > 0 || audit.missing()) return kDifferent;
  return audit.troubles.empty() ? kFine : kInconclusive;
}

}  // namespace

void add_audit(Shell& shell) {
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(
      shell.app(), "audit",
      "Prove that no event of a worker was lost; exit 1 when one is stranded or an effect is missing",
      "cutover audit search-projector --from-seq 1000",
      [&shell, options] { return audit_command(shell, *options); });
  std::vector<std::string> names;
  for (const WorkerSpec& worker : shell.workers()) names.push_back(worker.name);
  command->add_option("worker", options->worker, "Its name")->required()->check(CLI::IsMember(names));
  command
      ->add_option("--from-seq", options->from,
                   "Begin at this sequence of each stream, such as where the monolith's gate was deployed")
      ->type_name("N")
      ->check(CLI::Range(std::uint64_t{1}, kToTheEnd));
  command->add_flag(
      "--redrive", options->redrive,
      "Publish outgoing events again that are missing from their stream; goes into the operators' log");
  command->add_option("--reason", options->reason, "Why, for the operators' log")->type_name("TEXT");
}

}  // namespace cutover::cli
