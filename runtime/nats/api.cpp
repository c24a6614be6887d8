#include "runtime/nats/api.h"

#include <charconv>
#include <cstdio>

namespace cutover {

using nlohmann::json;

ApiAnswer parse_answer(std::string_view text) {
  ApiAnswer answer;
  answer.body = json::parse(text, nullptr, false);
  if (!answer.body.is_object()) {
    answer.body = json::object();
    answer.error = ApiError{500, 0, "an answer that is not a JSON object"};
    return answer;
  }
  if (auto error = answer.body.find("error"); error != answer.body.end() && error->is_object())
    answer.error = ApiError{error->value("code", 0), error->value("err_code", 0),
                            error->value("description", std::string("no description"))};
  return answer;
}

std::optional<Instant> parse_api_time(std::string_view text) {
  using namespace std::chrono;
  auto number = [&](std::size_t from, std::size_t size, int& value) {
    if (from + size > text.size()) return false;
    auto [end, error] = std::from_chars(text.data() + from, text.data() + from + size, value);
    return error == std::errc{} && end == text.data() + from + size;
  };
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
  if (!number(0, 4, y) || !number(5, 2, mo) || !number(8, 2, d) || !number(11, 2, h) || !number(14, 2, mi) ||
      !number(17, 2, s) || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  std::int64_t fraction = 0, scale = 100'000;
  std::size_t at = 19;
  if (at < text.size() && text[at] == '.')
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      fraction += (text[at] - '0') * scale;
  if (text.substr(at) != "Z") return std::nullopt;
  year_month_day day{year(y), month(static_cast<unsigned>(mo)), std::chrono::day(static_cast<unsigned>(d))};
  if (!day.ok()) return std::nullopt;
  return Instant(sys_days(day)) + hours(h) + minutes(mi) + seconds(s) + microseconds(fraction);
}

std::string format_api_time(Instant time) {
  using namespace std::chrono;
  sys_days day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(time - day);
  char text[48];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

json consumer_config(const LaneSpec& lane, const std::string& durable) {
  return {{"durable_name", durable},
          {"deliver_policy", "all"},
          {"ack_policy", "explicit"},
          {"ack_wait", std::chrono::nanoseconds(lane.ack_wait).count()},
          {"max_ack_pending", lane.max_ack_pending},
          {"max_deliver", -1},
          {"filter_subject", lane.filter_subject},
          {"replay_policy", "instant"}};
}

std::optional<json> changed_config(const json& live, const json& wanted) {
  static constexpr const char* kLeftOff[] = {"inactive_threshold", "max_batch", "max_expires", "max_bytes",
                                             "backoff"};
  json config = live;
  for (const auto& [field, value] : wanted.items())
    if (field != "deliver_policy") config[field] = value;
  for (const char* field : kLeftOff) config.erase(field);
  if (config == live) return std::nullopt;
  return config;
}

}  // namespace cutover
