#include "unit/score_world.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "workers/score/domain/id_index.h"

namespace cutover::test {

using namespace score;

Micros days_ago(double days) {
  return ScoreWorld::kT - static_cast<Micros>(std::llround(days * static_cast<double>(kDay)));
}

void ScoreWorld::tie(const Tie& tie) {
  principal(tie.owner);
  principal(tie.target);
  ties_.push_back(tie);
}

void ScoreWorld::both_ways(Tie tie) {
  this->tie(tie);
  std::swap(tie.owner, tie.target);
  this->tie(tie);
}

Standing ScoreWorld::standing(const Person& person) const {
  Standing standing;
  for (const OwnChannel& channel : person.channels)
    standing.add_verified_channel(channel.kind, days_ago(channel.age));
  for (const Incident& incident : person.incidents)
    standing.add_incident(weights, kT, incident.kind, incident.band, days_ago(incident.age),
                          incident.cleared_age ? days_ago(*incident.cleared_age) : Standing::kNever);
  return standing;
}

std::map<std::int64_t, Result> ScoreWorld::compute(std::size_t threads) const {
  std::vector<std::int64_t> ids;
  std::vector<Standing> standings;
  for (const auto& [id, person] : people_) {
    ids.push_back(id);
    standings.push_back(standing(person));
  }
  const IdIndex index(ids);
  std::vector<std::uint32_t> capacity(ids.size()), rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0u);
  for (const Tie& tie : ties_) ++capacity[index.find(tie.owner)];
  Graph graph(weights, kT, capacity);
  std::vector<AsideEdge> aside;
  for (const Tie& tie : ties_)
    graph.add({index.find(tie.owner), index.find(tie.target), tie.confidence, days_ago(tie.first_age),
               days_ago(tie.evidence_age), tie.probable, tie.in_circle},
              aside);
  graph.set_aside(std::move(aside));
  for (const auto& [id, person] : people_)
    for (std::uint32_t i = 0; i < person.lost; ++i) graph.add_lost(index.find(id));
  const std::vector<Result> results = score::compute(graph, standings, {rows, rows, rows}, threads);
  std::map<std::int64_t, Result> by_id;
  for (std::size_t i = 0; i < ids.size(); ++i) by_id[ids[i]] = results[i];
  return by_id;
}

namespace {

struct Weighed {
  const Tie* tie;
  double w0, w;
};

}  // namespace

std::map<std::int64_t, Result> ScoreWorld::plainly() const {
  // Edges and their weights.
  std::map<std::int64_t, std::map<std::int64_t, Weighed>> edges;
  for (const auto& [id, person] : people_) {
    std::vector<const Tie*> recent;
    for (const Tie& tie : ties_) {
      if (tie.owner != id) continue;
      const double a = std::max(0.0, tie.evidence_age);
      const double f = a <= 90 ? 1 : a < 365 ? (365 - a) / 275 : 0;
      const double w0 = tie.confidence * f * (tie.probable ? 0.5 : 1);
      edges[id][tie.target] = {&tie, w0, w0};
      if (tie.first_age >= 0 && tie.first_age < 7) recent.push_back(&tie);
    }
    std::sort(recent.begin(), recent.end(), [](const Tie* a, const Tie* b) {
      return a->first_age != b->first_age ? a->first_age > b->first_age : a->target < b->target;
    });
    for (std::size_t i = 50; i < recent.size(); ++i) edges[id][recent[i]->target].w *= 0.1;
    std::erase_if(edges[id], [](const auto& e) { return e.second.w == 0; });
  }
  const auto r = [&](std::int64_t u, std::int64_t v) {
    const auto a = edges[u].find(v);
    const auto b = edges[v].find(u);
    return a == edges[u].end() || b == edges[v].end() ? 0.0 : std::min(a->second.w, b->second.w);
  };
  const auto s = [&](std::int64_t u) {
    double sum = 0;
    for (const auto& [v, e] : edges[u]) sum += r(u, v);
    return sum;
  };
  const auto strongest = [](std::vector<std::pair<double, std::int64_t>> all, std::size_t count) {
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    if (all.size() > count) all.resize(count);
    return all;
  };

  std::map<std::int64_t, Result> results;
  for (const auto& [u, person] : people_) {
    Result result;
    const double n = static_cast<double>(edges[u].size());
    double q = 0, pos = 0, p = 0;
    if (n > 0) {
      double W0 = 0, W = 0, R = 0, M = 0, C = 0, V = 0, h = 0;
      std::vector<std::pair<double, std::int64_t>> by_w, by_r;
      for (const auto& [v, e] : edges[u]) {
        W0 += e.w0;
        W += e.w;
        M += e.w * e.tie->confidence;
        C += e.tie->in_circle;
        by_w.emplace_back(e.w, v);
        if (r(u, v) == 0) continue;
        R += e.w0;
        by_r.emplace_back(r(u, v), v);
        h += r(u, v) * std::log(1 + s(v)) / std::log(501);
      }
      R /= W0;
      M /= W;
      C /= n;
      const auto top = strongest(by_w, 50);
      for (const auto& [w, v] : top) {
        V += !people_.at(v).channels.empty();
        p += (r(u, v) > 0 ? 1 : 0.25) * std::min(1.0, std::max(0.0, edges[u][v].tie->first_age) / 90);
      }
      V /= static_cast<double>(top.size());
      p /= static_cast<double>(top.size());
      q = std::min(1.0, (0.5 * R + 0.2 * M + 0.3 * V) * (1 + 0.05 * C)) * n / (n + 5);
      const auto near = strongest(by_r, 64);
      double pairs = 0, linked = 0;
      for (std::size_t i = 0; i < near.size(); ++i)
        for (std::size_t k = i + 1; k < near.size(); ++k, ++pairs)
          linked += r(near[i].second, near[k].second) > 0;
      const double B = near.size() < 2 ? 0 : 1 - linked / pairs;
      const double K = std::min(1.0, std::log(1 + s(u) + 0.25 * h) / std::log(501));
      pos = (0.5 * K + 0.5 * B) * std::min(1.0, R / 0.25);
    }
    const double c = person.lost == 0 ? 0 : person.lost / (person.lost + n);
    double oldest = 0, kinds = 0;
    std::set<ChannelKind> seen;
    for (const OwnChannel& channel : person.channels) {
      oldest = std::max(oldest, channel.age);
      if (channel.kind != ChannelKind::other && seen.insert(channel.kind).second) kinds += 0.5;
    }
    double incident_free = 1, flags = 0, penalty = 0;
    for (const Incident& i : person.incidents) {
      const bool open = !i.cleared_age;
      if (i.kind == IncidentKind::dispute && open) incident_free = 0;
      if ((i.kind == IncidentKind::forced_recovery || i.kind == IncidentKind::reverification_failure) &&
          i.age >= 0 && i.age < 90)
        incident_free = 0;
      if (i.kind == IncidentKind::abuse_flag && open) flags += 1;
      const double points = i.band == Band::soft ? 8 : i.band == Band::moderate ? 15 : 30;
      const double fade = i.band == Band::soft ? 30 : i.band == Band::moderate ? 60 : 90;
      penalty += open ? points : points * std::max(0.0, 1 - std::max(0.0, *i.cleared_age) / fade);
    }
    result.quality = q;
    result.position = pos;
    result.stability = 0.6 * p * (1 - c) + 0.4 * std::min(1.0, oldest / 90);
    result.trust = 0.5 * incident_free + 0.3 * kinds + 0.2 * (1 - std::min(1.0, flags / 3));
    result.penalty = std::min(30.0, penalty);
    result.edges = static_cast<std::uint32_t>(n);
    result.score =
        std::clamp(100 * (0.4 * q + 0.3 * pos + 0.2 * result.stability + 0.1 * result.trust) - result.penalty,
                   0.0, 100.0);
    results[u] = result;
  }
  return results;
}

}  // namespace cutover::test
