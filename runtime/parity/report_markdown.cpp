#include <fmt/format.h>

#include "runtime/parity/markup.h"
#include "runtime/parity/report.h"

namespace cutover::parity {
namespace {

// Text inside a table: no pipe ends the cell, no line the row.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

std::string shown(const Value& value) {
  return value ? "`" + cell(*value) + "`" : "null";
}

}  // namespace

std::string markdown(const Summary& s) {
  std::string text = fmt::format("# Parity of {}: {}\n\n", s.worker, to_text(s.verdict));
  text += fmt::format(
      "{} against {}, at {}, {:.1f} s. Build {}, schema version {}{}. {} samples, {} mismatches. Report "
      "{}.\n\n",
      "serving", s.against, s.at, s.seconds, s.build, s.schema_version,
      s.formula.empty() ? "" : ", formula " + s.formula, grouped_digits(s.samples()),
      grouped_digits(s.mismatches()), s.id);
  if (!s.since.empty()) text += fmt::format("Only rows written since {}.\n\n", s.since);
  if (!s.rerun.empty()) text += fmt::format("Only the differences of report {}.\n\n", s.rerun);
  for (const std::string& reason : s.reasons) text += fmt::format("- {}\n", cell(reason));
  text += "\n| output | class | rows |\n|---|---|---:|\n";
  for (const OutputResult& result : s.outputs)
    for (std::size_t i = 0; i < kClasses; ++i)
      if (result.counts[i] > 0)
        text += fmt::format("| {} | {} | {} |\n", result.output, to_text(static_cast<Class>(i)),
                            grouped_digits(result.counts[i]));
  for (const OutputResult& result : s.outputs)
    if (const auto& st = result.statistics) {
      const Bias bias = bias_of(*st);
      text += fmt::format(
          "\n{} of {}: mean shift {:+.5f}, p10 {:+.5f}, p50 {:+.5f}, p90 {:+.5f}; paired mean {:+.6f} (95 % "
          "interval {:+.6f} to "
          "{:+.6f}) over {} pairs; {} rows more than 5 apart, {} more than 10, {} more than 20.\n",
          st->field, result.output, st->worker.mean - st->serving.mean, st->worker.p10 - st->serving.p10,
          st->worker.p50 - st->serving.p50, st->worker.p90 - st->serving.p90, st->mean_difference, bias.low,
          bias.high, grouped_digits(st->pairs), st->beyond[0], st->beyond[1], st->beyond[2]);
    }
  if (!s.groups.empty())
    text += "\n| output | field | class | count | for example |\n|---|---|---|---:|---|\n";
  for (const Group& group : s.groups)
    text +=
        fmt::format("| {} | {} | {} | {} | {} |\n", group.output, group.field.empty() ? "(row)" : group.field,
                    to_text(group.what), grouped_digits(group.count),
                    cell(fmt::format("{}", fmt::join(group.examples, ", "))));
  if (!s.worst.empty()) text += "\n## The worst\n";
  for (const Difference& d : s.worst) {
    text += fmt::format("\n### {}: {} {}\n", d.output, cell(key_text(d.key)), to_text(d.what));
    if (!d.fields.empty()) text += "\n| field | monolith | worker |\n|---|---|---|\n";
    for (const FieldDifference& field : d.fields)
      text += fmt::format("| {} | {} | {} |\n", field.field, shown(field.serving), shown(field.worker));
    for (const std::string& place : d.places)
      text += fmt::format("\n    {}\n", explain_command(s.worker, place));
  }
  return text;
}

}  // namespace cutover::parity
