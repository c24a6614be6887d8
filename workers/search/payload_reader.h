#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/contract/worker.h"

namespace cutover::search {

// What one event may have changed, as far as its payload says.
struct Touched {
  enum class What {
    contact,       // the document of contact `id`
    circle,        // the documents of `contact_ids`
    all_contacts,  // every document of owner `owner_id`
    profile,       // the document of profile `id`
    principal,     // every profile of principal `owner_id`
    channel,       // the same, and every profile of whoever has channel `id` by now
  };
  What what = What::contact;
  std::int64_t id = 0;
  std::int64_t owner_id = 0;  // 0 where the payload names none
  std::vector<std::int64_t> contact_ids;
};

// A payload without the ids that the event's name promises.
struct Unreadable {
  std::string reason;  // for an operator; no payload
};

// Reads the payloads of the events below. One for each thread: it keeps a parser.
class PayloadReader {
 public:
  PayloadReader();
  ~PayloadReader();
  // `event` is one of event_types().
  std::variant<Touched, Unreadable> read(const Event& event);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

// Every event that can change a document.
std::vector<EventType> event_types();

}  // namespace cutover::search
