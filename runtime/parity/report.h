#pragma once

#include <string>
#include <string_view>
#include <tuple>

#include "runtime/parity/result.h"

namespace cutover::parity {

// The report of a comparison, in each of its forms. Text in, text out; nothing of a row is taken for markup.

// One line of diffs.jsonl, without its end: output, key, class, fields, both rows, places, the commands that
// explain them.
std::string difference_line(const std::string& worker, const Output& output, const Difference& difference);
// The other way round, without the commands. Throws std::runtime_error for a line that is none.
Difference parse_difference(std::string_view line, const Output& output);

std::string summary_json(const Summary& summary);
std::string junit_xml(const Summary& summary);
std::string markdown(const Summary& summary);
// One file that needs no network and no script.
//   outputs  those of the summary, in its order
std::string html(const Summary& summary, const std::vector<Output>& outputs);

// cutover explain search-projector CONTACT/42
std::string explain_command(const std::string& worker, const std::string& place);
// One key as text: its columns, with " / " between them.
std::string key_text(const Key& key);

// Collects, line by line of diffs.jsonl, what a report shows of them: groups, and the ten worst.
class Gathering {
 public:
  void add(const Difference& difference);
  std::vector<Group> groups() const;  // most first
  std::vector<Difference> worst() const;

 private:
  std::map<std::tuple<std::string, std::string, Class>, Group> groups_;
  std::vector<std::pair<double, Difference>> worst_;  // heaviest first
};

}  // namespace cutover::parity
