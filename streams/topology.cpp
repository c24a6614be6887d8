#include "streams/topology.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "streams/stream_fields.h"

namespace cutover {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

TopologyError problem(const fs::path& path, const std::string& what) {
  return TopologyError(path.string() + ": " + what);
}

std::vector<fs::path> json_files(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error))
    if (entry.is_regular_file() && entry.path().extension() == ".json") files.push_back(entry.path());
  if (error)
    throw problem(directory,
                  "cannot be read: " + error.message() + "; name the directory with --streams-dir");
  std::sort(files.begin(), files.end());
  return files;
}

json read_json(const fs::path& path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file) throw problem(path, "cannot be read; check its permissions");
  try {
    json value = json::parse(text);
    if (!value.is_object())
      throw problem(path, "must hold one JSON object, a stream configuration of the JetStream API");
    return value;
  } catch (const json::parse_error& error) {
    std::string what =
        error.what();  // "[json.exception.parse_error.101] parse error at line 2, column 3: ..."
    if (std::size_t end = what.find("] "); end != std::string::npos) what.erase(0, end + 2);
    throw problem(path, what);
  }
}

void check_fields(const fs::path& path, const json& config) {
  for (const auto& [field, value] : config.items())
    if (auto why = field_problem(field, value)) throw problem(path, "field " + field + " " + *why);
}

void check_name(const fs::path& path, const json& config) {
  auto name = config.find("name");
  if (name == config.end()) throw problem(path, "field name is missing; it must be " + path.stem().string());
  if (*name != path.stem().string())
    throw problem(path, "field name is " + name->dump() + " but the file is called " +
                            path.filename().string() + "; make them equal");
}

void check_subjects(const std::vector<StreamFile>& streams) {
  for (std::size_t i = 0; i < streams.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      for (const json& a : streams[i].config["subjects"])
        for (const json& b : streams[j].config["subjects"])
          if (subjects_overlap(a.get<std::string>(), b.get<std::string>()))
            throw problem(streams[i].path, "field subjects: " + a.get<std::string>() + " overlaps with " +
                                               b.get<std::string>() + " of " + streams[j].path.string() +
                                               "; a subject belongs to one stream");
}

}  // namespace

bool subjects_overlap(std::string_view a, std::string_view b) {
  for (;;) {
    std::size_t dot_a = a.find('.'), dot_b = b.find('.');
    std::string_view token_a = a.substr(0, dot_a), token_b = b.substr(0, dot_b);
    if (token_a == ">" || token_b == ">") return true;
    if (token_a != token_b && token_a != "*" && token_b != "*") return false;
    bool end_a = dot_a == std::string_view::npos, end_b = dot_b == std::string_view::npos;
    if (end_a || end_b) return end_a && end_b;
    a.remove_prefix(dot_a + 1);
    b.remove_prefix(dot_b + 1);
  }
}

fs::path default_topology_directory() {
  // An installed tree may have been moved as a whole, so the executable's own prefix is asked first.
  std::error_code error;
  fs::path executable = fs::read_symlink("/proc/self/exe", error);
  fs::path moved = executable.parent_path().parent_path() / "share" / "cutover" / "streams";
  if (!error && fs::is_directory(moved, error)) return moved;
  return CUTOVER_STREAMS_DIR;
}

Topology load_topology(const fs::path& directory, const std::string& environment) {
  Topology topology;
  topology.environment = environment;
  for (const fs::path& path : json_files(directory)) {
    StreamFile stream{path.stem().string(), path, read_json(path)};
    check_name(path, stream.config);
    topology.streams.push_back(std::move(stream));
  }
  if (topology.streams.empty())
    throw problem(directory, "holds no *.json file; name the directory with --streams-dir");

  if (!environment.empty()) {
    for (const fs::path& path : json_files(directory / environment)) {
      auto base = std::find_if(topology.streams.begin(), topology.streams.end(),
                               [&](const StreamFile& s) { return s.name == path.stem().string(); });
      if (base == topology.streams.end())
        throw problem(path,
                      "overrides a stream that has no file in " + directory.string() + "; add that first");
      json overlay = read_json(path);
      check_name(path, overlay);
      for (const auto& [field, value] : overlay.items())
        if (auto why = value.is_null() ? std::nullopt : field_problem(field, value))
          throw problem(path, "field " + field + " " + *why);
      base->config.merge_patch(overlay);
    }
  }

  for (const StreamFile& stream : topology.streams) {
    check_fields(stream.path, stream.config);
    if (!stream.config.contains("subjects")) throw problem(stream.path, "field subjects is missing");
  }
  check_subjects(topology.streams);
  return topology;
}

}  // namespace cutover
