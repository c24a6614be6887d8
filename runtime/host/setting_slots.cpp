#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <regex>

#include <fmt/format.h>

#include "runtime/host/quantities.h"
#include "runtime/host/settings_table.h"

namespace cutover {
namespace {

constexpr std::string_view kMask = "***";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (const auto part = trimmed(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text, Number min, Number max) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !(number >= min && number <= max))
    return std::nullopt;
  return number;
}

// scheme://host..., with a host.
bool is_url(std::string_view text, std::string_view schemes) {
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) return false;
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return false;
  const auto known = split(schemes, ' ');
  return std::find(known.begin(), known.end(), text.substr(0, colon)) != known.end();
}

// user:secret of user:secret@host; empty without one.
std::string_view user_info(std::string_view address) {
  const auto scheme = address.find("://");
  const auto rest = scheme == std::string_view::npos ? address : address.substr(scheme + 3);
  const auto authority = rest.substr(0, std::min(rest.find_first_of("/?#"), rest.size()));
  const auto at = authority.rfind('@');
  return at == std::string_view::npos ? std::string_view{} : authority.substr(0, at);
}

const std::regex& password_parameter() {
  static const std::regex pattern(R"(((?:^|[?&\s])(?:ssl)?password\s*=\s*)('(?:[^'\\]|\\.)*'|[^&\s]*))",
                                  std::regex::icase);
  return pattern;
}

bool readable(const std::string& path) {
  return std::ifstream(path).good();
}

struct Assign {
  std::string_view text;

  bool operator()(const TextSlot& slot) const {
    *slot.value = text;
    return true;
  }
  bool operator()(const FileSlot& slot) const {
    const std::string path(text);
    if (!path.empty() && !readable(path)) return false;
    *slot.value = path;
    return true;
  }
  bool operator()(const UrlSlot& slot) const {
    const bool keywords =
        text.find("://") == std::string_view::npos && text.find('=') != std::string_view::npos;
    if (!keywords && !is_url(text, slot.schemes)) return false;
    *slot.value = text;
    return true;
  }
  bool operator()(const UrlListSlot& slot) const {
    auto urls = split(text, ',');
    if (urls.empty()) return false;
    for (const std::string& url : urls)
      if (!is_url(url, slot.schemes) || url.ends_with("://")) return false;
    *slot.value = std::move(urls);
    return true;
  }
  bool operator()(const ChoiceSlot& slot) const {
    if (std::find(slot.choices.begin(), slot.choices.end(), text) == slot.choices.end()) return false;
    *slot.value = text;
    return true;
  }
  bool operator()(const BoolSlot& slot) const {
    if (text != "true" && text != "false") return false;
    *slot.value = text == "true";
    return true;
  }
  bool operator()(const CountSlot& slot) const {
    return put(slot.value, parse_number(text, slot.min, slot.max));
  }
  bool operator()(const RealSlot& slot) const {
    return put(slot.value, parse_number(text, slot.min, slot.max));
  }
  bool operator()(const DurationSlot& slot) const {
    const auto span = parse_duration(text);
    return span && *span >= slot.min && *span <= slot.max && put(slot.value, span);
  }
  bool operator()(const SizeSlot& slot) const {
    const auto bytes = parse_size(text);
    return bytes && *bytes >= slot.min && *bytes <= slot.max && put(slot.value, bytes);
  }
  bool operator()(const AddressSlot& slot) const {
    const std::string address(text);
    unsigned char bytes[16];
    if (::inet_pton(AF_INET, address.c_str(), bytes) != 1 &&
        ::inet_pton(AF_INET6, address.c_str(), bytes) != 1)
      return false;
    *slot.value = address;
    return true;
  }

  template <typename T>
  static bool put(T* value, const std::optional<T>& parsed) {
    if (parsed) *value = *parsed;
    return parsed.has_value();
  }
};

struct Print {
  std::string operator()(const UrlSlot& slot) const { return mask_password(*slot.value); }
  std::string operator()(const UrlListSlot& slot) const {
    std::string all;
    for (const std::string& url : *slot.value) all += (all.empty() ? "" : ",") + mask_password(url);
    return all;
  }
  std::string operator()(const BoolSlot& slot) const { return *slot.value ? "true" : "false"; }
  std::string operator()(const CountSlot& slot) const { return std::to_string(*slot.value); }
  std::string operator()(const RealSlot& slot) const { return fmt::format("{:g}", *slot.value); }
  std::string operator()(const DurationSlot& slot) const { return format_duration(*slot.value); }
  std::string operator()(const SizeSlot& slot) const { return format_size(*slot.value); }
  template <typename TextLike>
  std::string operator()(const TextLike& slot) const {
    return *slot.value;
  }
};

struct TypeOf {
  std::string operator()(const TextSlot&) const { return "text"; }
  std::string operator()(const FileSlot&) const { return "file"; }
  std::string operator()(const UrlSlot&) const { return "address"; }
  std::string operator()(const UrlListSlot&) const { return "addresses"; }
  std::string operator()(const ChoiceSlot&) const { return "choice"; }
  std::string operator()(const BoolSlot&) const { return "true or false"; }
  std::string operator()(const CountSlot&) const { return "whole number"; }
  std::string operator()(const RealSlot&) const { return "number"; }
  std::string operator()(const DurationSlot&) const { return "duration"; }
  std::string operator()(const SizeSlot&) const { return "size"; }
  std::string operator()(const AddressSlot&) const { return "IP address"; }
};

struct AcceptedBy {
  std::string operator()(const TextSlot&) const { return "any text"; }
  std::string operator()(const FileSlot&) const { return "the path of a file that can be read, or nothing"; }
  std::string operator()(const UrlSlot& slot) const {
    return fmt::format("{}://[user@]host[:port]/name, or keywords as in \"host=... dbname=...\"",
                       split(slot.schemes, ' ')[0]);
  }
  std::string operator()(const UrlListSlot& slot) const {
    return fmt::format("{}://host:port, separated by commas", fmt::join(split(slot.schemes, ' '), ":// or "));
  }
  std::string operator()(const ChoiceSlot& slot) const {
    return fmt::format("{}", fmt::join(slot.choices, ", "));
  }
  std::string operator()(const BoolSlot&) const { return "true, false"; }
  std::string operator()(const CountSlot& slot) const { return fmt::format("{} to {}", slot.min, slot.max); }
  std::string operator()(const RealSlot& slot) const {
    return fmt::format("{:g} to {:g}", slot.min, slot.max);
  }
  std::string operator()(const DurationSlot& slot) const {
    return fmt::format("{} to {}, with a unit of ms, s, m, h, d", format_duration(slot.min),
                       format_duration(slot.max));
  }
  std::string operator()(const SizeSlot& slot) const {
    return fmt::format("{} to {}, with a unit of B, KiB, MiB, GiB", format_size(slot.min),
                       format_size(slot.max));
  }
  std::string operator()(const AddressSlot&) const {
    return "an IPv4 or IPv6 address, such as 127.0.0.1 or 0.0.0.0";
  }
};

}  // namespace

bool assign(const Slot& slot, std::string_view text) {
  return std::visit(Assign{trimmed(text)}, slot);
}
std::string print(const Slot& slot) {
  return std::visit(Print{}, slot);
}
std::string type_of(const Slot& slot) {
  return std::visit(TypeOf{}, slot);
}
std::string accepted_by(const Slot& slot) {
  return std::visit(AcceptedBy{}, slot);
}

bool has_password(std::string_view address) {
  const auto user = user_info(address);
  // A NATS address with a user and no password carries a token.
  const bool token = !user.empty() && !address.starts_with("postgres");
  return token || user.find(':') != std::string_view::npos ||
         std::regex_search(address.begin(), address.end(), password_parameter());
}

std::string mask_password(std::string_view address) {
  std::string masked(address);
  // Not an address at all, so there is no telling what of it is secret.
  if (address.find("://") == std::string_view::npos && address.find('=') == std::string_view::npos)
    if (const auto at = address.rfind('@'); at != std::string_view::npos) return masked.replace(0, at, kMask);
  if (const auto user = user_info(address); !user.empty() && has_password(address)) {
    const auto begin = static_cast<std::size_t>(user.data() - address.data());
    const auto colon = user.find(':');
    const auto keep =
        colon == std::string_view::npos ? (address.starts_with("postgres") ? user.size() : 0) : colon + 1;
    if (keep < user.size()) masked.replace(begin + keep, user.size() - keep, kMask);
  }
  return std::regex_replace(masked, password_parameter(), "$1***");
}

}  // namespace cutover
