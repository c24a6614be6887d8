#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "workers/score/domain/scoring.h"

namespace cutover::test {

// One contact as a test tells it. Ages are days before t.
struct Tie {
  std::int64_t owner = 0;
  std::int64_t target = 0;
  double confidence = 0.9;
  double first_age = 400;
  double evidence_age = 0;
  bool probable = false;
  bool in_circle = false;
};

struct OwnChannel {
  score::ChannelKind kind = score::ChannelKind::phone;
  double age = 400;
};

struct Incident {
  score::IncidentKind kind = score::IncidentKind::abuse_flag;
  score::Band band = score::Band::soft;
  double age = 10;
  std::optional<double> cleared_age;
};

// A little network in memory. Principals are made by naming them.
class ScoreWorld {
 public:
  static constexpr score::Micros kT = 800'000'000'000'000;

  void principal(std::int64_t id) { people_[id]; }
  void tie(const Tie& tie);
  void both_ways(Tie tie);
  void channel(std::int64_t id, OwnChannel channel) { people_[id].channels.push_back(channel); }
  void incident(std::int64_t id, Incident incident) { people_[id].incidents.push_back(incident); }
  void lost(std::int64_t id, std::uint32_t count) { people_[id].lost = count; }

  // The result of every principal, by id.
  std::map<std::int64_t, score::Result> compute(std::size_t threads = 2) const;
  score::Result of(std::int64_t id) const { return compute().at(id); }
  // The same by a plain reading of the formula: no packing, no compressed rows, every pair looked at.
  std::map<std::int64_t, score::Result> plainly() const;

  score::Weights weights;

 private:
  struct Person {
    std::vector<OwnChannel> channels;
    std::vector<Incident> incidents;
    std::uint32_t lost = 0;
  };
  score::Standing standing(const Person& person) const;

  std::map<std::int64_t, Person> people_;
  std::vector<Tie> ties_;
};

// A point in time so many days before t.
score::Micros days_ago(double days);

}  // namespace cutover::test
