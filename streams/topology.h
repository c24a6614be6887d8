#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cutover {

// The files below streams/ do not say what the server needs; what() names file, field and what to do.
class TopologyError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// One stream as its file wants it. Fields that the file leaves out are the server's business.
struct StreamFile {
  std::string name;
  std::filesystem::path path;
  nlohmann::json config;  // in the form of the JetStream API
};

struct Topology {
  std::vector<StreamFile> streams;  // by name
  std::string environment;          // the overlay that was applied, empty for none
};

// Where the files are unless told otherwise: streams/ of the source tree in a build, share/cutover/streams
// when installed.
std::filesystem::path default_topology_directory();

// Reads every *.json of `directory`, one stream each, and merges the file of the same name from
// `directory`/`environment` over it (RFC 7396). Throws TopologyError.
Topology load_topology(const std::filesystem::path& directory, const std::string& environment = "");

// True when some subject matches both patterns.
bool subjects_overlap(std::string_view a, std::string_view b);

}  // namespace cutover
