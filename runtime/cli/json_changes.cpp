#include "runtime/cli/json_changes.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace cutover::cli {
namespace {

using Json = nlohmann::ordered_json;

// The values of a document by their paths, in its order.
std::vector<std::pair<std::string, std::string>> values_of(const Json& document) {
  std::vector<std::pair<std::string, std::string>> values;
  const Json flat = document.flatten();
  for (const auto& [path, value] : flat.items())
    values.emplace_back(path, value.dump(-1, ' ', false, Json::error_handler_t::replace));
  return values;
}

// Calls `token` for each token outside white space, with the text of a string whole.
template <class Token>
void each_token(std::string_view text, Token token) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    if (text[i] == '"') {
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else if (std::string_view("{}[],:").find(text[i]) == std::string_view::npos) {
      end = std::min(text.find_first_of("{}[],:\" \t\r\n", i), text.size());
    }
    if (std::string_view(" \t\r\n").find(text[i]) == std::string_view::npos)
      token(text.substr(i, end - i));
    else
      end = i + 1;
    i = end;
  }
}

bool is_json(std::string_view text) {
  return Json::accept(text);
}

}  // namespace

std::vector<JsonChange> json_changes(std::string_view before, std::string_view after) {
  if (!is_json(before) || !is_json(after)) {
    if (before == after) return {};
    return {{"", std::string(before), std::string(after)}};
  }
  const auto old_values = values_of(Json::parse(before)), new_values = values_of(Json::parse(after));
  const std::map<std::string, std::string> old_by_path(old_values.begin(), old_values.end()),
      new_by_path(new_values.begin(), new_values.end());
  std::vector<JsonChange> changes;
  for (const auto& [path, value] : new_values) {
    const auto old = old_by_path.find(path);
    if (old == old_by_path.end() || old->second != value)
      changes.push_back({path, old == old_by_path.end() ? "" : old->second, value});
  }
  for (const auto& [path, value] : old_values)
    if (!new_by_path.contains(path)) changes.push_back({path, value, ""});
  return changes;
}

std::string indented_json(std::string_view text) {
  if (!is_json(text)) return std::string(text);
  std::string out;
  std::size_t level = 0;
  std::string_view last;
  const auto new_line = [&] { out += "\n" + std::string(2 * level, ' '); };
  each_token(text, [&](std::string_view token) {
    const bool closes = token == "}" || token == "]";
    if (closes) --level;
    if (last == "," || ((last == "{" || last == "[") && !closes) || (closes && last != "{" && last != "["))
      new_line();
    out += token;
    if (token == ":") out += ' ';
    if (token == "{" || token == "[") ++level;
    last = token;
  });
  return out;
}

std::string compact_json(std::string_view text) {
  if (!is_json(text)) return std::string(text);
  std::string out;
  each_token(text, [&](std::string_view token) { out += token; });
  return out;
}

std::string line_and_column(std::string_view text, std::size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto start = before.rfind('\n');
  return fmt::format("line {}, column {}", line,
                     before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1);
}

}  // namespace cutover::cli
