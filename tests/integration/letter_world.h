#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fixtures/test_database.h"
#include "integration/cli.h"

namespace cutover::test {

// Dead letters of one problem, as a worker would have written them.
struct Problem {
  std::string worker = "search-projector", lane = "contact", stream = "CONTACT",
              event = "contact.edge_upserted", kind = "rejected";
  std::string error = "contact <n> has no owner";  // "<n>" becomes another number for each letter
  int count = 1;
  std::string payload = "{}";  // the envelope's field, a JSON object
};

// A database with dead letters, and the program `cutover` on it; no broker. One thread.
class LetterWorld {
 public:
  LetterWorld();

  // Each letter is an event of its own, with the next sequence of its stream, a key and a mark. Returns the
  // first letter.
  std::int64_t add(const Problem& problem);
  // Runs a command of the group dlq.
  Ended dlq(std::vector<std::string> arguments, const Process::Environment& more = {}) const;
  // With --json: the document, with the exit code as "code" and standard error as "err".
  nlohmann::json ask(std::vector<std::string> arguments, const Process::Environment& more = {}) const;
  std::string group_of(std::int64_t letter);
  // Every letter's state in short: "2 open, 1 dropped".
  std::string states();

  TestDatabase db;

 private:
  std::int64_t sequence_ = 0;
};

}  // namespace cutover::test
