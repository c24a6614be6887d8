#include "runtime/nats/header_block.h"

#include <algorithm>
#include <charconv>

namespace cutover {
namespace {

constexpr std::string_view kVersion = "NATS/1.0";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the first line, without its end, off `rest`. A line that starts with a blank continues the one
// before.
std::string_view take_line(std::string_view& rest) {
  std::size_t end = 0;
  for (;;) {
    end = rest.find("\r\n", end);
    if (end == std::string_view::npos) break;
    bool continued = end + 2 < rest.size() && (rest[end + 2] == ' ' || rest[end + 2] == '\t');
    if (!continued) break;
    end += 2;
  }
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Servers differ in the capitals of these texts.
bool contains(std::string_view text, std::string_view part) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  auto same = [&](char a, char b) { return lower(a) == lower(b); };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

}  // namespace

std::vector<Header> parse_headers(std::string_view block) {
  std::vector<Header> headers;
  if (!block.starts_with(kVersion)) return headers;
  take_line(block);
  headers.reserve(static_cast<std::size_t>(std::count(block.begin(), block.end(), '\n')));
  while (!block.empty()) {
    std::string_view line = take_line(block);
    std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    headers.push_back({line.substr(0, colon), trim(line.substr(colon + 1))});
  }
  return headers;
}

StatusLine parse_status(std::string_view block) {
  StatusLine status;
  if (!block.starts_with(kVersion)) return status;
  std::string_view line = trim(take_line(block).substr(kVersion.size()));
  std::size_t blank = std::min(line.find(' '), line.size());
  status.code = static_cast<int>(number(line.substr(0, blank)).value_or(0));
  status.description = trim(line.substr(blank));
  while (!block.empty()) {
    line = take_line(block);
    std::size_t colon = std::min(line.find(':'), line.size());
    std::string_view value = trim(line.substr(std::min(colon + 1, line.size())));
    if (line.substr(0, colon) == "Nats-Pending-Messages") status.pending_messages = number(value);
    if (line.substr(0, colon) == "Nats-Pending-Bytes") status.pending_bytes = number(value);
  }
  return status;
}

PullStatus classify(const StatusLine& status) {
  switch (status.code) {
    case 0:
      return PullStatus::none;
    case 100:
      return PullStatus::heartbeat;
    case 404:
    case 408:
      return PullStatus::expired;
    case 400:
      return PullStatus::refused;
    case 503:
      return PullStatus::no_responders;
    case 409:
      break;
    default:
      return PullStatus::unknown;
  }
  struct Text {
    std::string_view part;
    PullStatus status;
  };
  static constexpr Text kTexts[] = {
      {"consumer deleted", PullStatus::consumer_deleted},
      {"batch completed", PullStatus::expired},
      {"exceeded maxwaiting", PullStatus::too_many_pulls},
      {"leadership change", PullStatus::leader_changed},
      {"server shutdown", PullStatus::leader_changed},
      {"message size exceeds maxbytes", PullStatus::too_large},
      {"push based", PullStatus::push_consumer},
      {"exceeded max", PullStatus::refused},  // MaxRequestBatch, MaxRequestExpires, MaxRequestMaxBytes
  };
  for (const Text& text : kTexts)
    if (contains(status.description, text.part)) return text.status;
  return PullStatus::unknown;
}

}  // namespace cutover
