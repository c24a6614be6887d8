#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>

#include <nlohmann/json.hpp>

#include "fixtures/test_database.h"
#include "integration/cli.h"

namespace cutover::test {

// Two sides that were compared before: a worker in shadow with a live instance, a gate that was just seen,
// documents that are the same in `serving` and `shadow`, settled up to sequence 1,000 of CONTACT. The tables
// have no search indexes: filling them is not what is measured here.
class ParityWorld {
 public:
  explicit ParityWorld(std::int64_t documents);
  ~ParityWorld();

  // Runs `cutover compare` of `worker` with --json; its document, with the exit code as "code", standard
  // error as "err".
  nlohmann::json compare(std::vector<std::string> arguments = {});
  Process::Environment environment() const;
  // Lines of diffs.jsonl of the last comparison.
  std::vector<nlohmann::json> differences() const;
  std::string report(const std::string& name) const;  // a file of the last comparison
  // The count of a class in an output of a summary.
  static std::uint64_t count(const nlohmann::json& summary, const std::string& what, std::size_t output = 0);

  // A side of `worker`, m or s, settles these sequences.
  void settle(char side, std::int64_t from, std::int64_t to, const std::string& stream = "CONTACT");

  // Rows of the other two workers, the same on both sides: scores from 20 to 80, and decided cases of all
  // types.
  void fill_scores(std::int64_t principals);
  void fill_cases(std::int64_t cases);

  TestDatabase database;
  std::string worker = "search-projector";
  std::filesystem::path out;  // of the next comparison
  Process::Environment more;  // settings
  std::vector<std::string> always = {"--settle", "100ms"};
};

}  // namespace cutover::test
