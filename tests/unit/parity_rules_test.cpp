#include <catch2/catch_test_macros.hpp>

#include "runtime/parity/comparison.h"
#include "runtime/parity/ignore_rules.h"

namespace cutover::parity {
namespace {

Output scores() {
  Output output;
  output.name = "scores";
  output.keys = {"principal_id"};
  output.fields = {{"score", OutputField::Rule::number, 0.01},
                   {"quality", OutputField::Rule::number, 0.0001},
                   {"circles", OutputField::Rule::set},
                   {"formula"}};
  return output;
}

Row row(Value score, Value quality = "0.5", Value circles = "{a,b}", Value formula = "v1.0") {
  return {{score, quality, circles, formula}, "GRAPH", 7, ""};
}

Compared of(std::optional<Row> serving, std::optional<Row> worker) {
  return compare(scores(), {{"1"}, std::move(serving), std::move(worker)});
}

std::vector<std::string> fields_of(const Compared& compared) {
  std::vector<std::string> names;
  for (const FieldDifference& difference : compared.fields) names.push_back(difference.field);
  return names;
}

}  // namespace

TEST_CASE("0.005 points apart are tolerated, 0.02 differ", "[parity]") {
  CHECK(of(row("50"), row("50")).what == Class::equal);
  CHECK(of(row("50"), row("50.0")).what == Class::equal);
  CHECK(of(row("50"), row("50.005")).what == Class::tolerated);
  CHECK(of(row("50"), row("49.995")).what == Class::tolerated);
  const Compared far = of(row("50"), row("50.02"));
  CHECK(far.what == Class::field_differs);
  CHECK(fields_of(far) == std::vector<std::string>{"score"});
  CHECK(far.fields[0].distance > 1.9);
  CHECK(of(row("50", "0.5"), row("50", "0.50005")).what == Class::tolerated);
  CHECK(of(row("50", "0.5"), row("50", "0.5002")).what == Class::field_differs);
}

TEST_CASE("NaN, null and a missing row fail, each by its own class", "[parity]") {
  CHECK(of(row("50"), row("NaN")).what == Class::field_differs);
  CHECK(of(row("50"), row("Infinity")).what == Class::field_differs);
  CHECK(of(row("50"), row(std::nullopt)).what == Class::type_differs);
  CHECK(of(row(std::nullopt), row("50")).what == Class::type_differs);
  CHECK(of(row("50"), std::nullopt).what == Class::missing);
  CHECK(of(std::nullopt, row("50")).what == Class::extra);
  CHECK(of(row(std::nullopt), row(std::nullopt)).what == Class::equal);
}

TEST_CASE("NaN on both sides is no agreement", "[parity]") {
  CHECK(of(row("NaN"), row("NaN")).what == Class::field_differs);
  CHECK(of(row("Infinity"), row("Infinity")).what == Class::field_differs);
}

TEST_CASE("a time may be later on the worker's side, never earlier", "[parity]") {
  Output output;
  output.fields = {{"as_of", OutputField::Rule::newest}};
  const auto compared = [&](Value serving, Value worker) {
    return compare(output, {{"1"}, Row{{serving}, "GRAPH", 7, ""}, Row{{worker}, "GRAPH", 7, ""}}).what;
  };
  const Value before = "2026-11-21 18:35:20+00", after = "2026-11-21 18:35:20.1+00";
  CHECK(compared(before, before) == Class::equal);
  CHECK(compared(before, after) == Class::tolerated);
  CHECK(compared(after, before) == Class::field_differs);
  CHECK(compared(before, std::nullopt) == Class::type_differs);
}

TEST_CASE("a set has no order and no repetitions", "[parity]") {
  CHECK(of(row("50", "0.5", "{a,b}"), row("50", "0.5", "{b,a,b}")).what == Class::equal);
  CHECK(of(row("50", "0.5", "{a,b}"), row("50", "0.5", "{a}")).what == Class::field_differs);
  CHECK(of(row("50", "0.5", "{\"x,y\"}"), row("50", "0.5", "{x,y}")).what == Class::field_differs);
  CHECK(of(row("50", "0.5", "{}"), row("50", "0.5", std::nullopt)).what == Class::type_differs);
}

TEST_CASE("every field that differs is named, the row by what weighs most", "[parity]") {
  const Compared compared = of(row("50", "0.5", "{a}", "v1.0"), row(std::nullopt, "0.9", "{a}", "v1.1"));
  CHECK(compared.what == Class::field_differs);
  CHECK(fields_of(compared) == std::vector<std::string>{"score", "quality", "formula"});
  CHECK(of(row("50", "0.5", "{a}"), row("50.001", "0.5", std::nullopt)).what == Class::type_differs);
}

TEST_CASE("arrays are read as PostgreSQL writes them", "[parity]") {
  using Strings = std::vector<std::string>;
  CHECK(array_elements("{}").empty());
  CHECK(array_elements("{a,b}") == Strings{"a", "b"});
  CHECK(array_elements(R"({"a b","c\"d","e\\f",""})") == Strings{"a b", "c\"d", "e\\f", ""});
  CHECK(array_elements("text") == Strings{"text"});
}

TEST_CASE("a fingerprint changes with either row, its event and its absence", "[parity]") {
  const auto print = [](std::optional<Row> a, std::optional<Row> b) { return fingerprint({{"1"}, a, b}); };
  const auto first = print(row("1"), row("2"));
  CHECK(first == print(row("1"), row("2")));
  CHECK(first != print(row("2"), row("1")));
  CHECK(first != print(row("1"), std::nullopt));
  CHECK(print(row(std::nullopt), row("2")) != print(row(""), row("2")));
  Row later = row("2");
  later.sequence = 8;
  CHECK(first != print(row("1"), later));
}

TEST_CASE("names of classes are read back", "[parity]") {
  for (std::size_t i = 0; i < kClasses; ++i)
    CHECK(class_of(to_text(static_cast<Class>(i))) == static_cast<Class>(i));
  CHECK(!class_of("same"));
  CHECK(is_mismatch(Class::missing));
  CHECK(!is_mismatch(Class::pending));
}

TEST_CASE("an ignore rule hides its field, and only that", "[parity]") {
  IgnoreRules rules({{"scores", "formula", "ann", "renamed", "2026-12-31", 0.1},
                     {"search documents", "score", "bob", "another output", "2026-12-31", 1}},
                    "scores", "2026-11-21");
  Compared hidden = of(row("50", "0.5", "{}", "v1"), row("50", "0.5", "{}", "v2"));
  rules.apply(hidden);
  CHECK(hidden.what == Class::ignored);
  Compared half = of(row("50", "0.5", "{}", "v1"), row("51", "0.5", "{}", "v2"));
  rules.apply(half);
  CHECK(half.what == Class::field_differs);
  CHECK(fields_of(half) == std::vector<std::string>{"score"});
  Compared missing = of(row("50"), std::nullopt);
  rules.apply(missing);
  CHECK(missing.what == Class::missing);
  REQUIRE(rules.uses().size() == 1);
  CHECK(rules.uses()[0].hidden == 2);
}

TEST_CASE("an ignore rule fails past its day and past its rate", "[parity]") {
  const std::vector<IgnoreRule> rule = {{"scores", "formula", "ann", "renamed", "2026-11-21", 0.1}};
  const auto hide = [&](const std::string& today, int rows) {
    IgnoreRules rules(rule, "scores", today);
    Compared last;
    for (int i = 0; i < rows; ++i) {
      last = of(row("50", "0.5", "{}", "v1"), row("50", "0.5", "{}", "v2"));
      rules.apply(last);
    }
    return std::pair{last.what, failure_of(rules.uses()[0], 100)};
  };
  CHECK(hide("2026-11-21", 10) == std::pair{Class::ignored, std::string()});
  CHECK(hide("2026-11-21", 11).second.find("hid 11 of 100 rows") != std::string::npos);
  CHECK(hide("2026-11-22", 1).first == Class::field_differs);
  CHECK(hide("2026-11-22", 1).second.find("expired on 2026-11-21") != std::string::npos);
}

}  // namespace cutover::parity
