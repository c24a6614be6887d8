#include <fmt/format.h>

#include "runtime/parity/markup.h"
#include "runtime/parity/report.h"

namespace cutover::parity {
namespace {

struct Case {
  std::string output;
  std::string name;
  std::string failure;  // empty: it passed
};

std::string words(const Summary& s, const std::string& output, const std::string& field) {
  std::string found;
  for (const Group& group : s.groups)
    if (group.output == output && group.field == field && is_mismatch(group.what))
      found += fmt::format("{}{} {}: {}", found.empty() ? "" : "\n", group.count, to_text(group.what),
                           fmt::join(group.examples, ", "));
  return found;
}

}  // namespace

// A test case for each output's rows, each of its fields that differs, its statistics and ignore rules; one
// for the events that were given up, one for the verdict.
std::string junit_xml(const Summary& s) {
  std::vector<Case> cases;
  for (const OutputResult& result : s.outputs) {
    cases.push_back({result.output, "rows", words(s, result.output, "")});
    for (const Group& group : s.groups)
      if (group.output == result.output && !group.field.empty() &&
          (cases.back().output != result.output || cases.back().name != "field " + group.field))
        cases.push_back({result.output, "field " + group.field, words(s, result.output, group.field)});
    if (result.statistics) {
      const Bias bias = bias_of(*result.statistics);
      cases.push_back({result.output, "bias of " + result.statistics->field,
                       bias.fails ? fmt::format("{:+.5f}, 95 % interval {:+.5f} to {:+.5f}",
                                                result.statistics->mean_difference, bias.low, bias.high)
                                  : ""});
    }
    for (const IgnoreUse& use : result.ignores)
      cases.push_back(
          {result.output, "ignore rule of " + use.rule.field, failure_of(use, result.compared())});
  }
  cases.push_back({"events", "given up alike", words(s, "events", "")});
  cases.push_back({"verdict", "ok",
                   s.verdict == Verdict::ok
                       ? ""
                       : fmt::format("{}\n{}", to_text(s.verdict), fmt::join(s.reasons, "\n"))});
  std::size_t failures = 0;
  for (const Case& one : cases) failures += !one.failure.empty();
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  xml += fmt::format(
      "<testsuite name=\"parity {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.3f}\" "
      "timestamp=\"{}\">\n",
      escaped(s.worker), cases.size(), failures, s.seconds, escaped(s.at));
  for (const Case& one : cases) {
    xml += fmt::format("  <testcase classname=\"{}.{}\" name=\"{}\"", escaped(s.worker), escaped(one.output),
                       escaped(one.name));
    if (one.failure.empty())
      xml += "/>\n";
    else
      xml += fmt::format("><failure message=\"{}\">{}</failure></testcase>\n",
                         escaped(one.failure.substr(0, one.failure.find('\n'))), escaped(one.failure));
  }
  return xml + "</testsuite>\n";
}

}  // namespace cutover::parity
