#include "runtime/postgres/headers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace cutover::postgres {
namespace {

using nlohmann::json;

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) out.push_back(k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=');
  }
  return out;
}

// Text that jsonb can hold: valid UTF-8 without NUL.
bool is_text(std::string_view value) {
  if (value.find('\0') != std::string_view::npos) return false;
  try {
    json(value).dump();
    return true;
  } catch (const json::type_error&) {
    return false;
  }
}

}  // namespace

std::string headers_to_json(std::span<const std::pair<std::string, std::string>> headers) {
  json object = json::object();
  for (const auto& [name, value] : headers) object[name] = value;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<std::pair<std::string, std::string>> headers_from_json(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (text.empty()) return headers;
  json object = json::parse(text);
  for (const auto& [name, value] : object.items())
    headers.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  return headers;
}

std::string raw_headers_to_json(std::span<const Header> headers) {
  json array = json::array();
  for (const Header& header : headers) {
    std::string name = is_text(header.name) ? std::string(header.name) : "base64:" + base64(header.name);
    if (is_text(header.value))
      array.push_back({name, header.value});
    else
      array.push_back({name, nullptr, base64(header.value)});
  }
  return array.dump();
}

std::string timestamp_text(Instant instant) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(instant);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06d}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)),
                     (instant - seconds).count());
}

}  // namespace cutover::postgres
