#include "runtime/parity/output_comparison.h"

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/parity/marks.h"

namespace cutover::parity {
namespace {

constexpr std::size_t kReadAgain = 500;  // keys at a time

void add_block(const Block& block, OutputResult& result) {
  for (const auto& [stratum, rows] : block.strata) result.strata[stratum] += rows;
}

const std::string& stratum_of(const RowPair& pair) {
  return pair.serving ? pair.serving->stratum : pair.worker->stratum;
}

}  // namespace

bool OutputComparison::walk(WalkState& state) {
  state.result.output = output_.name;
  while (!state.done) {
    // Marks first: an event that is settled later has its rows called pending, never the other way round.
    const Marks marks = reader_.marks();
    const KeyRange rest{state.after, std::nullopt};
    const std::uint64_t keys = 2 * options_.block_rows;
    const std::optional<Key> end = reader_.step(rest, keys);
    narrow({state.after, end}, keys, marks, state);
    state.after = end;
    state.done = !end;
    if (!journal_.walked(state)) return state.done;
  }
  return true;
}

void OutputComparison::look(std::span<const Key> keys, WalkState& state) {
  state.result.output = output_.name;
  const Marks marks = reader_.marks();
  for (std::size_t i = 0; i < keys.size(); i += kReadAgain)
    for (const RowPair& pair : reader_.read(keys.subspan(i, std::min(kReadAgain, keys.size() - i)))) {
      state.result.serving_rows += pair.serving.has_value();
      state.result.worker_rows += pair.worker.has_value();
      if (pair.serving || pair.worker) judge(pair, marks, state);
    }
  state.done = true;
}

void OutputComparison::narrow(const KeyRange& range, std::uint64_t keys, const Marks& marks,
                              WalkState& state) {
  const BlockPair block = reader_.hash(range);
  const std::uint64_t rows = block.serving.rows + block.worker.rows;
  OutputResult& result = state.result;
  const auto is_done = [&](std::uint64_t unequal) {
    result.serving_rows += block.serving.rows;
    result.worker_rows += block.worker.rows;
    add_block(block.serving, result);
    count_of(result.counts, Class::tolerated) += unequal;
    count_of(result.counts, Class::equal) += block.serving.rows - unequal;
  };
  const bool same_keys = block.serving.rows == block.worker.rows;
  if (same_keys && block.serving.exact == block.worker.exact) return is_done(0);
  if (same_keys && block.serving.coarse == block.worker.coarse)
    return is_done(std::min(reader_.count_unequal(range), block.serving.rows));
  if (rows > 2 * options_.leaf_rows)
    for (std::uint64_t half = keys / 2; half >= options_.leaf_rows; half /= 2) {
      const std::optional<Key> middle = reader_.step(range, half);
      if (!middle || middle == range.up_to) continue;  // fewer keys than thought
      narrow({range.after, middle}, half, marks, state);
      narrow({middle, range.up_to}, keys - half, marks, state);
      return;
    }
  for (const RowPair& pair : reader_.read(range)) {
    result.serving_rows += pair.serving.has_value();
    result.worker_rows += pair.worker.has_value();
    judge(pair, marks, state);
  }
}

void OutputComparison::judge(const RowPair& pair, const Marks& marks, WalkState& state) {
  const Compared compared = compare(output_, pair);
  if (compared.what == Class::equal || compared.what == Class::tolerated) {
    ++count_of(state.result.counts, compared.what);
    ++state.result.strata[stratum_of(pair)];
    return;
  }
  journal_.suspect({pair.key, fingerprint(pair), beyond(pair, marks)});
  ++state.suspects;
}

bool OutputComparison::settle(WalkState& state, IgnoreRules& rules, const Pause& pause) {
  compare_columns(state);
  if (state.suspects == 0) {
    state.result.ignores = rules.uses();
    return true;
  }
  std::vector<Suspect> again;
  for (int round = 0; round < options_.settle_rounds; ++round) {
    const bool last = round + 1 == options_.settle_rounds;
    const Marks then = reader_.marks();
    if (!pause(options_.settle)) return false;
    Marks now = reader_.marks();
    for (int wait = 1; wait < options_.settle_rounds && !has_reached(now, then); ++wait) {
      if (!pause(options_.settle)) return false;
      now = reader_.marks();
    }
    const bool reached = has_reached(now, then);
    const std::vector<Suspect> before = std::exchange(again, {});
    const std::uint64_t all = round == 0 ? state.suspects : before.size();
    for (std::uint64_t from = 0; from < all; from += kReadAgain) {
      if (!pause(std::chrono::milliseconds(0))) return false;
      const std::vector<Suspect> chunk =
          round == 0 ? journal_.suspects(from, kReadAgain)
                     : std::vector<Suspect>(
                           before.begin() + static_cast<std::ptrdiff_t>(from),
                           before.begin() + static_cast<std::ptrdiff_t>(std::min(from + kReadAgain, all)));
      std::vector<Key> keys;
      std::map<Key, const Suspect*> of;
      for (const Suspect& suspect : chunk) {
        keys.push_back(suspect.key);
        of[suspect.key] = &suspect;
      }
      for (const RowPair& pair : reader_.read(keys))
        settle_one(pair, *of.at(pair.key), reached, last, now, rules, state, again);
    }
    if (again.empty()) break;
  }
  state.result.ignores = rules.uses();
  return true;
}

void OutputComparison::settle_one(const RowPair& pair, const Suspect& suspect, bool reached, bool last,
                                  const Marks& marks, IgnoreRules& rules, WalkState& state,
                                  std::vector<Suspect>& again) {
  Compared compared;
  if (pair.serving || pair.worker) compared = compare(output_, pair);
  if (compared.what == Class::equal || compared.what == Class::tolerated)
    return conclude(pair, suspect.beyond.empty() ? Class::transient : Class::pending, {}, state,
                    suspect.beyond);
  const std::string mark = beyond(pair, marks);
  if (!mark.empty()) return conclude(pair, Class::pending, std::move(compared.fields), state, mark);
  const bool same = fingerprint(pair) == suspect.fingerprint;
  if (!same && !last) {
    again.push_back({pair.key, fingerprint(pair), suspect.beyond});
    return;
  }
  // Never seen at rest, or one side is not as far yet: it is not known.
  if (!same || !reached) return conclude(pair, Class::pending, std::move(compared.fields), state);
  rules.apply(compared);
  conclude(pair, compared.what, std::move(compared.fields), state);
}

void OutputComparison::conclude(const RowPair& pair, Class what, std::vector<FieldDifference> fields,
                                WalkState& state, std::string mark) {
  ++count_of(state.result.counts, what);
  if (what != Class::pending && (pair.serving || pair.worker)) ++state.result.strata[stratum_of(pair)];
  journal_.difference(
      {output_.name, pair.key, what, std::move(fields), pair, places_of(pair), std::move(mark)});
}

void OutputComparison::compare_columns(WalkState& state) {
  for (const ColumnDifference& column : reader_.columns()) {
    ++count_of(state.result.counts, Class::type_differs);
    Difference difference{output_.name, {"column " + column.column}, Class::type_differs, {}, {}, {}, {}};
    difference.rows.key = difference.key;
    difference.fields.push_back({column.column, Class::type_differs,
                                 column.serving_type.empty() ? Value() : Value(column.serving_type),
                                 column.worker_type.empty() ? Value() : Value(column.worker_type), 1});
    journal_.difference(difference);
  }
}

std::vector<std::string> places_of(const RowPair& pair) {
  std::vector<std::string> places;
  for (const auto* row : {&pair.serving, &pair.worker})
    if (*row && !(*row)->stream.empty()) {
      std::string place = (*row)->stream + "/" + std::to_string((*row)->sequence);
      if (std::find(places.begin(), places.end(), place) == places.end()) places.push_back(std::move(place));
    }
  return places;
}

}  // namespace cutover::parity
