#include "workers/score/request.h"

#include <simdjson.h>

#include <algorithm>

namespace cutover::score {

struct RequestReader::Parser {
  simdjson::dom::parser json;
};

RequestReader::RequestReader() : parser_(std::make_unique<Parser>()) {}
RequestReader::~RequestReader() = default;

std::variant<Request, Unreadable> RequestReader::read(const Event& event) {
  simdjson::dom::object payload;
  // The runtime keeps enough readable bytes behind a payload for the parser.
  if (parser_->json.parse(event.payload.data(), event.payload.size(), false).get(payload))
    return Unreadable{"the payload is no object"};
  std::string_view scope;
  if (payload["scope"].get(scope)) return Unreadable{"scope is missing"};
  Request request;
  if (scope == "all") {
    request.all = true;
    return request;
  }
  if (scope != "principals") return Unreadable{"scope is neither all nor principals"};
  simdjson::dom::array ids;
  if (payload["principal_ids"].get(ids)) return Unreadable{"principal_ids is missing or no array"};
  for (const simdjson::dom::element id : ids) {
    std::int64_t number = 0;
    if (id.get(number)) return Unreadable{"principal_ids holds something that is no id"};
    request.principals.push_back(number);
  }
  std::sort(request.principals.begin(), request.principals.end());
  request.principals.erase(std::unique(request.principals.begin(), request.principals.end()),
                           request.principals.end());
  return request;
}

}  // namespace cutover::score
