#include "runtime/postgres/headers.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace cutover::postgres {
namespace {

using nlohmann::json;

constexpr std::string_view kEncodedName = "base64:";
constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
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

// Back from what base64 wrote.
std::string unbase64(std::string_view text) {
  std::string out;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) break;
    group = group << 6 | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits >= 8) out.push_back(static_cast<char>(group >> (bits -= 8) & 0xFF));
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
  const json document = json::parse(text);
  if (document.is_array()) {
    for (const json& header : document) {
      std::string name = header.at(0).get<std::string>();
      if (name.starts_with(kEncodedName)) name = unbase64(name.substr(kEncodedName.size()));
      headers.emplace_back(std::move(name), header.at(1).is_null() ? unbase64(header.at(2).get<std::string>())
                                                                   : header.at(1).get<std::string>());
    }
    return headers;
  }
  for (const auto& [name, value] : document.items())
    headers.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  return headers;
}

std::string raw_headers_to_json(std::span<const Header> headers) {
  json array = json::array();
  for (const Header& header : headers) {
    std::string name = is_text(header.name) ? std::string(header.name) : std::string(kEncodedName) + base64(header.name);
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
