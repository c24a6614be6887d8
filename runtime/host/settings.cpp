#include "runtime/host/settings.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "runtime/host/settings_table.h"

namespace cutover {
namespace {

constexpr std::string_view kVariablePrefix = "CUTOVER_";
// Not settings: the path of the file itself, which is read before them, and what the test programs tell each
// other.
constexpr std::string_view kFileVariable = "CUTOVER_CONFIG";
constexpr std::string_view kTestPrefix = "CUTOVER_TEST_";
constexpr std::string_view kMask = "***";

// One value as it was given, before it is understood.
struct Given {
  std::string key;
  std::string value;
  std::string source;
  bool from_flag = false;
};

using Problems = std::vector<std::string>;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j)
      diagonal = std::exchange(row[j + 1], std::min({row[j] + 1, row[j + 1] + 1, diagonal + (a[i] != b[j])}));
  }
  return row.back();
}

std::string nearest_key(std::string_view key, const std::vector<Setting>& table) {
  const auto nearest = std::min_element(table.begin(), table.end(), [&](const Setting& a, const Setting& b) {
    return edit_distance(a.key, key) < edit_distance(b.key, key);
  });
  return edit_distance(nearest->key, key) <= std::max<std::size_t>(2, key.size() / 3) ? nearest->key : "";
}

std::string unknown_key(const Given& given, const std::vector<Setting>& table) {
  const std::string nearest = nearest_key(given.key, table);
  return fmt::format("unknown setting {} ({}). Do: {}`cutover config --keys` lists all.", given.key,
                     given.source, nearest.empty() ? "" : "write " + nearest + " if that is meant; ");
}

// --- The file
// ---------------------------------------------------------------------------------------------------------

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* list = node.as_array()) {
    std::string all;
    for (const toml::node& item : *list) all += (all.empty() ? "" : ",") + text_of(item);
    return all;
  }
  return "(a date)";
}

void flatten(const toml::table& table, const std::string& prefix, const std::string& path,
             std::vector<Given>& out) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const auto* inner = node.as_table())
      flatten(*inner, key + ".", path, out);
    else
      out.push_back({key, text_of(node), fmt::format("{}:{}", path, node.source().begin.line)});
  }
}

std::vector<Given> from_file(const std::string& path, Problems& problems) {
  std::vector<Given> given;
  if (path.empty()) return given;
  std::ifstream file(path);
  if (!file) {
    problems.push_back(
        fmt::format("the settings file cannot be read ({}). Do: check the path and its permissions.", path));
    return given;
  }
  try {
    flatten(toml::parse(file, path), "", path, given);
  } catch (const toml::parse_error& error) {
    problems.push_back(fmt::format("the settings file is not TOML: {} ({}:{}). Do: correct that line.",
                                   error.description(), path, error.source().begin.line));
  }
  return given;
}

// --- Variables and flags
// ------------------------------------------------------------------------------------------------

std::vector<Given> from_environment(const SettingSources& sources, const std::vector<Setting>& table,
                                    Problems& problems) {
  std::map<std::string, std::string> keys;
  for (const Setting& setting : table) keys.emplace(variable_of(setting.key), setting.key);
  std::vector<Given> given;
  for (const auto& [name, value] : sources.environment) {
    if (!name.starts_with(kVariablePrefix) || name == kFileVariable || name.starts_with(kTestPrefix))
      continue;
    if (const auto key = keys.find(name); key != keys.end()) {
      given.push_back({key->second, value, name});
      continue;
    }
    std::string guess = name.substr(kVariablePrefix.size());
    std::transform(guess.begin(), guess.end(), guess.begin(),
                   [](unsigned char c) { return c == '_' ? '.' : static_cast<char>(std::tolower(c)); });
    const std::string nearest = nearest_key(guess, table);
    problems.push_back(
        fmt::format("the variable {} sets nothing. Do: {}unset it; `cutover config --keys` lists all.", name,
                    nearest.empty() ? "" : "write " + variable_of(nearest) + " if that is meant, or "));
  }
  return given;
}

// --- Together
// ---------------------------------------------------------------------------------------------------------

bool is_address(const Slot& slot) {
  return std::holds_alternative<UrlSlot>(slot) || std::holds_alternative<UrlListSlot>(slot);
}

// Applies one value; returns what is wrong with it, empty when nothing is.
std::string apply(const Given& given, const std::vector<Setting>& table,
                  std::map<std::string, std::string>& source_of) {
  const auto setting =
      std::find_if(table.begin(), table.end(), [&](const Setting& s) { return s.key == given.key; });
  if (setting == table.end()) return unknown_key(given, table);
  if (given.from_flag && (setting->secret || (is_address(setting->slot) && has_password(given.value))))
    return fmt::format(
        "{} may not carry a secret on the command line, where every user of the machine can read it ({}). "
        "Do: put it into a file or into {}.",
        setting->key, given.source,
        variable_of(setting->key == "postgres.url" ? "postgres.password" : setting->key));
  if (!assign(setting->slot, given.value)) {
    const std::string shown = setting->secret             ? std::string(kMask)
                              : is_address(setting->slot) ? mask_password(given.value)
                                                          : given.value;
    return fmt::format("{} = \"{}\" is not accepted ({}). Do: give {}.", setting->key, shown, given.source,
                       accepted_by(setting->slot));
  }
  source_of[setting->key] = given.source;
  return {};
}

std::string read_password(const std::string& path) {
  std::ifstream file(path);
  std::string password{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  while (!password.empty() && (password.back() == '\n' || password.back() == '\r')) password.pop_back();
  return password;
}

// What no single key can say.
void check_together(Settings& s, Problems& problems) {
  if (!s.postgres.password_file.empty()) {
    if (!s.postgres.password.empty())
      problems.emplace_back(
          "postgres.password and postgres.password_file are both set. Do: keep one of them.");
    s.postgres.password = read_password(s.postgres.password_file);
    if (s.postgres.password.empty())
      problems.push_back(
          fmt::format("postgres.password_file holds no password ({}). Do: write it there, on one line.",
                      s.postgres.password_file));
  }
  if (!s.postgres.password.empty() && has_password(s.postgres.url))
    problems.emplace_back("postgres.url has a password and another one is set. Do: keep one of them.");
  if (!s.nats.credentials_file.empty() && !s.nats.nkey_seed_file.empty())
    problems.emplace_back(
        "nats.credentials_file and nats.nkey_seed_file are both set. Do: keep one of them.");
  if (s.nats.tls_cert.empty() != s.nats.tls_key.empty())
    problems.emplace_back("only one of nats.tls_cert and nats.tls_key is set. Do: set both, or none.");
}

}  // namespace

const WorkerSpec& Settings::worker(std::string_view name) const {
  const auto found =
      std::find_if(workers.begin(), workers.end(), [&](const WorkerSpec& w) { return w.name == name; });
  if (found == workers.end()) throw std::out_of_range("no worker is called " + std::string(name));
  return *found;
}

std::string variable_of(std::string_view key) {
  std::string name(kVariablePrefix);
  for (const char c : key)
    name += c == '.' || c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::vector<std::pair<std::string, std::string>> process_environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const auto equals = line.find('=');
    if (equals != std::string_view::npos)
      variables.emplace_back(line.substr(0, equals), line.substr(equals + 1));
  }
  return variables;
}

LoadedSettings load_settings(const SettingSources& sources, std::vector<WorkerSpec> workers) {
  LoadedSettings loaded;
  loaded.values.workers = std::move(workers);
  const std::vector<Setting> table = settings_table(loaded.values);
  for (const Setting& setting : table)
    loaded.lines.push_back({setting.key, "", "default", type_of(setting.slot), print(setting.slot),
                            accepted_by(setting.slot), setting.description});

  Problems problems;
  std::vector<Given> all = from_file(sources.file, problems);
  const std::vector<Given> variables = from_environment(sources, table, problems);
  all.insert(all.end(), variables.begin(), variables.end());
  for (const auto& [key, value, flag] : sources.flags) all.push_back({key, value, flag, true});

  std::map<std::string, std::string> source_of;
  for (const Given& given : all)
    if (std::string problem = apply(given, table, source_of); !problem.empty())
      problems.push_back(std::move(problem));
  check_together(loaded.values, problems);
  if (!problems.empty()) throw SettingsError(fmt::format("{}", fmt::join(problems, "\n")));

  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::string value = print(table[i].slot);
    loaded.lines[i].value = table[i].secret && !value.empty() ? std::string(kMask) : value;
    if (const auto source = source_of.find(table[i].key); source != source_of.end())
      loaded.lines[i].source = source->second;
  }
  return loaded;
}

}  // namespace cutover
