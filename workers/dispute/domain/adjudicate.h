#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "workers/dispute/domain/case.h"

namespace cutover::dispute {

// What a rule does with a case. resolve, reject and dismiss end it; queue leaves it to an operator; wait
// decides again later.
enum class Outcome { resolve, queue, wait, reject, dismiss };

enum class Action {
  award_challenger,
  award_incumbent,
  favour_challenger,
  favour_incumbent,
  freeze_organisation,
  log,
  recommend_challenger,
  recommend_dismissal,
  recommend_legal_documents,
  reduce_discoverability,
  restrict_principal,
  split,
  transfer,
  undo,
  warn,
};

// What the rules say about a case at one moment.
struct Decision {
  std::string_view rule;  // C1.one_otp: the leaf that decided, for ever the same name
  Outcome outcome = Outcome::queue;
  int confidence_percent = 0;
  std::optional<Lane> lane = {};  // none: the routed one
  std::chrono::hours hold{0};
  std::vector<Action> actions = {};       // in the order of their names
  std::optional<Instant> decide_at = {};  // of wait
};

// An outcome without an operator must be at least this sure, unless it ends the case in nobody's favour.
inline constexpr int kAutomaticPercent = 95;

// Decides a case.
//   as_of  the moment that the decision is taken for
Decision adjudicate(Severity severity, const Evidence& evidence, Instant as_of);

// Every leaf, in the order of the rules.
std::span<const std::string_view> rule_ids() noexcept;

bool ends_case(Outcome outcome) noexcept;
std::string_view name_of(Outcome outcome) noexcept;
std::string_view name_of(Action action) noexcept;
// Nothing for a name that is none.
std::optional<Outcome> outcome_named(std::string_view name) noexcept;
std::optional<Action> action_named(std::string_view name) noexcept;

}  // namespace cutover::dispute
