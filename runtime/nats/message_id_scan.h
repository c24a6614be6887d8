#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/nats/answer_inbox.h"

namespace cutover {

// Reading message ids one by one is worth it up to this density; denser runs are scanned.
bool worth_scanning(std::span<const std::uint64_t> sequences);

// Reads the message ids of a run of sequences through a consumer of its own that delivers headers only: six
// to ten times as fast as asking for each message (220,000 to 400,000/s where STREAM.MSG.GET gives 40,000/s).
// The consumer is in memory, and is deleted afterwards.
//   ids      one per sequence; filled where the stream holds a message with an id
//   returns  false when the stream allows no such consumer (a work queue, no permission), or it did not end
//   well: then
//            nothing is certain, and the ids must be asked for one by one
bool scan_message_ids(Connection& connection, AnswerInbox& inbox, const std::string& stream,
                      std::span<const std::uint64_t> sequences, std::vector<std::optional<std::string>>& ids,
                      Deadline deadline);

}  // namespace cutover
