#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace cutover {

// What it means to change one field of a stream that exists.
enum class FieldEffect {
  safe,
  destructive,  // deletes messages, loses new ones, or gives up copies
  impossible,   // the server refuses it
};

// Why a file's value for a field is not what the API takes; nullopt when it is. Unknown fields are refused
// too: the server would ignore a misspelt one.
std::optional<std::string> field_problem(const std::string& field, const nlohmann::json& value);

// True when both mean the same to the server: order of subjects, 0 and -1 for "no limit".
bool same_value(const std::string& field, const nlohmann::json& a, const nlohmann::json& b);

struct FieldChange {
  FieldEffect effect = FieldEffect::safe;
  std::string consequence;  // empty when safe
};
FieldChange judge_change(const std::string& field, const nlohmann::json& from, const nlohmann::json& to);

// For a person: "14d" instead of nanoseconds, "unlimited" instead of -1.
std::string show_value(const std::string& field, const nlohmann::json& value);

}  // namespace cutover
