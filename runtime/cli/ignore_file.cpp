#include "runtime/cli/ignore_file.h"

#include <algorithm>
#include <regex>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "runtime/cli/shell.h"

namespace cutover::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const toml::node& node, const std::string& what) {
  throw CommandError(fmt::format("{}:{}: {}", path, node.source().begin.line, what));
}

std::string text_of(const std::string& path, const toml::table& rule, const char* key, const char* accepted) {
  const auto value = rule[key].value<std::string>();
  if (!value || value->empty())
    refuse(path, rule, fmt::format("an ignore rule needs {} = {}", key, accepted));
  return *value;
}

parity::IgnoreRule rule_of(const std::string& path, const toml::table& rule) {
  static const std::regex day(R"(\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))");
  parity::IgnoreRule read;
  read.output = text_of(path, rule, "output", "\"name of an output\"");
  read.field = text_of(path, rule, "field", "\"column\"");
  read.owner = text_of(path, rule, "owner", "\"who answers for it\"");
  read.reason = text_of(path, rule, "reason", "\"why\"");
  read.expires = text_of(path, rule, "expires", "\"2026-12-31\"");
  if (!std::regex_match(read.expires, day))
    refuse(path, rule,
           fmt::format("expires = \"{}\" is no day. Do: write it as \"2026-12-31\"", read.expires));
  const auto rate = rule["rate_max"].value<double>();
  if (!rate || !(*rate > 0 && *rate <= 1))
    refuse(path, rule, "an ignore rule needs rate_max, above 0 and up to 1");
  read.rate_max = *rate;
  for (const auto& [key, value] : rule)
    if (const std::string_view known = key.str(); known != "output" && known != "field" && known != "owner" &&
                                                  known != "reason" && known != "expires" &&
                                                  known != "rate_max")
      refuse(path, value, fmt::format("an ignore rule has no {}", known));
  return read;
}

}  // namespace

std::vector<parity::IgnoreRule> read_ignore_file(const std::string& path,
                                                 const std::vector<cutover::Output>& outputs) {
  std::vector<parity::IgnoreRule> rules;
  if (path.empty()) return rules;
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    throw CommandError(fmt::format("{}:{}: {}", path, error.source().begin.line, error.description()));
  }
  for (const auto& [key, value] : file)
    if (key.str() != "ignore" || !value.is_array_of_tables())
      refuse(path, value, "only [[ignore]] stands in a file of ignore rules");
  const toml::array* list = file["ignore"].as_array();
  if (list == nullptr) return rules;
  for (const toml::node& node : *list) {
    const parity::IgnoreRule rule = rule_of(path, *node.as_table());
    const auto output = std::find_if(outputs.begin(), outputs.end(),
                                     [&](const cutover::Output& o) { return o.name == rule.output; });
    if (output == outputs.end()) continue;  // another worker's
    if (output->strict) refuse(path, node, fmt::format("nothing may be ignored in {}", rule.output));
    if (std::none_of(output->fields.begin(), output->fields.end(),
                     [&](const OutputField& f) { return f.name == rule.field; }))
      refuse(path, node, fmt::format("{} has no field {}", rule.output, rule.field));
    rules.push_back(rule);
  }
  return rules;
}

}  // namespace cutover::cli
