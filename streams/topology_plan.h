#pragma once

#include <string>
#include <vector>

#include "runtime/nats/stream_admin.h"
#include "streams/stream_fields.h"
#include "streams/topology.h"

namespace cutover {

// One difference between the files and the server.
struct Change {
  enum class Kind {
    create,     // the stream is not there; `to` is its whole configuration
    update,     // `field` differs
    unmanaged,  // a stream that no file names: reported, never touched
  };
  Kind kind = Kind::create;
  std::string stream;
  std::string field;  // of an update
  nlohmann::json from, to;
  FieldEffect effect = FieldEffect::safe;
  std::string consequence;  // why it is destructive or impossible
};

// "CONTACT: max_age 30d -> 7d (destructive: messages beyond the new limit are deleted at once)"
std::string to_text(const Change& change);

// What `apply` would do. Empty but for unmanaged streams: the server is as the files want it. Throws
// BrokerError.
std::vector<Change> plan(const Topology& topology, StreamAdmin& admin);

// Makes the server as the files want it. Everything is checked before the first change; streams that give
// subjects up change before those that take them. Applying again after a failure goes on where it stopped.
//   returns  what was changed
//   throws   TopologyError when a change is impossible, or destructive without `allow_destructive`: nothing
//   was changed
//            BrokerError when the server fails or refuses on the way; what() tells what was changed before
std::vector<Change> apply(const Topology& topology, StreamAdmin& admin, bool allow_destructive = false);

}  // namespace cutover
