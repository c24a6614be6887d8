#include "runtime/policy/guards.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace cutover {
namespace {

using std::chrono::seconds;

constexpr std::array<std::string_view, 14> kNames = {
    "order_of_stages", "order_of_workers", "stable_72h", "worker_alive", "parity", "lag",
    "dead_letters",    "outbox",           "topology",   "schema",       "gate",   "vectors",
    "incarnation",     "unsettled"};

std::string span_text(seconds span) {
  if (span < seconds(120)) return fmt::format("{} s", span.count());
  if (span < std::chrono::hours(2)) return fmt::format("{} min", span.count() / 60);
  return fmt::format("{} h", span.count() / 3'600);
}

Guard passed(std::string_view name, std::string text) {
  return {std::string(name), true, is_forceable(name), false, std::move(text), ""};
}

Guard failed(std::string_view name, std::string text, std::string what_to_do) {
  return {std::string(name), false, is_forceable(name), false, std::move(text), std::move(what_to_do)};
}

Guard order_of_stages(Step step, const GuardFacts& f) {
  constexpr std::string_view kName = "order_of_stages";
  const Stage now = f.standing.stage;
  const std::string text = fmt::format("{} is at stage {}", f.worker, to_text(f.standing));
  if (now == Stage::complete)
    return failed(kName, text + ": its monolith may be gone",
                  "Make sure that the monolith still runs and has its gate, before forcing this.");
  switch (step) {
    case Step::reverse:
      return passed(kName, text);
    case Step::shadow_start:
      if (now == Stage::monolith || now == Stage::shadow) return passed(kName, text);
      return failed(kName, text + ": past shadow", fmt::format("cutover reverse {} first.", f.worker));
    case Step::shadow_stop:
      if (now == Stage::monolith || now == Stage::shadow) return passed(kName, text);
      return failed(kName, text + ", not shadow",
                    fmt::format("cutover reverse {} hands back what it owns.", f.worker));
    case Step::canary:
      if (now == Stage::shadow || now == Stage::canary) return passed(kName, text);
      return now == Stage::monolith
                 ? failed(kName, text + ", shadow comes first",
                          fmt::format("cutover shadow {} start", f.worker))
                 : failed(kName, text + ": past canary", fmt::format("cutover reverse {} first.", f.worker));
    case Step::switch_over:
      if (now == Stage::canary || now == Stage::worker) return passed(kName, text);
      return now == Stage::monolith ? failed(kName, text + ", shadow comes first",
                                             fmt::format("cutover shadow {} start", f.worker))
                                    : failed(kName, text + ", canary comes first",
                                             fmt::format("cutover canary {} --percent 10", f.worker));
    case Step::complete:
      break;
  }
  if (now == Stage::worker) return passed(kName, text);
  return failed(kName, text + ", not at 100 %", fmt::format("cutover switch {} first.", f.worker));
}

// The worker that must be through before this one; nothing for the first of the order and for those not on
// it.
std::optional<std::string> predecessor(const GuardFacts& f, const GuardLimits& limits) {
  const auto found = std::find(limits.order.begin(), limits.order.end(), f.worker);
  if (found == limits.order.end() || found == limits.order.begin()) return std::nullopt;
  return *std::prev(found);
}

Standing standing_of(const GuardFacts& f, const std::string& worker) {
  for (const auto& [name, standing] : f.others)
    if (name == worker) return standing;
  return {};
}

bool at_full(const Standing& standing) {
  return standing.stage == Stage::worker || standing.stage == Stage::complete;
}

Guard order_of_workers(const GuardFacts& f, const GuardLimits& limits) {
  constexpr std::string_view kName = "order_of_workers";
  const auto before = predecessor(f, limits);
  if (!before) return passed(kName, "no worker comes before " + f.worker);
  const Standing standing = standing_of(f, *before);
  const std::string text = fmt::format("{} comes before it, and is at stage {}", *before, to_text(standing));
  if (at_full(standing)) return passed(kName, text);
  return failed(kName, text,
                fmt::format("Switch {} first, or name the order that holds here: ownership.order.", *before));
}

Guard stable(std::string_view whose, const Standing& standing, const GuardFacts& f,
             const GuardLimits& limits) {
  constexpr std::string_view kName = "stable_72h";
  if (standing.stage == Stage::complete) return passed(kName, fmt::format("{} is complete", whose));
  const seconds age =
      standing.since ? std::chrono::duration_cast<seconds>(f.now - *standing.since) : limits.stable;
  const std::string text = fmt::format("{} has been at 100 % for {}", whose, span_text(age));
  if (age >= limits.stable) return passed(kName, text);
  return failed(kName, fmt::format("{} of {}", text, span_text(limits.stable)),
                fmt::format("Wait another {}.", span_text(limits.stable - age)));
}

// One fault is one guard's: a predecessor that is not at 100 % is for order_of_workers to say.
Guard predecessor_stable(const GuardFacts& f, const GuardLimits& limits) {
  const auto before = predecessor(f, limits);
  if (!before) return passed("stable_72h", "there is nobody to wait for");
  const Standing standing = standing_of(f, *before);
  if (!at_full(standing)) return passed("stable_72h", *before + " is not at 100 %: see order_of_workers");
  return stable(*before, standing, f, limits);
}

Guard own_stable(const GuardFacts& f, const GuardLimits& limits) {
  if (!at_full(f.standing))
    return failed("stable_72h", f.worker + " is not at 100 %",
                  fmt::format("cutover switch {} first.", f.worker));
  return stable(f.worker, f.standing, f, limits);
}

Guard worker_alive(const GuardFacts& f) {
  constexpr std::string_view kName = "worker_alive";
  std::string others;
  for (const InstanceFact& i : f.instances) {
    if (i.alive && i.ready && i.build == f.build)
      return passed(kName, fmt::format("{} is ready, build {}", i.instance, i.build));
    others += fmt::format("{}{} {}", others.empty() ? "" : ", ", i.instance,
                          !i.alive   ? "is gone"
                          : !i.ready ? "is not ready"
                                     : "is of build " + i.build);
  }
  return failed(kName, others.empty() ? "no instance runs" : others,
                fmt::format("Run build {}: cutover run {}; /readyz says what it lacks.", f.build, f.worker));
}

Guard parity(const GuardFacts& f, const GuardLimits& limits) {
  constexpr std::string_view kName = "parity";
  if (!f.parity) return failed(kName, "there is no verdict", fmt::format("cutover compare {}", f.worker));
  const ParityFact& p = *f.parity;
  const std::string text = fmt::format("{}, {} old, over {} samples", p.verdict, span_text(p.age), p.samples);
  const std::string again = fmt::format("cutover compare {}", f.worker);
  if (p.verdict == "inconclusive") return failed(kName, text, again + "; its report says what it lacked.");
  if (p.verdict != "ok") return failed(kName, text, "Find out why the two sides differ: see the report of `" + again + "`.");
  if (p.age >= limits.parity_age_max)
    return failed(kName, fmt::format("{}: older than {}", text, span_text(limits.parity_age_max)), again);
  if (p.samples < limits.parity_samples_min)
    return failed(kName, fmt::format("{} of {}", text, limits.parity_samples_min), again);
  if (p.build != f.build)
    return failed(kName, fmt::format("{}, for build {} and not {}", text, p.build, f.build), again);
  if (p.schema_version != f.schema_version)
    return failed(
        kName, fmt::format("{}, for schema version {} and not {}", text, p.schema_version, f.schema_version),
        again);
  return passed(kName, text);
}

Guard lag(const GuardFacts& f, const GuardLimits& limits) {
  constexpr std::string_view kName = "lag";
  if (!f.drain_seconds)
    return failed(kName, "the broker does not say how much waits", "See `cutover doctor`.");
  const std::string text = fmt::format("{} events wait, {:.1f} s to drain", f.pending, *f.drain_seconds);
  if (*f.drain_seconds * 1'000 <= static_cast<double>(limits.drain_max.count())) return passed(kName, text);
  return failed(kName, fmt::format("{}, at most {} s are allowed", text, limits.drain_max.count() / 1'000),
                "Wait until the worker has caught up, or raise its concurrency.");
}

Guard dead_letters(const GuardFacts& f) {
  if (f.dead_letters == 0) return passed("dead_letters", "none is open");
  return failed("dead_letters", fmt::format("{} open", f.dead_letters),
                "Replay or drop them: what one side gave up on must not become the other's surprise.");
}

Guard outbox(const GuardFacts& f, const GuardLimits& limits) {
  const std::string text =
      fmt::format("{} rows wait, the oldest for {}", f.outbox_waiting, span_text(f.outbox_oldest));
  if (f.outbox_waiting <= limits.outbox_waiting_max) return passed("outbox", text);
  return failed("outbox", fmt::format("{}; {} are allowed", text, limits.outbox_waiting_max),
                "See that a relay runs: cutover relay.");
}

Guard topology(const GuardFacts& f) {
  if (!f.topology_difference)
    return failed("topology", "the broker does not answer", "See `cutover doctor`.");
  if (f.topology_difference->empty()) return passed("topology", "as the files want it");
  return failed("topology", *f.topology_difference,
                "See `cutover streams plan`, then run `cutover streams apply`.");
}

Guard schema(const GuardFacts& f) {
  const std::string text = fmt::format("version {}, this build needs {}", f.schema_version, f.schema_needed);
  if (f.schema_version >= f.schema_needed) return passed("schema", text);
  return failed("schema", text, "Deploy the migrations of this release: scripts/migrate.");
}

bool recent(const InstanceFact& gate, const GuardLimits& limits) {
  return gate.seen_ago <= limits.gate_age_max;
}

Guard gate(const GuardFacts& f, const GuardLimits& limits) {
  std::optional<seconds> last;
  for (const InstanceFact& g : f.gates) last = std::min(last.value_or(g.seen_ago), g.seen_ago);
  const std::string deploy =
      "Deploy the gate in the monolith: without it the monolith asks nobody whose an event is.";
  if (!last) return failed("gate", "the monolith's gate was never seen", deploy);
  const std::string text = fmt::format("seen {} ago", span_text(*last));
  if (*last <= limits.gate_age_max) return passed("gate", text);
  return failed("gate", fmt::format("{}, {} are allowed", text, span_text(limits.gate_age_max)), deploy);
}

Guard vectors(const GuardFacts& f, const GuardLimits& limits) {
  std::size_t checked = 0;
  for (const InstanceFact& g : f.gates) {
    if (!recent(g, limits)) continue;
    if (g.vectors != f.vectors)
      return failed(
          "vectors",
          fmt::format("{} has {}, this program {}", g.instance,
                      g.vectors.empty() ? "none" : g.vectors.substr(0, 12), f.vectors.substr(0, 12)),
          "Bring gate and program to one release: they do not agree on whose a key is.");
    ++checked;
  }
  if (checked == 0) return failed("vectors", "there is no gate to compare with", "See guard gate.");
  return passed("vectors", fmt::format("equal in {} gate{}", checked, checked == 1 ? "" : "s"));
}

Guard incarnation(const GuardFacts& f) {
  std::string missing, recreated;
  for (const StreamFact& s : f.streams) {
    if (s.life == StreamFact::Life::missing) missing += (missing.empty() ? "" : ", ") + s.stream;
    if (s.life == StreamFact::Life::recreated) recreated += (recreated.empty() ? "" : ", ") + s.stream;
  }
  if (!recreated.empty())
    return failed("incarnation", "deleted and created anew: " + recreated,
                  fmt::format("cutover incarnation start {}", recreated.substr(0, recreated.find(','))));
  if (!missing.empty()) return failed("incarnation", "not there: " + missing, "cutover streams apply");
  if (f.streams.empty()) return failed("incarnation", "the broker does not answer", "See `cutover doctor`.");
  return passed("incarnation", "every stream is the one that the ledger knows");
}

Guard unsettled(const GuardFacts& f) {
  if (!f.monolith_unsettled) return failed("unsettled", "not known", "See `cutover doctor`.");
  if (*f.monolith_unsettled == 0) return passed("unsettled", "the monolith has settled all that it owns");
  return failed("unsettled",
                fmt::format("the monolith owns {} events and has not settled them", *f.monolith_unsettled),
                "Let the monolith drain, or find out why it does not.");
}

}  // namespace

std::vector<Guard> guards_of(Step step, const GuardFacts& f, const GuardLimits& limits) {
  switch (step) {
    case Step::reverse:
      return {order_of_stages(step, f)};
    case Step::shadow_start:
      return {order_of_stages(step, f), topology(f), schema(f), incarnation(f)};
    case Step::shadow_stop:
      return {order_of_stages(step, f), incarnation(f)};
    case Step::complete:
      return {order_of_stages(step, f), own_stable(f, limits), unsettled(f), schema(f), incarnation(f)};
    case Step::canary:
    case Step::switch_over:
      break;
  }
  return {order_of_stages(step, f),
          order_of_workers(f, limits),
          predecessor_stable(f, limits),
          worker_alive(f),
          parity(f, limits),
          lag(f, limits),
          dead_letters(f),
          outbox(f, limits),
          topology(f),
          schema(f),
          gate(f, limits),
          vectors(f, limits),
          incarnation(f)};
}

std::span<const std::string_view> guard_names() noexcept {
  return kNames;
}

bool is_forceable(std::string_view guard) noexcept {
  return guard != "gate" && guard != "vectors" && guard != "incarnation";
}

std::vector<std::string> force(std::vector<Guard>& guards, std::span<const std::string> names) {
  std::vector<std::string> used;
  for (Guard& guard : guards) {
    if (guard.passed || !guard.forceable) continue;
    if (std::find(names.begin(), names.end(), guard.name) == names.end()) continue;
    guard.forced = true;
    used.push_back(guard.name);
  }
  return used;
}

}  // namespace cutover
