#include "property/schedule.h"

#include <fmt/format.h>

namespace cutover::test {
namespace {

const std::vector<std::string> kFaults = {"dup", "crash", "lost_ack", "retry", "dead", "replay", "to_owner", "edit", "drop", "flip", "canary", "seize",
                                          "tail", "recreate", "window", "compact", "expire", "stale", "two_instances", "two_lanes", "gap", "unowned"};

using Random = std::mt19937_64;
int roll(Random& random, int sides) { return static_cast<int>(random() % static_cast<unsigned>(sides)); }

struct Choices {
  void add(int weight, Action action) {
    total += weight;
    all.emplace_back(weight, std::move(action));
  }
  Action draw(Random& random) const {
    int left = roll(random, total);
    for (const auto& [weight, action] : all)
      if ((left -= weight) < 0) return action;
    return all.back().second;
  }
  int total = 0;
  std::vector<std::pair<int, Action>> all;
};

// Weighted actions that may be possible now.
Choices choices(World& w, const std::set<std::string>& on, Random& random) {
  Choices out;
  auto is = [&](const char* fault) { return on.contains(fault); };
  if (w.produced() < 4) out.add(3, {.name = "produce", .a = roll(random, w.settings.ordered ? 2 : 3)});
  if (is("dup") && w.produced() > 0) out.add(2, {.name = "duplicate", .a = roll(random, w.produced())});
  for (int r = 0; r < static_cast<int>(w.relays.size()); ++r) {
    out.add(6, {.name = !w.relays[r].row ? "take" : w.relays[r].published ? "mark_published" : "publish", .a = r});
    if (w.relays[r].row && is("crash")) out.add(1, {.name = "relay_crash", .a = r});
  }
  out.add(1, {.name = "relay_check"});
  for (int i = 0; i < static_cast<int>(w.instances.size()); ++i) {
    using Phase = World::Instance::Phase;
    const World::Instance& instance = w.instances[i];
    switch (instance.phase) {
      case Phase::idle:
        for (const char* stream : {"CORE", "REPLAY"})
          for (int lane = 0; lane < w.broker.lanes(stream); ++lane)
            if (!w.broker.deliverable({stream, instance.side, lane}).empty())
              out.add(5, {.name = "fetch", .a = i, .b = stream[0] == 'R', .c = lane, .d = 1 + roll(random, 3)});
        break;
      case Phase::fetched:
        out.add(6, {.name = w.flip_open ? "claim_across_flip" : "claim", .a = i});
        break;
      case Phase::claimed: {
        std::string verdicts;
        const std::string draw = std::string("DDDD") + (is("retry") ? "RR" : "") + (is("dead") ? "XXX" : "");
        for (std::size_t k = 0; k < instance.items.size(); ++k) verdicts.push_back(draw[roll(random, static_cast<int>(draw.size()))]);
        out.add(6, {.name = "handle", .a = i, .text = verdicts});
        break;
      }
      case Phase::handled:
        out.add(6, {.name = "commit", .a = i});
        break;
      case Phase::committed:
        out.add(6, {.name = "acknowledge", .a = i, .b = is("lost_ack") && roll(random, 10) < 4});
        break;
      case Phase::down:
        out.add(2, {.name = "start", .a = i});
        break;
    }
    if (is("crash") && instance.phase != Phase::down && instance.phase != Phase::idle) out.add(1, {.name = "crash", .a = i});
  }
  if (const int pending = w.pending()) out.add(pending, {.name = "redeliver", .a = roll(random, pending)});
  if (w.flip_open) {
    out.add(4, {.name = "flip_commit"});
    out.add(1, {.name = "flip_abort"});
  } else if (is("flip") && w.flips < 4) {
    std::vector<std::pair<std::string, int>> modes{{"worker", 0}, {"worker", 0}, {"worker", 0}, {"monolith", 0}, {"monolith", 0}};
    if (is("canary")) modes.insert(modes.end(), {{"shadow", 0}, {"canary", 50}, {"canary", 80}});
    const auto& [mode, percent] = modes[static_cast<std::size_t>(roll(random, static_cast<int>(modes.size())))];
    const bool seize = is("seize") && roll(random, 10) < 7;
    out.add(2, {.name = "flip", .a = seize ? 0 : percent, .b = seize, .c = is("stale") ? roll(random, 3) : 0, .text = seize ? "monolith" : mode});
  }
  if (const int letters = w.letters_written()) {
    if (is("replay")) out.add(4, {.name = "replay", .a = roll(random, letters), .b = is("edit") && roll(random, 2)});
    if (is("to_owner")) out.add(2, {.name = "hand_over", .a = roll(random, letters)});
    if (is("drop")) out.add(1, {.name = "drop", .a = roll(random, letters)});
    if (is("plan")) {
      if (is("edit")) out.add(1, {.name = "edit", .a = roll(random, letters)});
      out.add(3, {.name = "seal", .a = is("to_owner") && roll(random, 3) == 0});
      if (const int plans = w.sealed()) {
        out.add(2, {.name = "send", .a = roll(random, plans), .b = 1 + roll(random, 3)});
        out.add(1, {.name = "stop", .a = roll(random, plans)});
      }
      out.add(1, {.name = "republish"});
    }
  }
  if (is("tail")) out.add(1, {.name = "lose_tail", .a = 1 + roll(random, 3)});
  if (is("tail") || is("compact") || is("expire")) out.add(1, {.name = "sync"});
  if (is("window")) out.add(1, {.name = "forget_window"});
  if (is("compact")) out.add(1, {.name = "compact", .a = roll(random, 4) > 0});
  if (is("recreate") && w.broker.stream("CORE").incarnation < 3) {
    out.add(1, {.name = "recreate"});
    out.add(2, {.name = "start_incarnation"});
  }
  if (is("expire") && w.produced() > 0) out.add(2, {.name = "expire", .a = roll(random, w.produced())});
  if (is("gap") && w.settings.ordered) out.add(1, {.name = "set_gap", .a = roll(random, 2)}), out.add(1, {.name = "report_floors"});
  out.add(2, {.name = "other_worker"});
  return out;
}

}  // namespace

std::string in_words(const Action& x) { return fmt::format("{} {} {} {} {} {}", x.name, x.a, x.b, x.c, x.d, x.text); }

Plan plan_of(std::uint64_t seed, const std::set<std::string>& focus) {
  Random random(seed * 2654435761u + 17);
  Plan plan;
  for (const std::string& fault : kFaults)
    if (roll(random, 100) < (focus.empty() ? 45 : 10)) plan.on.insert(fault);
  plan.on.insert("flip");
  plan.on.insert(focus.begin(), focus.end());
  plan.world.ordered = focus.contains("ordered") || roll(random, 10) < 4;
  plan.world.lanes = plan.on.contains("two_lanes") ? 2 : 1;
  plan.world.instances = plan.on.contains("two_instances") ? 2 : 1;
  plan.world.segments = !plan.on.contains("unowned");
  plan.steps = focus.empty() ? 20 + roll(random, 100) : 80 + roll(random, 80);
  if (roll(random, 100) < (focus.empty() ? 45 : 10)) plan.on.insert("plan");
  return plan;
}

bool apply(World& w, const Action& x) {
  if (x.name == "produce") return w.produce(x.a);
  if (x.name == "duplicate") return w.duplicate(x.a);
  if (x.name == "take") return w.take(x.a);
  if (x.name == "publish") return w.publish(x.a);
  if (x.name == "mark_published") return w.mark_published(x.a);
  if (x.name == "relay_crash") return w.relay_crash(x.a);
  if (x.name == "relay_check") return w.relay_check();
  if (x.name == "fetch") return w.fetch(x.a, x.b, x.c, x.d);
  if (x.name == "claim") return w.claim(x.a);
  if (x.name == "claim_across_flip") return w.claim_across_flip(x.a);
  if (x.name == "handle") return w.handle(x.a, x.text);
  if (x.name == "commit") return w.commit(x.a);
  if (x.name == "acknowledge") return w.acknowledge(x.a, x.b);
  if (x.name == "crash") return w.crash(x.a);
  if (x.name == "start") return w.start(x.a);
  if (x.name == "redeliver") return w.redeliver(x.a);
  if (x.name == "sync") return w.sync();
  if (x.name == "lose_tail") return w.lose_tail(x.a);
  if (x.name == "recreate") return w.recreate();
  if (x.name == "forget_window") return w.forget_window();
  if (x.name == "flip") return w.flip(x.text, x.a, x.b, x.c);
  if (x.name == "flip_commit") return w.flip_commit();
  if (x.name == "flip_abort") return w.flip_abort();
  if (x.name == "start_incarnation") return w.start_incarnation();
  if (x.name == "replay") return w.replay(x.a, x.b);
  if (x.name == "hand_over") return w.hand_over(x.a);
  if (x.name == "drop") return w.drop(x.a);
  if (x.name == "edit") return w.edit(x.a);
  if (x.name == "seal") return w.seal(x.a);
  if (x.name == "send") return w.send(x.a, x.b);
  if (x.name == "stop") return w.stop(x.a);
  if (x.name == "republish") return w.republish();
  if (x.name == "compact") return w.compact(x.a);
  if (x.name == "expire") return w.expire(x.a);
  if (x.name == "report_floors") return w.report_floors();
  if (x.name == "set_gap") return w.set_gap(x.a);
  if (x.name == "other_worker") return w.other_worker();
  throw std::logic_error("no action " + x.name);
}

std::optional<Failure> run_random(const TestDatabase& database, const std::string& name, std::uint64_t seed, const std::set<std::string>& focus) {
  const Plan plan = plan_of(seed, focus);
  Random random(seed);
  World world(database, name, plan.world);
  std::vector<Action> schedule;
  try {
    for (int step = 0; step < plan.steps; ++step) {
      schedule.push_back(choices(world, plan.on, random).draw(random));
      if (!apply(world, schedule.back())) schedule.pop_back();
    }
    world.quiesce();
  } catch (const Violation& violation) {
    return Failure{violation, schedule};
  }
  return {};
}

std::optional<Failure> run_schedule(const TestDatabase& database, const std::string& name, const WorldSettings& settings,
                                    const std::vector<Action>& schedule) {
  World world(database, name, settings);
  try {
    for (const Action& action : schedule) apply(world, action);
    world.quiesce();
  } catch (const Violation& violation) {
    return Failure{violation, schedule};
  }
  return {};
}

Failure shrink(const TestDatabase& database, const std::string& name, const WorldSettings& settings, Failure failure) {
  int tries = 0;
  for (std::size_t size = std::max<std::size_t>(failure.schedule.size() / 2, 1); size > 0; size /= 2)
    for (std::size_t at = 0; at < failure.schedule.size();) {
      std::vector<Action> shorter = failure.schedule;
      const auto begin = shorter.begin() + static_cast<std::ptrdiff_t>(at);
      shorter.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(size, shorter.size() - at)));
      auto got = run_schedule(database, name + "-" + std::to_string(++tries), settings, shorter);
      if (got && got->violation.name == failure.violation.name)
        failure = std::move(*got);
      else
        at += size;
    }
  return failure;
}

}  // namespace cutover::test
