#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iostream>

#include <fmt/format.h>

#include "runtime/cli/dlq.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/postgres/dead_letters.h"

namespace cutover::cli {
namespace {

constexpr std::uint64_t kLettersAtOnce = 500;
constexpr std::size_t kBytesAtOnce = 8 << 20;

struct Options {
  LetterFilter filter;
  LetterChange change;
  std::string file;
};

// What an export file's line must hold, and as what.
struct Field {
  const char* name;
  Json::value_t type;
};
constexpr Field kFields[] = {{"worker", Json::value_t::string},
                             {"stream", Json::value_t::string},
                             {"stream_created_at", Json::value_t::string},
                             {"sequence", Json::value_t::number_unsigned},
                             {"lane", Json::value_t::string},
                             {"side", Json::value_t::string},
                             {"subject", Json::value_t::string},
                             {"event_id", Json::value_t::string},
                             {"event_name", Json::value_t::string},
                             {"key", Json::value_t::string},
                             {"tenant_scope", Json::value_t::string},
                             {"idempotency_key", Json::value_t::string},
                             {"version", Json::value_t::number_unsigned},
                             {"kind", Json::value_t::string},
                             {"error", Json::value_t::string},
                             {"error_group", Json::value_t::string},
                             {"attempts", Json::value_t::number_unsigned},
                             {"first_failed_at", Json::value_t::string},
                             {"last_failed_at", Json::value_t::string},
                             {"history", Json::value_t::array},
                             {"published_at", Json::value_t::string},
                             {"headers", Json::value_t::array},
                             {"payload", Json::value_t::string}};

void check_line(const std::string& text, const std::string& file, std::uint64_t number) {
  const Json line = Json::parse(text, nullptr, false);
  if (!line.is_object() || line.value("cutover_dead_letter", Json()) != 1)
    throw CommandError(fmt::format(
        "this is no exported dead letter ({}, line {}). Do: give a file that `cutover dlq export` wrote.",
        file, number));
  for (const Field& field : kFields)
    if (!line.contains(field.name) || line[field.name].type() != field.type)
      throw CommandError(fmt::format("the letter has no usable field {} ({}, line {}). Do: export it again.",
                                     field.name, file, number));
}

int run_export(const Shell& shell, const Options& options) {
  const Json filter = filter_document(options.filter);
  const auto session = open_session(shell, "dlq export");
  postgres::DeadLetters letters(*session);
  const std::uint64_t expected = letters.count(filter);
  const bool to_output = options.file == "-";
  std::ofstream file;
  if (!to_output) {
    if (::access(options.file.c_str(), F_OK) == 0)
      throw CommandError(
          fmt::format("there is a file of that name ({}). Do: give another one.", options.file), kDifferent);
    const mode_t before = ::umask(0077);  // payloads are nobody else's
    file.open(options.file, std::ios::binary);
    ::umask(before);
    if (!file)
      throw CommandError(fmt::format(
          "the file cannot be written ({}). Do: give a folder that you may write to.", options.file));
  }
  std::ostream& out = to_output ? std::cout : file;
  std::uint64_t written = 0;
  {
    ProgressBar bar;
    std::int64_t after = 0;
    while (true) {
      const auto lines = letters.export_lines(filter, after, kLettersAtOnce);
      for (const auto& line : lines) out << line.text << '\n';
      if (lines.empty()) break;
      after = lines.back().letter;
      written += lines.size();
      bar.show("exported", static_cast<std::int64_t>(written), static_cast<std::int64_t>(expected));
    }
    out.flush();
    if (!out)
      throw CommandError(fmt::format(
          "the file is not complete ({}). Do: make room there, remove it, and export again.", options.file));
  }
  if (to_output) return written == 0 ? kDifferent : kFine;
  Output report = shell.output();
  if (report.json())
    report.document({{"file", options.file}, {"letters", written}});
  else
    report.line(fmt::format(
        "{} in {}. Next: cutover dlq drop{} --expect {} --reason TEXT, or elsewhere: cutover dlq import {} "
        "--reason TEXT",
        counted(written, "letter"), options.file, filter_words(options.filter), written, options.file));
  return written == 0 ? kDifferent : kFine;
}

int run_import(const Shell& shell, const Options& options) {
  check_reason(options.change, "import");
  std::ifstream file;
  if (options.file != "-") {
    file.open(options.file, std::ios::binary);
    if (!file)
      throw CommandError(fmt::format("the file cannot be read ({}). Do: check its name.", options.file));
  }
  std::istream& in = options.file == "-" ? std::cin : file;
  std::vector<std::string> lines;
  std::uint64_t number = 0;
  // All of it is looked at before anything is written.
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.empty()) continue;
    check_line(line, options.file, number);
    lines.push_back(std::move(line));
  }
  const auto session = open_session(shell, "dlq import");
  postgres::DeadLetters letters(*session);
  Json sum = {
      {"imported", std::uint64_t{0}}, {"opened_again", std::uint64_t{0}}, {"already_here", std::uint64_t{0}}};
  {
    ProgressBar bar;
    for (std::size_t next = 0; next < lines.size();) {
      std::string documents = "[";
      for (std::size_t first = next;
           next < lines.size() && next - first < kLettersAtOnce && documents.size() < kBytesAtOnce; ++next)
        documents += (documents.size() > 1 ? "," : "") + lines[next];
      documents += "]";
      with_refusals([&] {
        const Json done =
            letters.import_lines(documents, operator_name(), options.change.reason, options.change.dry_run);
        for (auto& [name, count] : sum.items())
          count = count.get<std::uint64_t>() + done[name].get<std::uint64_t>();
      });
      bar.show("imported", static_cast<std::int64_t>(next), static_cast<std::int64_t>(lines.size()));
    }
  }
  Output out = shell.output();
  if (out.json()) {
    sum["dry_run"] = options.change.dry_run;
    out.document(sum);
    return kFine;
  }
  out.line(fmt::format(
      "{}{} written, {} opened again that had been dropped here, {} passed over that were here already.",
      options.change.dry_run ? "A dry run: " : "", counted(sum["imported"].get<std::uint64_t>(), "letter"),
      grouped(sum["opened_again"].get<std::uint64_t>()), grouped(sum["already_here"].get<std::uint64_t>())));
  if (!options.change.dry_run) out.line("Next: cutover dlq groups");
  return kFine;
}

}  // namespace

void add_dlq_transfer(Shell& shell, CLI::App& dlq) {
  const auto exported = std::make_shared<Options>();
  CLI::App* command =
      shell.add(dlq, "export", "Write letters to a file, a JSON line each: payload and headers byte by byte",
                "cutover dlq export letters.jsonl --group 1a2b3c4d",
                [&shell, exported] { return run_export(shell, *exported); });
  command->add_option("file", exported->file, "Its name; it must not exist; - for standard output")
      ->required()
      ->type_name("FILE");
  add_filter_options(command, exported->filter, true, false);
  add_plan_filter(command, exported->filter);

  const auto imported = std::make_shared<Options>();
  command = shell.add(dlq, "import",
                      "Write exported letters here, open; the ones that were dropped here are opened again",
                      "cutover dlq import letters.jsonl --reason \"replayed in staging\"",
                      [&shell, imported] { return run_import(shell, *imported); });
  command->add_option("file", imported->file, "What `cutover dlq export` wrote; - for standard input")
      ->required()
      ->type_name("FILE");
  add_letter_change(command, imported->change);
}

}  // namespace cutover::cli
