#include "workers/score/domain/scoring.h"

#include <cmath>

namespace cutover::score {
namespace {

// Small enough that a row with a million edges leaves the rest to the other threads.
constexpr std::size_t kChunk = 256;

}  // namespace

std::vector<Result> compute(Graph& graph, std::span<const Standing> standings, const Scope& scope,
                            std::size_t threads, const Tick& tick) {
  // The ticks count rows of all steps as one.
  const std::size_t total = scope.filled.size() + 2 * scope.complete.size() + scope.wanted.size();
  std::size_t before = 0;
  const auto step = [&](std::span<const std::uint32_t> rows, const auto& make, const auto& work) {
    in_chunks(
        rows.size(), threads, kChunk, make,
        [&](std::size_t first, std::size_t last, auto& local) {
          for (std::size_t i = first; i < last; ++i) work(i, rows[i], local);
        },
        tick ? Tick([&](std::size_t done, std::size_t) { return tick(before + done, total); }) : Tick());
    before += rows.size();
  };
  const auto nothing = [] { return 0; };

  std::vector<Ties> ties(graph.principals());
  step(scope.filled, nothing,
       [&](std::size_t, std::uint32_t row, int) { ties[row].mean_confidence = graph.seal(row); });
  // Reads the weights of other rows and replaces the ages of its own.
  step(
      scope.complete, [&] { return TieMeasure(standings); },
      [&](std::size_t, std::uint32_t row, TieMeasure& measure) {
        ties[row] = measure.measure(graph, row, ties[row].mean_confidence);
        graph.oppose(row, measure.reciprocal());
      });
  std::vector<double> log_strengths(graph.principals());
  step(scope.complete, nothing, [&](std::size_t, std::uint32_t row, int) {
    log_strengths[row] = std::log(1.0 + ties[row].strength);
    graph.condense(row);
  });
  std::vector<Result> results(scope.wanted.size());
  step(
      scope.wanted, [&] { return NeighbourhoodMeasure(graph, log_strengths); },
      [&](std::size_t i, std::uint32_t row, NeighbourhoodMeasure& measure) {
        const Parts parts{ties[row], measure.measure(row), graph.edges(row), graph.in_circles(row),
                          graph.lost(row)};
        results[i] = score_of(graph.weights(), graph.t(), parts, standings[row]);
      });
  return results;
}

}  // namespace cutover::score
