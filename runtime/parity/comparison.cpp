#include "runtime/parity/comparison.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace cutover::parity {
namespace {

constexpr std::array<std::string_view, kClasses> kNames = {
    "equal", "tolerated",     "ignored",      "transient",         "pending",      "missing",
    "extra", "field differs", "type differs", "error on one side", "errors differ"};

std::optional<double> finite(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

std::vector<std::string> as_set(const std::string& text) {
  auto elements = array_elements(text);
  std::sort(elements.begin(), elements.end());
  elements.erase(std::unique(elements.begin(), elements.end()), elements.end());
  return elements;
}

// equal, tolerated, field_differs or type_differs; and how far apart.
std::pair<Class, double> compare(const OutputField& field, const Value& a, const Value& b) {
  if (!a || !b) return {a.has_value() == b.has_value() ? Class::equal : Class::type_differs, 1};
  if (field.rule == OutputField::Rule::number) {
    const auto x = finite(*a), y = finite(*b);
    if (!x || !y) return {Class::field_differs, 1};
    const double apart = std::fabs(*x - *y);
    if (apart == 0) return {Class::equal, 0};
    if (apart <= field.tolerance) return {Class::tolerated, 0};
    return {Class::field_differs, field.tolerance > 0 ? apart / field.tolerance : apart};
  }
  // PostgreSQL's texts of two times in one zone are in the order of the times.
  if (field.rule == OutputField::Rule::newest && *b > *a) return {Class::tolerated, 0};
  if (*a == *b || (field.rule == OutputField::Rule::set && as_set(*a) == as_set(*b)))
    return {Class::equal, 0};
  return {Class::field_differs, 1};
}

std::uint64_t mix(std::uint64_t hash, std::string_view text) noexcept {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return (hash ^ 0xff) * 0x100000001b3;
}

std::uint64_t mix(std::uint64_t hash, const std::optional<Row>& row) noexcept {
  if (!row) return mix(hash, "-");
  for (const Value& value : row->values) hash = value ? mix(mix(hash, "v"), *value) : mix(hash, "n");
  return mix(mix(hash, row->stream), std::to_string(row->sequence));
}

}  // namespace

std::string_view to_text(Class what) noexcept {
  return kNames[static_cast<std::size_t>(what)];
}

std::optional<Class> class_of(std::string_view text) noexcept {
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Class>(found - kNames.begin());
}

bool is_mismatch(Class what) noexcept {
  return what >= Class::missing;
}

Compared compare(const Output& output, const RowPair& pair) {
  if (!pair.worker) return {Class::missing, {}};
  if (!pair.serving) return {Class::extra, {}};
  Compared result;
  for (std::size_t i = 0; i < output.fields.size(); ++i) {
    const Value& a = pair.serving->values[i];
    const Value& b = pair.worker->values[i];
    const auto [what, distance] = compare(output.fields[i], a, b);
    if (what == Class::equal) continue;
    if (what != Class::tolerated) result.fields.push_back({output.fields[i].name, what, a, b, distance});
    // Of a row, what weighs most: another value, then another type.
    if (result.what == Class::equal || result.what == Class::tolerated || what == Class::field_differs)
      if (what != Class::tolerated || result.what == Class::equal) result.what = what;
  }
  return result;
}

std::uint64_t fingerprint(const RowPair& pair) noexcept {
  return mix(mix(0xcbf29ce484222325, pair.serving), pair.worker);
}

std::vector<std::string> array_elements(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return {std::string(text)};
  text = text.substr(1, text.size() - 2);
  std::vector<std::string> elements;
  if (text.empty()) return elements;
  std::string element;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && i + 1 < text.size())
      element += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      elements.push_back(std::exchange(element, {}));
    else
      element += c;
  }
  elements.push_back(element);
  return elements;
}

}  // namespace cutover::parity
