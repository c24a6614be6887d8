#include <memory>
#include <random>

#include <fmt/format.h>

#include "runtime/cli/commands.h"
#include "runtime/cli/interrupt.h"
#include "runtime/cli/operator_name.h"
#include "runtime/cli/operator_transactions.h"
#include "runtime/cli/ownership.h"
#include "runtime/cli/progress_bar.h"
#include "runtime/cli/score_tools.h"
#include "runtime/contract/timestamp.h"
#include "runtime/engine/worker_transaction.h"
#include "runtime/postgres/batch_transaction.h"

namespace cutover::cli {
namespace {

struct Options {
  std::string as_of;
  bool wait = false;
};

constexpr std::chrono::milliseconds kLookEvery{200};

// The request, in the outbox; the relay of any process publishes it. Returns its event id.
std::string send_request(const Settings& settings, Instant as_of) {
  SystemClock clock;
  EventIds ids(clock, [] { return std::uint64_t{std::random_device{}()} << 32 | std::random_device{}(); });
  const auto database = connect_database(settings, "trigger score");
  Outgoing request;
  request.event_name = "score.recompute_requested";
  request.subject_type = "score_snapshot";
  request.subject_id = "score";
  request.idempotency_key = "trigger:" + ids.next();
  request.payload = R"({"scope":"all","principal_ids":[],"reason":"operator"})";
  const OutboxRow row = make_outbox_row(nullptr, std::move(request), operator_name(), ids, as_of);
  database->queue("BEGIN");
  postgres::queue_outbox_rows(*database, "", std::span<const OutboxRow>(&row, 1));
  database->queue("SELECT pg_notify('cutover_outbox', '')");
  database->queue("COMMIT");
  database->flush();
  return row.event_id;
}

constexpr std::string_view kRun = R"sql(
SELECT run_id, state, phase, done, total, coalesce(error, '') FROM serving.score_runs
WHERE official AND as_of >= $1::timestamptz AND run_id > $2::bigint ORDER BY run_id DESC LIMIT 1)sql";

int wait_for_run(const Settings& settings, Instant as_of, std::int64_t last_run, Output& out) {
  Interrupt interrupt;
  const auto database = connect_database(settings, "trigger score");
  ProgressBar bar;
  for (;;) {
    const auto rows = database->run(kRun, {as_of, last_run});
    if (rows->size() > 0) {
      const std::string_view state = rows->text(0, 1);
      if (state == "published") {
        if (!out.json()) out.line(fmt::format("run {} is published", rows->integer(0, 0)));
        return kFine;
      }
      if (state == "failed" || state == "abandoned")
        throw CommandError(fmt::format("run {} {}: {}", rows->integer(0, 0), state, rows->text(0, 5)),
                           kDifferent);
      bar.show(rows->text(0, 2), rows->integer(0, 3), rows->integer(0, 4));
    }
    if (!interrupt.wait(kLookEvery))
      throw CommandError("interrupted; the request stays. Do: `cutover status` shows its run.",
                         kInconclusive);
  }
}

int run_trigger(const Shell& shell, const Options& options) {
  Instant as_of = SystemClock().now();
  if (!options.as_of.empty()) {
    const auto parsed = parse_timestamp(options.as_of);
    if (!parsed)
      throw CommandError("--as-of " + options.as_of +
                         " is no time. Do: write it in UTC, as 2026-01-31T02:00:00Z.");
    as_of = *parsed;
  }
  const Settings settings = shell.load_settings().values;
  const std::int64_t last_run =
      connect_database(settings, "trigger score")
          ->run("SELECT coalesce(max(run_id), 0) FROM serving.score_runs WHERE state <> 'queued'")
          ->integer(0, 0);
  const std::string event = send_request(settings, as_of);
  std::string at;
  append_timestamp(at, as_of);
  Output out = shell.output();
  if (!out.json()) out.line("requested a batch as of " + at + " (event " + event + ")");
  const int code = options.wait ? wait_for_run(settings, as_of, last_run, out) : kFine;
  if (out.json()) out.document({{"event_id", event}, {"as_of", at}, {"published", options.wait}});
  return code;
}

}  // namespace

void add_trigger(Shell& shell) {
  CLI::App* group =
      shell.add_group("trigger", "Ask for work that a schedule would bring", "cutover trigger score");
  const auto options = std::make_shared<Options>();
  CLI::App* command = shell.add(*group, "score", "Ask whoever owns the scores to compute all of them",
                                "cutover trigger score --as-of 2026-01-31T02:00:00Z",
                                [&shell, options] { return run_trigger(shell, *options); });
  command
      ->add_option("--as-of", options->as_of, "The instant that the scores are of, in UTC; now unless told")
      ->type_name("TIME");
  command->add_flag("--wait", options->wait, "Return when the run is published; exit 1 when it fails");
}

}  // namespace cutover::cli
