#include <stdexcept>

#include <nlohmann/json.hpp>

#include "runtime/parity/report.h"

namespace cutover::parity {
namespace {

using Json = nlohmann::ordered_json;

Json as_json(const Value& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json as_json(const std::optional<Row>& row, const Output& output) {
  if (!row) return nullptr;
  Json document = Json::object();
  for (std::size_t i = 0; i < row->values.size() && i < output.fields.size(); ++i)
    document[output.fields[i].name] = as_json(row->values[i]);
  document["(stream)"] = row->stream;
  document["(sequence)"] = row->sequence;
  return document;
}

Value value_of(const Json& json) {
  return json.is_string() ? Value(json.get<std::string>()) : Value();
}

std::optional<Row> row_of(const Json& json, const Output& output) {
  if (!json.is_object()) return std::nullopt;
  Row row;
  for (const OutputField& field : output.fields)
    row.values.push_back(value_of(json.value(field.name, Json())));
  row.stream = json.value("(stream)", "");
  row.sequence = json.value("(sequence)", std::uint64_t{0});
  return row;
}

Json counts_json(const Counts& counts) {
  Json document = Json::object();
  for (std::size_t i = 0; i < kClasses; ++i)
    document[std::string(to_text(static_cast<Class>(i)))] = counts[i];
  return document;
}

Json spread_json(const Spread& spread) {
  return {{"count", spread.count},
          {"mean", spread.mean},
          {"p10", spread.p10},
          {"p50", spread.p50},
          {"p90", spread.p90}};
}

Json statistics_json(const Statistics& s) {
  const Bias bias = bias_of(s);
  return {{"field", s.field},
          {"serving", spread_json(s.serving)},
          {"worker", spread_json(s.worker)},
          {"mean_shift", s.worker.mean - s.serving.mean},
          {"p10_shift", s.worker.p10 - s.serving.p10},
          {"p50_shift", s.worker.p50 - s.serving.p50},
          {"p90_shift", s.worker.p90 - s.serving.p90},
          {"more_than_5_apart", s.beyond[0]},
          {"more_than_10_apart", s.beyond[1]},
          {"more_than_20_apart", s.beyond[2]},
          {"pairs", s.pairs},
          {"paired_mean", s.mean_difference},
          {"paired_interval", {bias.low, bias.high}},
          {"biased", bias.fails}};
}

Json output_json(const OutputResult& result) {
  Json document = {{"output", result.output},
                   {"compared", result.compared()},
                   {"serving_rows", result.serving_rows},
                   {"worker_rows", result.worker_rows},
                   {"counts", counts_json(result.counts)},
                   {"strata", result.strata}};
  Json ignores = Json::array();
  for (const IgnoreUse& use : result.ignores)
    ignores.push_back({{"field", use.rule.field},
                       {"owner", use.rule.owner},
                       {"reason", use.rule.reason},
                       {"expires", use.rule.expires},
                       {"rate_max", use.rule.rate_max},
                       {"hidden", use.hidden},
                       {"failure", failure_of(use, result.compared())}});
  document["ignore_rules"] = ignores;
  document["statistics"] = result.statistics ? statistics_json(*result.statistics) : Json(nullptr);
  Json matrix = Json::array();
  if (result.matrix)
    for (const auto& [values, count] : result.matrix->counts)
      matrix.push_back({{"serving", values.first}, {"worker", values.second}, {"count", count}});
  document["matrix"] =
      result.matrix ? Json{{"field", result.matrix->field}, {"cells", matrix}} : Json(nullptr);
  document["histogram"] = nullptr;
  if (const auto& h = result.histogram)
    document["histogram"] = {{"label", h->label},
                             {"from", h->from},
                             {"to", h->to},
                             {"serving", h->serving},
                             {"worker", h->worker}};
  return document;
}

Json fields_json(const Difference& d) {
  Json fields = Json::array();
  for (const FieldDifference& field : d.fields)
    fields.push_back({{"field", field.field},
                      {"class", to_text(field.what)},
                      {"serving", as_json(field.serving)},
                      {"worker", as_json(field.worker)},
                      {"distance", field.distance}});
  return fields;
}

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string difference_line(const std::string& worker, const Output& output, const Difference& d) {
  Json explain = Json::array();
  for (const std::string& place : d.places) explain.push_back(explain_command(worker, place));
  return dump({{"output", d.output},
               {"key", d.key},
               {"class", to_text(d.what)},
               {"fields", fields_json(d)},
               {"serving", as_json(d.rows.serving, output)},
               {"worker", as_json(d.rows.worker, output)},
               {"places", d.places},
               {"explain", explain},
               {"beyond", d.beyond.empty() ? Json(nullptr) : Json(d.beyond)}},
              -1);
}

Difference parse_difference(std::string_view line, const Output& output) {
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("key")) throw std::runtime_error("not a line of diffs.jsonl");
  Difference d;
  d.output = json.value("output", "");
  d.key = json["key"].get<Key>();
  d.what = class_of(json.value("class", "")).value_or(Class::field_differs);
  for (const Json& field : json.value("fields", Json::array()))
    d.fields.push_back({field.value("field", ""),
                        class_of(field.value("class", "")).value_or(Class::field_differs),
                        value_of(field.value("serving", Json())), value_of(field.value("worker", Json())),
                        field.value("distance", 0.0)});
  d.rows = {d.key, row_of(json.value("serving", Json()), output),
            row_of(json.value("worker", Json()), output)};
  d.places = json.value("places", std::vector<std::string>());
  return d;
}

std::string summary_json(const Summary& s) {
  Json marks = Json::object();
  for (const auto& [stream, mark] : s.marks)
    marks[stream] = {{"watermark", mark.common}, {"highest_settled", mark.highest}, {"behind", mark.behind}};
  Json outputs = Json::array();
  for (const OutputResult& output : s.outputs) outputs.push_back(output_json(output));
  Json groups = Json::array();
  for (const Group& group : s.groups)
    groups.push_back({{"output", group.output},
                      {"field", group.field},
                      {"class", to_text(group.what)},
                      {"count", group.count},
                      {"examples", group.examples}});
  return dump({{"id", s.id},
               {"worker", s.worker},
               {"verdict", to_text(s.verdict)},
               {"reasons", s.reasons},
               {"at", s.at},
               {"seconds", s.seconds},
               {"against", s.against},
               {"since", s.since.empty() ? Json(nullptr) : Json(s.since)},
               {"rerun", s.rerun.empty() ? Json(nullptr) : Json(s.rerun)},
               {"build", s.build},
               {"formula", s.formula.empty() ? Json(nullptr) : Json(s.formula)},
               {"schema_version", s.schema_version},
               {"samples", s.samples()},
               {"mismatches", s.mismatches()},
               {"watermarks", marks},
               {"outputs", outputs},
               {"events_given_up", counts_json(s.errors)},
               {"groups", groups}},
              2) +
         "\n";
}

}  // namespace cutover::parity
