#include "runtime/host/watch.h"

#include <set>

#include "runtime/host/vital_signs.h"
#include "runtime/nats/stream_admin.h"

namespace cutover {
namespace {

constexpr int kLooksToReverse = 3;
constexpr std::chrono::seconds kBrokerLimit{2};

}  // namespace

Watch::Watch(const Settings& settings, const WorkerSpec& worker, postgres::Connection& database,
             Connection& broker, std::string actor)
    : settings_(settings), worker_(worker), database_(database), broker_(broker), actor_(std::move(actor)) {}

Watch::Look Watch::look(const postgres::Pause& pause) {
  if (!database_.connected()) database_.connect();
  Look look;
  look.standing = postgres::read_standings(database_)[worker_.name];
  const Stage stage = look.standing.stage;
  look.watching = (stage == Stage::canary || stage == Stage::worker) && look.standing.since &&
                  SystemClock().now() - *look.standing.since < settings_.ownership.stable;
  if (!look.watching) {
    over_in_a_row_ = 0;
    return look;
  }
  StreamAdmin admin(broker_, kBrokerLimit);
  look.findings =
      judge(read_vital_signs(database_, broker_.connected() ? &admin : nullptr, worker_, look.standing), {});
  look.over = over_limit(look.findings);
  over_in_a_row_ = look.over.empty() ? 0 : over_in_a_row_ + 1;
  if (over_in_a_row_ < kLooksToReverse || !settings_.ownership.auto_reverse) return look;

  std::set<std::string> streams;
  for (const LaneSpec& lane : worker_.lanes) streams.insert(lane.stream);
  Handover back;
  back.worker = worker_.name;
  back.streams = {streams.begin(), streams.end()};
  back.mode = Mode::monolith;
  back.log.actor = actor_;
  back.log.command = "reverse";
  back.log.reason = "the watch found: " + look.over;
  hand_over(database_, broker_, back, pause);
  over_in_a_row_ = 0;
  look.reversed = true;
  return look;
}

std::string reverse_command(const std::string& worker, const std::string& why) {
  return "cutover reverse " + worker + " --reason \"" + why + "\"";
}

}  // namespace cutover
