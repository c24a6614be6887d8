#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "runtime/parity/markup.h"
#include "runtime/parity/report.h"

namespace cutover::parity {
namespace {

constexpr std::string_view kStyle = R"css(
:root { --ink:#1c2430; --dim:#5d6879; --line:#d8dee8; --paper:#fff; --page:#f4f6f9; --good:#12805c; --bad:#c02636; --warn:#a06000;
  --mono:#2f6fd0; --work:#e07b00; }
* { box-sizing:border-box; }
body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,"Segoe UI",Roboto,Helvetica,Arial,sans-serif; }
main { max-width:1080px; margin:0 auto; padding:28px 20px 60px; }
h1 { font-size:26px; margin:0 0 4px; } h2 { font-size:18px; margin:34px 0 10px; } h3 { font-size:15px; margin:0 0 8px; }
p { margin:6px 0; } .dim { color:var(--dim); }
.verdict { display:inline-block; padding:3px 14px; border-radius:20px; color:#fff; font-weight:600; vertical-align:3px; font-size:16px; }
.ok { background:var(--good); } .different { background:var(--bad); } .inconclusive { background:var(--warn); }
.card { background:var(--paper); border:1px solid var(--line); border-radius:10px; padding:16px 18px; margin:14px 0; overflow-x:auto; }
ul.reasons { margin:10px 0 0; padding-left:20px; }
table { border-collapse:collapse; width:100%; font-variant-numeric:tabular-nums; }
th { text-align:left; font-weight:600; color:var(--dim); font-size:13px; } th,td { padding:5px 14px 5px 0; border-bottom:1px solid var(--line); vertical-align:top; }
tr:last-child td { border-bottom:0; } td.n, th.n { text-align:right; }
td.bad { color:var(--bad); font-weight:600; } td.hit { background:#eef7f2; } td.miss { background:#fdecee; color:var(--bad); font-weight:600; }
code, pre { font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace; overflow-wrap:anywhere; }
pre { background:var(--page); border:1px solid var(--line); border-radius:6px; padding:7px 10px; margin:8px 0 0; white-space:pre-wrap; }
.difference table { table-layout:fixed; } .difference th:first-child { width:20%; } th:last-child, td:last-child { padding-right:0; }
tr.differs td { background:#fff6e6; } .null { color:var(--dim); font-style:italic; }
svg { display:block; width:100%; height:auto; } .legend span { margin-right:18px; } .swatch { display:inline-block; width:12px; height:12px; border-radius:3px; margin-right:6px; vertical-align:-1px; }
.facts { display:flex; flex-wrap:wrap; gap:4px 28px; margin-top:8px; } .facts b { font-weight:600; }
.tag { font-size:13px; padding:1px 9px; border-radius:12px; background:#fdecee; color:var(--bad); margin-left:8px; font-weight:500; }
)css";

std::string number(double value) {
  return fmt::format("{:+.5f}", value);
}

std::string shown(const Value& value) {
  return value ? "<code>" + escaped(*value) + "</code>" : "<span class=\"null\">null</span>";
}

// The outline of one side: a step for each bin, closed at the ground.
std::string outline(const std::vector<std::uint64_t>& bins, double highest, double width, double height) {
  const double step = width / static_cast<double>(bins.size());
  std::string path = fmt::format("M0,{:.1f}", height);
  for (std::size_t i = 0; i < bins.size(); ++i) {
    const double y = height - static_cast<double>(bins[i]) / highest * (height - 8);
    path += fmt::format("L{:.1f},{:.1f}L{:.1f},{:.1f}", step * static_cast<double>(i), y,
                        step * static_cast<double>(i + 1), y);
  }
  return path + fmt::format("L{:.1f},{:.1f}Z", width, height);
}

std::string histogram(const Histogram& h) {
  constexpr double kWidth = 1000, kHeight = 210;
  std::uint64_t highest = 1;
  for (const auto* side : {&h.serving, &h.worker})
    for (const std::uint64_t count : *side) highest = std::max(highest, count);
  std::string svg = fmt::format(
      "<svg class=\"histogram\" viewBox=\"-62 -6 {:.0f} {:.0f}\" role=\"img\" aria-label=\"Distribution of "
      "{} on both sides\" "
      "font-size=\"13\" fill=\"#5d6879\">",
      kWidth + 80, kHeight + 34, escaped(h.label));
  for (int i = 0; i <= 4; ++i) {
    const double y = kHeight - (kHeight - 8) * i / 4.0;
    svg += fmt::format("<line x1=\"0\" x2=\"{0:.0f}\" y1=\"{1:.1f}\" y2=\"{1:.1f}\" stroke=\"#e3e8f0\"/>",
                       kWidth, y);
    svg +=
        fmt::format("<text x=\"-8\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", y + 4,
                    grouped_digits(static_cast<unsigned long long>(static_cast<double>(highest) * i / 4.0)));
  }
  const auto top = static_cast<double>(highest);
  svg += fmt::format(
      "<path class=\"serving\" d=\"{}\" fill=\"#2f6fd0\" fill-opacity=\".28\" stroke=\"#2f6fd0\" "
      "stroke-width=\"2\"/>",
      outline(h.serving, top, kWidth, kHeight));
  svg += fmt::format(
      "<path class=\"worker\" d=\"{}\" fill=\"#e07b00\" fill-opacity=\".22\" stroke=\"#e07b00\" "
      "stroke-width=\"2\" "
      "stroke-dasharray=\"6 4\"/>",
      outline(h.worker, top, kWidth, kHeight));
  for (int i = 0; i <= 5; ++i)
    svg += fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{:g}</text>", kWidth * i / 5.0,
                       kHeight + 20, h.from + (h.to - h.from) * i / 5.0);
  return svg + "</svg>";
}

std::string statistics(const Statistics& s) {
  const Bias bias = bias_of(s);
  std::string text = fmt::format(
      "<table><tr><th>{}</th><th class=\"n\">rows</th><th class=\"n\">mean</th><th class=\"n\">p10</th><th "
      "class=\"n\">p50</th><th "
      "class=\"n\">p90</th></tr>",
      escaped(s.field));
  const auto line = [&](const char* side, const Spread& p) {
    text += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.4f}</td><td class=\"n\">{:.4f}</td><td "
        "class=\"n\">{:.4f}</td><td "
        "class=\"n\">{:.4f}</td></tr>",
        side, grouped_digits(p.count), p.mean, p.p10, p.p50, p.p90);
  };
  line("monolith", s.serving);
  line("worker", s.worker);
  text += fmt::format(
      "<tr><td>shift</td><td></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td "
      "class=\"n\">{}</td></tr></table>",
      number(s.worker.mean - s.serving.mean), number(s.worker.p10 - s.serving.p10),
      number(s.worker.p50 - s.serving.p50), number(s.worker.p90 - s.serving.p90));
  return text + fmt::format(
                    "<p class=\"{}\">Paired mean {} over {} pairs, 95 % interval {} to {}: {}. More than 5, "
                    "10, 20 apart: {}, {}, {} "
                    "rows.</p>",
                    bias.fails ? "biased" : "unbiased", number(s.mean_difference), grouped_digits(s.pairs),
                    number(bias.low), number(bias.high), bias.fails ? "<b>biased</b>" : "no bias",
                    s.beyond[0], s.beyond[1], s.beyond[2]);
}

std::string matrix(const Matrix& m) {
  std::set<std::string> values;
  for (const auto& [pair, count] : m.counts) values.insert({pair.first, pair.second});
  const auto name = [](const std::string& value) {
    return value.empty() ? std::string("<i>no row</i>") : escaped(value);
  };
  std::string text =
      fmt::format("<table class=\"matrix\"><tr><th>{}: monolith down, worker across</th>", escaped(m.field));
  for (const std::string& value : values) text += "<th class=\"n\">" + name(value) + "</th>";
  text += "</tr>";
  for (const std::string& row : values) {
    text += "<tr><td>" + name(row) + "</td>";
    for (const std::string& column : values) {
      const auto found = m.counts.find({row, column});
      const std::uint64_t count = found == m.counts.end() ? 0 : found->second;
      text += fmt::format("<td class=\"n{}\">{}</td>",
                          count == 0      ? ""
                          : row == column ? " hit"
                                          : " miss",
                          grouped_digits(count));
    }
    text += "</tr>";
  }
  return text + "</table>";
}

std::string counts(const Summary& s) {
  std::string text = "<table class=\"counts\"><tr><th>class</th>";
  for (const OutputResult& result : s.outputs) text += "<th class=\"n\">" + escaped(result.output) + "</th>";
  text += "<th class=\"n\">events given up</th></tr>";
  for (std::size_t i = 0; i < kClasses; ++i) {
    const auto what = static_cast<Class>(i);
    text += fmt::format("<tr><td>{}</td>", to_text(what));
    const auto cell = [&](std::uint64_t count) {
      text += fmt::format("<td class=\"n{}\">{}</td>", count > 0 && is_mismatch(what) ? " bad" : "",
                          grouped_digits(count));
    };
    for (const OutputResult& result : s.outputs) cell(result.counts[i]);
    cell(s.errors[i]);
    text += "</tr>";
  }
  return text + "</table>";
}

std::string output_card(const OutputResult& result) {
  std::string text = fmt::format(
      "<section class=\"card\"><h3>{}</h3><div class=\"facts\"><span>compared <b>{}</b></span><span>rows of "
      "the "
      "monolith <b>{}</b></span><span>rows of the worker <b>{}</b></span>",
      escaped(result.output), grouped_digits(result.compared()), grouped_digits(result.serving_rows),
      grouped_digits(result.worker_rows));
  for (const auto& [stratum, rows] : result.strata)
    if (!stratum.empty())
      text += fmt::format("<span>{} <b>{}</b></span>", escaped(stratum), grouped_digits(rows));
  text += "</div>";
  if (result.histogram)
    text += fmt::format(
        "<p class=\"legend\"><span>{}</span><span><i class=\"swatch\" "
        "style=\"background:#2f6fd0\"></i>monolith</span><span><i "
        "class=\"swatch\" style=\"background:#e07b00\"></i>worker</span></p>{}",
        escaped(result.histogram->label), histogram(*result.histogram));
  if (result.statistics) text += statistics(*result.statistics);
  if (result.matrix) text += matrix(*result.matrix);
  for (const IgnoreUse& use : result.ignores) {
    const std::string failure = failure_of(use, result.compared());
    text +=
        fmt::format("<p>{} ignores <code>{}</code> until {} (\"{}\"): hid {} rows, highest rate {:g}.{}</p>",
                    escaped(use.rule.owner), escaped(use.rule.field), escaped(use.rule.expires),
                    escaped(use.rule.reason), grouped_digits(use.hidden), use.rule.rate_max,
                    failure.empty() ? "" : " <b>" + escaped(failure) + "</b>");
  }
  return text + "</section>";
}

std::string groups(const Summary& s) {
  std::string text =
      "<table class=\"groups\"><tr><th>output</th><th>field</th><th>class</th><th "
      "class=\"n\">count</th><th>for example</th></tr>";
  for (const Group& group : s.groups)
    text += fmt::format(
        "<tr><td>{}</td><td>{}</td><td{}>{}</td><td class=\"n\">{}</td><td><code>{}</code></td></tr>",
        escaped(group.output), group.field.empty() ? "<span class=\"null\">row</span>" : escaped(group.field),
        is_mismatch(group.what) ? " class=\"bad\"" : "", to_text(group.what), grouped_digits(group.count),
        escaped(fmt::format("{}", fmt::join(group.examples, ", "))));
  return text + "</table>";
}

std::string worst_card(const Summary& s, const std::vector<Output>& outputs, const Difference& d) {
  std::string text = fmt::format(
      "<section class=\"card difference\"><h3><code>{}</code> <span class=\"dim\">{}</span><span "
      "class=\"tag\">{}</span></h3>",
      escaped(key_text(d.key)), escaped(d.output), to_text(d.what));
  const auto output =
      std::find_if(outputs.begin(), outputs.end(), [&](const Output& o) { return o.name == d.output; });
  std::set<std::string> differs;
  for (const FieldDifference& field : d.fields) differs.insert(field.field);
  text += "<table><tr><th>field</th><th>monolith</th><th>worker</th></tr>";
  if (output != outputs.end() && (d.rows.serving || d.rows.worker)) {
    const auto value = [](const std::optional<Row>& row, std::size_t i) {
      return row ? shown(row->values.at(i)) : std::string("<span class=\"null\">no row</span>");
    };
    for (std::size_t i = 0; i < output->fields.size(); ++i)
      text += fmt::format("<tr{}><td>{}</td><td>{}</td><td>{}</td></tr>",
                          differs.contains(output->fields[i].name) ? " class=\"differs\"" : "",
                          escaped(output->fields[i].name), value(d.rows.serving, i), value(d.rows.worker, i));
    const auto place = [](const std::optional<Row>& row) {
      return row && !row->stream.empty() ? escaped(row->stream) + "/" + std::to_string(row->sequence)
                                         : std::string("<span class=\"null\">none</span>");
    };
    text += fmt::format("<tr><td class=\"dim\">last event</td><td>{}</td><td>{}</td></tr>",
                        place(d.rows.serving), place(d.rows.worker));
  } else {
    for (const FieldDifference& field : d.fields)
      text += fmt::format("<tr class=\"differs\"><td>{}</td><td>{}</td><td>{}</td></tr>",
                          escaped(field.field), shown(field.serving), shown(field.worker));
  }
  text += "</table>";
  for (const std::string& place : d.places)
    text += "<pre>" + escaped(explain_command(s.worker, place)) + "</pre>";
  return text + "</section>";
}

}  // namespace

std::string html(const Summary& s, const std::vector<Output>& outputs) {
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta "
      "http-equiv=\"Content-Security-Policy\" content=\"default-src "
      "'none'; style-src 'unsafe-inline'; img-src data:\"><meta name=\"viewport\" "
      "content=\"width=device-width\"><link rel=\"icon\" "
      "href=\"data:,\"><title>Parity of {}: {}</title><style>{}</style></head><body><main>",
      escaped(s.worker), to_text(s.verdict), kStyle);
  text += fmt::format("<h1>Parity of {} <span id=\"verdict\" class=\"verdict {}\">{}</span></h1>",
                      escaped(s.worker), to_text(s.verdict), to_text(s.verdict));
  text += fmt::format(
      "<p class=\"dim\">serving against {}, {}, {:.1f} s</p><div class=\"facts\"><span>samples "
      "<b>{}</b></span><span>mismatches "
      "<b>{}</b></span><span>build <b>{}</b></span><span>schema version <b>{}</b></span>{}<span>report "
      "<b>{}</b></span></div>",
      escaped(s.against), escaped(s.at), s.seconds, grouped_digits(s.samples()),
      grouped_digits(s.mismatches()), escaped(s.build), s.schema_version,
      s.formula.empty() ? "" : "<span>formula <b>" + escaped(s.formula) + "</b></span>", escaped(s.id));
  if (!s.since.empty()) text += "<p>Only rows written since " + escaped(s.since) + ".</p>";
  if (!s.rerun.empty()) text += "<p>Only the differences of report " + escaped(s.rerun) + ".</p>";
  if (!s.reasons.empty()) {
    text += "<ul class=\"reasons\">";
    for (const std::string& reason : s.reasons) text += "<li>" + escaped(reason) + "</li>";
    text += "</ul>";
  }
  text += "<h2>Counts</h2><div class=\"card\">" + counts(s) + "</div><h2>Both sides</h2>";
  for (const OutputResult& result : s.outputs) text += output_card(result);
  if (!s.marks.empty()) {
    text +=
        "<h2>How far both sides are</h2><div class=\"card\"><table><tr><th>stream</th><th "
        "class=\"n\">watermark</th><th class=\"n\">settled by "
        "either side</th><th>behind</th></tr>";
    for (const auto& [stream, mark] : s.marks)
      text += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
                          escaped(stream), grouped_digits(mark.common), grouped_digits(mark.highest),
                          mark.behind.empty()        ? "none"
                          : mark.behind == "serving" ? "monolith"
                                                     : "worker");
    text += "</table></div>";
  }
  text += "<h2>Differences by field and class</h2><div class=\"card\">" +
          (s.groups.empty() ? std::string("<p>There are none.</p>") : groups(s)) + "</div>";
  if (!s.worst.empty()) text += fmt::format("<h2>The {} worst</h2>", s.worst.size());
  for (const Difference& d : s.worst) text += worst_card(s, outputs, d);
  return text + "</main></body></html>\n";
}

}  // namespace cutover::parity
