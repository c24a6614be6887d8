#include "runtime/observe/health.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

namespace cutover {

struct Heartbeat::Loop {
  std::string name;
  std::chrono::milliseconds limit;
  std::chrono::steady_clock::time_point beaten_at;
};

namespace {

double seconds(std::chrono::steady_clock::duration span) {
  return std::chrono::duration<double>(span).count();
}

Health::Report report_of(std::vector<Health::Line> lines) {
  const bool ok = std::all_of(lines.begin(), lines.end(), [](const Health::Line& line) { return line.ok; });
  return {ok, std::move(lines)};
}

}  // namespace

Heartbeat::Heartbeat(Heartbeat&& other) noexcept
    : health_(std::exchange(other.health_, nullptr)), loop_(other.loop_) {}

Heartbeat::~Heartbeat() {
  if (health_ == nullptr) return;
  const std::lock_guard lock(health_->mutex_);
  health_->loops_.erase(loop_);
}

void Heartbeat::beat() {
  const auto now = health_->clock_.monotonic();
  const std::lock_guard lock(health_->mutex_);
  loop_->beaten_at = now;
}

Health::Health(const Clock& clock) : clock_(clock) {}
Health::~Health() = default;

Heartbeat Health::add_loop(std::string name, std::chrono::milliseconds limit) {
  const auto now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  loops_.push_back({std::move(name), limit, now});
  return Heartbeat(*this, std::prev(loops_.end()));
}

void Health::add_check(std::string name, std::chrono::milliseconds valid_for) {
  const std::lock_guard lock(mutex_);
  checks_.push_back({std::move(name), valid_for, std::nullopt, false, {}});
}

void Health::set_check(const std::string& name, bool ok, std::string text) {
  const auto now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  const auto check =
      std::find_if(checks_.begin(), checks_.end(), [&](const Check& c) { return c.name == name; });
  if (check == checks_.end()) throw std::out_of_range("no readiness check is called " + name);
  check->at = now;
  check->ok = ok;
  check->text = std::move(text);
}

void Health::set_draining() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

Health::Report Health::live() const {
  const auto now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  std::vector<Line> lines;
  for (const Heartbeat::Loop& loop : loops_) {
    const auto silent = now - loop.beaten_at;
    const bool ok = silent <= loop.limit;
    lines.push_back({loop.name, ok,
                     ok ? ""
                        : fmt::format("no progress for {:.1f} s, the limit is {:.1f} s", seconds(silent),
                                      seconds(loop.limit))});
  }
  return report_of(std::move(lines));
}

Health::Report Health::ready() const {
  const auto now = clock_.monotonic();
  const std::lock_guard lock(mutex_);
  std::vector<Line> lines;
  if (draining_) lines.push_back({"draining", false, "the process is shutting down"});
  for (const Check& check : checks_) {
    if (!check.at)
      lines.push_back({check.name, false, "not checked yet"});
    else if (now - *check.at > check.valid_for)
      lines.push_back({check.name, false,
                       fmt::format("last checked {:.1f} s ago ({}): the prober is stuck",
                                   seconds(now - *check.at), check.ok ? "ok then" : check.text)});
    else
      lines.push_back({check.name, check.ok, check.text});
  }
  return report_of(std::move(lines));
}

}  // namespace cutover
