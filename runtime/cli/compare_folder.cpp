#include "runtime/cli/compare_folder.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/cli/shell.h"

namespace cutover::cli {
namespace {

namespace fs = std::filesystem;
using parity::OutputResult;
using parity::WalkState;

constexpr const char* kState = "state.json";
constexpr const char* kSuspects = "suspects.jsonl";
constexpr const char* kDifferences = "diffs.jsonl";

Json result_json(const OutputResult& r) {
  Json ignores = Json::array();
  for (const parity::IgnoreUse& use : r.ignores)
    ignores.push_back({use.rule.output, use.rule.field, use.rule.owner, use.rule.reason, use.rule.expires,
                       use.rule.rate_max, use.expired, use.hidden});
  return {{"output", r.output},           {"counts", r.counts}, {"serving_rows", r.serving_rows},
          {"worker_rows", r.worker_rows}, {"strata", r.strata}, {"ignores", ignores}};
}

OutputResult result_of(const Json& j) {
  OutputResult r;
  r.output = j.at("output").get<std::string>();
  r.counts = j.at("counts").get<parity::Counts>();
  r.serving_rows = j.at("serving_rows").get<std::uint64_t>();
  r.worker_rows = j.at("worker_rows").get<std::uint64_t>();
  r.strata = j.at("strata").get<std::map<std::string, std::uint64_t>>();
  for (const Json& u : j.at("ignores"))
    r.ignores.push_back({{u[0].get<std::string>(), u[1].get<std::string>(), u[2].get<std::string>(),
                          u[3].get<std::string>(), u[4].get<std::string>(), u[5].get<double>()},
                         u[6].get<bool>(),
                         u[7].get<std::uint64_t>()});
  return r;
}

Json scope_json(const ComparisonScope& s) {
  return {{"id", s.id},       {"worker", s.worker}, {"against", s.against},
          {"since", s.since}, {"rerun", s.rerun},   {"at", s.at}};
}

std::ofstream open_to_write(const fs::path& path, std::ios::openmode mode) {
  std::ofstream out(path, mode);
  if (!out)
    throw CommandError(
        fmt::format("cannot write {}. Do: name a folder of your own with --out", path.string()));
  return out;
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code missing;
  const auto bytes = fs::file_size(path, missing);
  return missing ? 0 : bytes;
}

}  // namespace

CompareFolder::CompareFolder(fs::path folder, ComparisonScope scope,
                             const std::vector<cutover::Output>& outputs,
                             std::function<bool(const WalkState&)> walked)
    : folder_(std::move(folder)), scope_(std::move(scope)), outputs_(outputs), walked_(std::move(walked)) {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  if (failed)
    throw CommandError(fmt::format("cannot make the folder {}: {}. Do: name another one with --out",
                                   folder_.string(), failed.message()));
  if (fs::exists(folder_ / kState)) load();
  if (!resumed_) {
    open_to_write(folder_ / kSuspects, std::ios::trunc);
    open_to_write(folder_ / kDifferences, std::ios::trunc);
    save();
  }
  suspects_ = open_to_write(folder_ / kSuspects, std::ios::app);
  differences_ = open_to_write(folder_ / kDifferences, std::ios::app);
}

void CompareFolder::load() {
  std::ifstream in(folder_ / kState);
  const Json saved = Json::parse(in, nullptr, false);
  const std::string forget =
      fmt::format(". Do: give another folder with --out, or delete {}", (folder_ / kState).string());
  try {
    const Json& scope = saved.at("scope");
    for (const char* what : {"worker", "against", "since", "rerun"})
      if (scope.at(what) != scope_json(scope_).at(what))
        throw CommandError(fmt::format("{} holds an unfinished comparison with another {}: {}{}",
                                       folder_.string(), what, scope.at(what).dump(), forget));
    scope_.id = scope.at("id").get<std::string>();
    scope_.at = scope.at("at").get<std::string>();
    for (const Json& result : saved.at("finished")) finished_.push_back(result_of(result));
    const Json& walk = saved.at("walk");
    if (!walk.at("after").is_null()) state_.after = walk.at("after").get<parity::Key>();
    state_.done = walk.at("done").get<bool>();
    state_.suspects = walk.at("suspects").get<std::uint64_t>();
    state_.result = result_of(walk.at("result"));
    differences_bytes_ = saved.at("differences_bytes").get<std::uint64_t>();
    fs::resize_file(folder_ / kSuspects,
                    std::min(size_of(folder_ / kSuspects), saved.at("suspects_bytes").get<std::uint64_t>()));
    fs::resize_file(folder_ / kDifferences, std::min(size_of(folder_ / kDifferences), differences_bytes_));
  } catch (const std::exception& error) {
    if (dynamic_cast<const CommandError*>(&error) != nullptr) throw;
    throw CommandError(
        fmt::format("{} cannot be read: {}{}", (folder_ / kState).string(), error.what(), forget));
  }
  resumed_ = true;
}

void CompareFolder::save() const {
  Json finished = Json::array();
  for (const OutputResult& result : finished_) finished.push_back(result_json(result));
  const Json saved = {{"scope", scope_json(scope_)},
                      {"finished", finished},
                      {"walk",
                       {{"after", state_.after ? Json(*state_.after) : Json(nullptr)},
                        {"done", state_.done},
                        {"suspects", state_.suspects},
                        {"result", result_json(state_.result)}}},
                      {"suspects_bytes", size_of(folder_ / kSuspects)},
                      {"differences_bytes", differences_bytes_}};
  write(std::string(kState) + ".new", saved.dump());
  fs::rename(folder_ / (std::string(kState) + ".new"), folder_ / kState);
}

void CompareFolder::write(const std::string& name, const std::string& text) const {
  std::ofstream out = open_to_write(folder_ / name, std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw CommandError(fmt::format("cannot write {}: is the disk full?", (folder_ / name).string()));
}

void CompareFolder::suspect(const parity::Suspect& s) {
  suspects_ << Json{{"k", s.key}, {"f", s.fingerprint}, {"b", s.beyond}}.dump(-1, ' ', false,
                                                                              Json::error_handler_t::replace)
            << '\n';
}

std::vector<parity::Suspect> CompareFolder::suspects(std::uint64_t from, std::size_t limit) {
  std::string line;
  if (from == 0 || from != read_) {
    suspects_.flush();
    reading_ = std::ifstream(folder_ / kSuspects);
    for (read_ = 0; read_ < from && std::getline(reading_, line);) ++read_;
  }
  std::vector<parity::Suspect> found;
  while (found.size() < limit && std::getline(reading_, line)) {
    const Json json = Json::parse(line);
    found.push_back({json.at("k").get<parity::Key>(), json.at("f").get<std::uint64_t>(),
                     json.at("b").get<std::string>()});
    ++read_;
  }
  return found;
}

const cutover::Output& CompareFolder::output_of(const std::string& name) const {
  const auto found = std::find_if(outputs_.begin(), outputs_.end(),
                                  [&](const cutover::Output& o) { return o.name == name; });
  static const cutover::Output kNone;
  return found == outputs_.end() ? kNone : *found;
}

void CompareFolder::difference(const parity::Difference& d) {
  differences_ << parity::difference_line(scope_.worker, output_of(d.output), d) << '\n';
}

bool CompareFolder::walked(const WalkState& state) {
  state_ = state;
  suspects_.flush();
  save();
  return walked_(state);
}

void CompareFolder::begin_settle() {
  differences_.close();
  fs::resize_file(folder_ / kDifferences, std::min(size_of(folder_ / kDifferences), differences_bytes_));
  differences_ = open_to_write(folder_ / kDifferences, std::ios::app);
}

void CompareFolder::finish_output(const OutputResult& result) {
  finished_.push_back(result);
  state_ = {};
  suspects_ = open_to_write(folder_ / kSuspects, std::ios::trunc);
  read_ = 0;
  differences_.flush();
  differences_bytes_ = size_of(folder_ / kDifferences);
  save();
}

void CompareFolder::for_each(const std::function<void(const parity::Difference&)>& take) {
  differences_.flush();
  std::ifstream in(folder_ / kDifferences);
  for (std::string line; std::getline(in, line);) {
    const std::string name = Json::parse(line).value("output", "");
    take(parity::parse_difference(line, output_of(name)));
  }
}

void CompareFolder::close() {
  differences_.close();
  suspects_.close();
  fs::remove(folder_ / kSuspects);
  fs::remove(folder_ / kState);
}

std::vector<parity::Key> keys_of_report(const fs::path& folder, const cutover::Output& output) {
  std::ifstream in(folder / kDifferences);
  if (!in)
    throw CommandError(fmt::format("there is no {} in {}. Do: name a report that is on this machine",
                                   kDifferences, folder.string()));
  std::vector<parity::Key> keys;
  for (std::string line; std::getline(in, line);) {
    const parity::Difference d = parity::parse_difference(line, output);
    if (d.output == output.name && d.what != parity::Class::ignored && d.key.size() == output.keys.size())
      keys.push_back(d.key);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace cutover::cli
