#include <algorithm>

#include <fmt/format.h>

#include "runtime/cli/output.h"
#include "runtime/cli/score_tools.h"

namespace cutover::cli {
namespace {

constexpr int kWidth = 900, kHeight = 320, kFoot = 30;
constexpr const char* kRunColor = "#2b6cb0";
constexpr const char* kAgainstColor = "#dd6b20";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

// Bars by share of the principals, so that runs of different sizes can be compared.
std::string bars(const ScoreSpread& spread, double highest, const char* color) {
  std::string svg;
  const double width =
      static_cast<double>(kWidth) / static_cast<double>(std::max<std::size_t>(spread.histogram.size(), 1));
  for (std::size_t i = 0; i < spread.histogram.size(); ++i) {
    if (spread.histogram[i] == 0) continue;
    const double share = static_cast<double>(spread.histogram[i]) / static_cast<double>(spread.count);
    const double height = kHeight * share / highest;
    svg += fmt::format(
        "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' fill='{}' fill-opacity='0.5'><title>{} "
        "principals</title></rect>\n",
        static_cast<double>(i) * width, kHeight - height, width - 1, height, color,
        grouped(spread.histogram[i]));
  }
  return svg;
}

double highest_share(const ScoreSpread& spread) {
  if (spread.count == 0 || spread.histogram.empty()) return 0;
  return static_cast<double>(*std::max_element(spread.histogram.begin(), spread.histogram.end())) /
         static_cast<double>(spread.count);
}

std::string row(const ScoreSpread& s, const char* color) {
  return fmt::format(
      "<tr><td style='color:{}'>&#9632; run "
      "{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2f}</td><td>{:.2f}</td><td>{:.2f}</td>"
      "<td>{:.2f}</td></tr>\n",
      color, s.run, escaped(s.as_of), escaped(s.formula), grouped(s.count), s.mean, s.p10, s.median, s.p90);
}

}  // namespace

std::string score_report_html(const ScoreReport& report) {
  const double highest =
      std::max({highest_share(report.run), report.against ? highest_share(*report.against) : 0.0, 1e-9});
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><title>Scores of run {}</title>\n"
      "<style>body{{font:15px "
      "sans-serif;margin:2em;max-width:60em}}table{{border-collapse:collapse;margin:1em 0}}"
      "td,th{{padding:.2em .8em;text-align:right;border-bottom:1px solid "
      "#ddd}}td:first-child,th:first-child{{text-align:left}}</style></head><body>\n"
      "<h1>Scores of run {}</h1>\n<svg viewBox='0 -5 {} {}' width='100%' role='img' aria-label='Distribution "
      "of the scores'>\n",
      report.run.run, report.run.run, kWidth, kHeight + kFoot + 5);
  if (report.against) html += bars(*report.against, highest, kAgainstColor);
  html += bars(report.run, highest, kRunColor);
  html += fmt::format("<line x1='0' y1='{0}' x2='{1}' y2='{0}' stroke='#333'/>\n", kHeight, kWidth);
  for (int score = 0; score <= 100; score += 10)
    html += fmt::format("<text x='{}' y='{}' font-size='14' text-anchor='{}'>{}</text>\n",
                        kWidth * score / 100, kHeight + 20,
                        score == 0     ? "start"
                        : score == 100 ? "end"
                                       : "middle",
                        score);
  html +=
      "</svg>\n<table><tr><th>run</th><th>as "
      "of</th><th>formula</th><th>principals</th><th>mean</th><th>p10</th><th>median</th><th>p90</th></"
      "tr>\n" +
      row(report.run, kRunColor);
  if (report.against) html += row(*report.against, kAgainstColor);
  html += "</table>\n";
  if (report.against) {
    html += fmt::format(
        "<p>{} principals in both, {} new, {} gone. Shift of the mean {:+.3f}, p10 {:+.3f}, median {:+.3f}, "
        "p90 {:+.3f}.</p>\n",
        grouped(report.both), grouped(report.appeared), grouped(report.gone), report.mean_shift,
        report.p10_shift, report.median_shift, report.p90_shift);
    html += "<table><tr><th>moved by more than</th><th>principals</th></tr>\n";
    for (const auto& moved : report.moved)
      html += fmt::format("<tr><td>{:.0f} points</td><td>{}</td></tr>\n", moved.points,
                          grouped(moved.principals));
    html += "</table>\n<table><tr><th>component</th><th>mean shift</th><th>largest shift</th></tr>\n";
    for (const auto& component : report.components)
      html += fmt::format("<tr><td>{}</td><td>{:+.4f}</td><td>{:+.4f}</td></tr>\n", escaped(component.name),
                          component.mean_shift, component.most_shift);
    html += "</table>\n";
  }
  return html + "</body></html>\n";
}

}  // namespace cutover::cli
