#include <algorithm>

#include "runtime/parity/report.h"

namespace cutover::parity {
namespace {

constexpr std::size_t kWorst = 10;
constexpr std::size_t kExamples = 3;

// Heavier is worse: a side that failed, a row that is not there, then numbers by how far they are beyond
// their tolerance, then rows by how many fields differ.
double weight_of(const Difference& d) {
  switch (d.what) {
    case Class::error_on_one_side:
      return 4e9;
    case Class::errors_differ:
      return 3e9;
    case Class::missing:
      return 2e9;
    case Class::extra:
      return 1e9;
    default:
      break;
  }
  double weight = static_cast<double>(d.fields.size());
  for (const FieldDifference& field : d.fields) weight += std::min(field.distance, 1e8);
  return weight;
}

}  // namespace

void Gathering::add(const Difference& d) {
  const auto count = [&](const std::string& field, Class what) {
    Group& group = groups_[{d.output, field, what}];
    group.output = d.output;
    group.field = field;
    group.what = what;
    ++group.count;
    if (group.examples.size() < kExamples) group.examples.push_back(key_text(d.key));
  };
  if (d.fields.empty() || !is_mismatch(d.what))
    count("", d.what);
  else
    for (const FieldDifference& field : d.fields) count(field.field, field.what);
  if (!is_mismatch(d.what)) return;
  const double weight = weight_of(d);
  if (worst_.size() == kWorst && weight <= worst_.back().first) return;
  const auto at = std::upper_bound(worst_.begin(), worst_.end(), weight,
                                   [](double w, const auto& other) { return w > other.first; });
  worst_.insert(at, {weight, d});
  if (worst_.size() > kWorst) worst_.pop_back();
}

std::vector<Group> Gathering::groups() const {
  std::vector<Group> all;
  for (const auto& [key, group] : groups_) all.push_back(group);
  std::stable_sort(all.begin(), all.end(), [](const Group& a, const Group& b) { return a.count > b.count; });
  return all;
}

std::vector<Difference> Gathering::worst() const {
  std::vector<Difference> all;
  for (const auto& [weight, difference] : worst_) all.push_back(difference);
  return all;
}

std::string key_text(const Key& key) {
  std::string text;
  for (const std::string& part : key) text += (text.empty() ? "" : " / ") + part;
  return text;
}

std::string explain_command(const std::string& worker, const std::string& place) {
  return "cutover explain " + worker + " " + place;
}

}  // namespace cutover::parity
