#pragma once

#include "runtime/host/settings.h"
#include "streams/topology.h"

namespace cutover::cli {

// The files that the settings name, else those that came with the program. Throws TopologyError.
inline Topology topology_of(const Settings& settings) {
  const auto& [directory, environment] = settings.streams;
  return load_topology(directory.empty() ? default_topology_directory() : std::filesystem::path(directory),
                       environment);
}

}  // namespace cutover::cli
