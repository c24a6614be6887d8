#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "runtime/contract/event.h"

namespace cutover::score {

// What score.recompute_requested asks for.
struct Request {
  bool all = false;                      // scope "all"
  std::vector<std::int64_t> principals;  // scope "principals": ascending, each once
};

// A payload that is no request.
struct Unreadable {
  std::string reason;  // for an operator; no payload
};

// Reads the payloads of score.recompute_requested. One for each thread: it keeps a parser.
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();
  std::variant<Request, Unreadable> read(const Event& event);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace cutover::score
