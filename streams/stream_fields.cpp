#include "streams/stream_fields.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <vector>

namespace cutover {
namespace {

using nlohmann::json;

enum class Kind { text, choice, flag, count, limit, duration, subjects, object, list };

struct Field {
  std::string_view name;
  Kind kind;
  std::string_view choices = "";  // "|a|b|"
};

// What nats-server 2.9 knows, and later ones may set. A limit of -1 or 0 is none.
constexpr Field kFields[] = {
    {"name", Kind::text},
    {"description", Kind::text},
    {"subjects", Kind::subjects},
    {"retention", Kind::choice, "|limits|interest|workqueue|"},
    {"storage", Kind::choice, "|file|memory|"},
    {"discard", Kind::choice, "|old|new|"},
    {"discard_new_per_subject", Kind::flag},
    {"max_age", Kind::duration},
    {"max_msgs", Kind::limit},
    {"max_bytes", Kind::limit},
    {"max_msg_size", Kind::limit},
    {"max_msgs_per_subject", Kind::limit},
    {"max_consumers", Kind::limit},
    {"num_replicas", Kind::count},
    {"duplicate_window", Kind::duration},
    {"no_ack", Kind::flag},
    {"placement", Kind::object},
    {"republish", Kind::object},
    {"mirror", Kind::object},
    {"sources", Kind::list},
    {"sealed", Kind::flag},
    {"deny_delete", Kind::flag},
    {"deny_purge", Kind::flag},
    {"allow_rollup_hdrs", Kind::flag},
    {"allow_direct", Kind::flag},
    {"mirror_direct", Kind::flag},
    {"compression", Kind::choice, "|none|s2|"},
    {"metadata", Kind::object},
};

const Field* find_field(const std::string& name) {
  auto found =
      std::find_if(std::begin(kFields), std::end(kFields), [&](const Field& f) { return f.name == name; });
  return found == std::end(kFields) ? nullptr : found;
}

std::optional<std::string> subject_problem(const json& value) {
  if (!value.is_string()) return "each subject must be a string";
  std::string subject = value;
  std::size_t from = 0;
  for (bool last = false; !last;) {
    std::size_t dot = subject.find('.', from);
    last = dot == std::string::npos;
    std::string token = subject.substr(from, last ? dot : dot - from);
    from = dot + 1;
    bool wildcard = token.find_first_of("*>") != std::string::npos;
    if (token.empty() || token.find_first_of(" \t\r\n") != std::string::npos ||
        (wildcard && token.size() > 1) || (token == ">" && !last))
      return "\"" + subject +
             "\" is no subject: wanted tokens between dots, * for one of them, > at the end for the rest";
  }
  return std::nullopt;
}

// Unlimited as the largest number.
std::int64_t limit_of(const json& value) {
  std::int64_t limit = value.is_number_integer() ? value.get<std::int64_t>() : 0;
  return limit <= 0 ? INT64_MAX : limit;
}

std::set<std::string> subjects_of(const json& value) {
  std::set<std::string> all;
  if (value.is_array())
    for (const json& subject : value)
      if (subject.is_string()) all.insert(subject.get<std::string>());
  return all;
}

}  // namespace

std::optional<std::string> field_problem(const std::string& name, const json& value) {
  const Field* field = find_field(name);
  if (!field) return "is not a field of a stream; check the spelling";
  switch (field->kind) {
    case Kind::text:
      if (!value.is_string()) return "must be a string";
      break;
    case Kind::choice:
      if (!value.is_string() ||
          field->choices.find("|" + value.get<std::string>() + "|") == std::string_view::npos) {
        std::string list(field->choices.substr(1, field->choices.size() - 2));
        for (std::size_t at; (at = list.find('|')) != std::string::npos;) list.replace(at, 1, " or ");
        return "must be " + list;
      }
      break;
    case Kind::flag:
      if (!value.is_boolean()) return "must be true or false";
      break;
    case Kind::count:
      if (!value.is_number_integer() || value < 1 || value > 5) return "must be a whole number from 1 to 5";
      break;
    case Kind::limit:
      if (!value.is_number_integer() || value < -1) return "must be a whole number, or -1 for no limit";
      break;
    case Kind::duration:
      if (!value.is_number_integer() || value < 0)
        return "must be a whole number of nanoseconds, 0 for no limit";
      if (value > 0 && value < 100'000'000)
        return "is in nanoseconds, and must be at least 100000000 (0.1 s)";
      break;
    case Kind::subjects:
      if (!value.is_array() || value.empty()) return "must be a list of at least one subject";
      for (const json& subject : value)
        if (auto problem = subject_problem(subject)) return problem;
      break;
    case Kind::object:
      if (!value.is_object()) return "must be an object";
      break;
    case Kind::list:
      if (!value.is_array()) return "must be a list";
      break;
  }
  return std::nullopt;
}

bool same_value(const std::string& name, const json& a, const json& b) {
  const Field* field = find_field(name);
  if (field && (field->kind == Kind::limit || field->kind == Kind::duration))
    return limit_of(a) == limit_of(b);
  if (field && field->kind == Kind::subjects) return subjects_of(a) == subjects_of(b);
  if (field && field->kind == Kind::flag) {
    auto on = [](const json& value) { return value.is_boolean() && value.get<bool>(); };
    return on(a) == on(b);
  }
  if (field && field->kind == Kind::text && name != "name") {
    auto text = [](const json& value) {
      return value.is_string() ? value.get<std::string>() : std::string();
    };
    return text(a) == text(b);
  }
  return a == b;
}

FieldChange judge_change(const std::string& name, const json& from, const json& to) {
  static constexpr std::string_view kFixed[] = {"storage", "retention", "max_consumers", "mirror", "sealed"};
  static constexpr std::string_view kOneWay[] = {"deny_delete", "deny_purge"};
  auto is_in = [&](auto& list) {
    return std::find(std::begin(list), std::end(list), name) != std::end(list);
  };
  if (is_in(kFixed))
    return {FieldEffect::impossible,
            "cannot be changed while the stream exists; drain it, delete it by hand (`nats stream rm`), "
            "apply, and "
            "declare its new life with `cutover incarnation start`"};
  if (is_in(kOneWay) && to == false)
    return {FieldEffect::impossible, "cannot be taken back while the stream exists"};
  if (name == "subjects") {
    std::string lost;
    std::set<std::string> wanted = subjects_of(to);
    for (const std::string& subject : subjects_of(from))
      if (!wanted.contains(subject)) lost += (lost.empty() ? "" : ", ") + subject;
    if (!lost.empty())
      return {FieldEffect::destructive, "new messages on " + lost + " are no longer kept here"};
  }
  if ((name == "max_age" || name == "max_msgs" || name == "max_bytes" || name == "max_msgs_per_subject") &&
      limit_of(to) < limit_of(from))
    return {FieldEffect::destructive, "messages beyond the new limit are deleted at once"};
  if (name == "num_replicas" && limit_of(to) < limit_of(from))
    return {FieldEffect::destructive, "copies are given up; is this the right environment?"};
  return {};
}

std::string show_value(const std::string& name, const json& value) {
  if (value.is_null()) return "unset";
  const Field* field = find_field(name);
  bool limited =
      field && (field->kind == Kind::limit || field->kind == Kind::duration) && value.is_number_integer();
  if (limited && limit_of(value) == INT64_MAX) return "unlimited";
  if (limited && field->kind == Kind::duration) {
    struct Unit {
      std::int64_t nanoseconds;
      const char* text;
    };
    static constexpr Unit kUnits[] = {{86'400'000'000'000, "d"},
                                      {3'600'000'000'000, "h"},
                                      {60'000'000'000, "m"},
                                      {1'000'000'000, "s"},
                                      {1'000'000, "ms"}};
    std::int64_t duration = value.get<std::int64_t>();
    for (const Unit& unit : kUnits)
      if (duration % unit.nanoseconds == 0) return std::to_string(duration / unit.nanoseconds) + unit.text;
  }
  if (value.is_string()) return value.get<std::string>();
  return value.dump();
}

}  // namespace cutover
