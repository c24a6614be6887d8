#include "runtime/host/settings_table.h"

namespace cutover {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kKiB = 1'024;

void add_connections(Settings& s, std::vector<Setting>& table) {
  table.insert(
      table.end(),
      {
          {"nats.servers", UrlListSlot{&s.nats.servers, "nats tls"},
           "Servers of the cluster, separated by commas."},
          {"nats.credentials_file", FileSlot{&s.nats.credentials_file},
           "User JWT and seed, as `nsc` writes them."},
          {"nats.nkey_seed_file", FileSlot{&s.nats.nkey_seed_file},
           "Seed of an nkey; instead of a credentials file."},
          {"nats.tls_ca", FileSlot{&s.nats.tls_ca},
           "PEM file of the authority that signed the servers' certificates."},
          {"nats.tls_cert", FileSlot{&s.nats.tls_cert},
           "PEM file of the client's certificate, for mutual TLS."},
          {"nats.tls_key", FileSlot{&s.nats.tls_key}, "PEM file of the key of nats.tls_cert."},
          {"nats.timeout", DurationSlot{&s.nats.timeout, milliseconds(100), minutes(1)},
           "Longest wait for an answer of the broker."},
          {"postgres.url", UrlSlot{&s.postgres.url, "postgresql postgres"},
           "Database, as a libpq address. What it leaves open comes from PG* variables and the password file "
           "of libpq."},
          {"postgres.password", TextSlot{&s.postgres.password},
           "Password of the role, when it is in no other place.", true},
          {"postgres.password_file", FileSlot{&s.postgres.password_file},
           "File that holds the password and nothing else."},
          {"postgres.pool_max", CountSlot{&s.postgres.pool_max, 1, 1'000},
           "Most connections that one worker holds; at least its threads, its chores and two."},
          {"postgres.connect_timeout", DurationSlot{&s.postgres.connect_timeout, seconds(1), minutes(5)},
           "Longest wait for a connection; whole seconds count."},
          {"postgres.statement_timeout",
           DurationSlot{&s.postgres.statement_timeout, milliseconds(100), hours(1)},
           "Longest run of one statement of a batch."},
      });
}

void add_delivery(Settings& s, std::vector<Setting>& table) {
  table.insert(
      table.end(),
      {
          {"run.batch_max", CountSlot{&s.run.batch_max, 1, 8'192},
           "Most events in one transaction, whatever a lane says."},
          {"run.drain_timeout", DurationSlot{&s.run.drain_timeout, milliseconds(100), hours(1)},
           "After SIGTERM: longest wait for running batches."},
          {"run.in_process_relay", BoolSlot{&s.run.in_process_relay},
           "Whether `cutover run` also publishes the outbox. Say no where `cutover relay` runs."},
          {"retry.max", CountSlot{&s.retry.max, 0, 100},
           "Attempts after the first, before an event is a dead letter."},
          {"retry.first", DurationSlot{&s.retry.first, milliseconds(1), hours(1)},
           "Upper bound of the wait before the first of them; waits are jittered down to 0."},
          {"retry.factor", RealSlot{&s.retry.factor, 1, 100}, "How much longer each further wait may be."},
          {"ledger.dedupe_horizon", DurationSlot{&s.ledger.dedupe_horizon, minutes(1), days(90)},
           "How long an idempotency key is remembered."},
          {"outbox.keep", DurationSlot{&s.outbox.keep, seconds(1), days(7)},
           "How long published rows stay, to be published again if the broker loses them. Above its sync "
           "interval."},
          {"outbox.poll_interval", DurationSlot{&s.outbox.poll_interval, milliseconds(10), minutes(1)},
           "How often an idle relay looks without being notified. For a second after it found rows it looks every 20 ms."},
          {"outbox.batch_max", CountSlot{&s.outbox.batch_max, 1, 10'000},
           "Most rows that the relay claims at once."},
          {"replay.rate", CountSlot{&s.replay.rate, 1, 100'000}, "Most replayed dead letters a second."},
          {"replay.timeout", DurationSlot{&s.replay.timeout, seconds(10), days(1)},
           "A replay that nobody settled for so long is published again."},
          {"limits.message_bytes_max", SizeSlot{&s.limits.message_bytes_max, kKiB, 8 * kKiB * kKiB},
           "A larger event is malformed."},
      });
}

void add_surroundings(Settings& s, std::vector<Setting>& table) {
  table.insert(
      table.end(),
      {
          {"ops.bind", AddressSlot{&s.ops.bind}, "Address of /livez, /readyz and /metrics."},
          {"ops.port", CountSlot{&s.ops.port, 0, 65'535}, "Their port; 0 takes a free one and logs it."},
          {"log.level", ChoiceSlot{&s.log.level, {"debug", "info", "warn", "error"}},
           "Least level that is written."},
          {"log.format", ChoiceSlot{&s.log.format, {"auto", "json", "text"}},
           "auto is text on a terminal and JSON everywhere else."},
          {"streams.directory", TextSlot{&s.streams.directory},
           "Folder of the topology files; empty takes those that came with the program."},
          {"streams.environment", TextSlot{&s.streams.environment},
           "Overlay of the topology, a folder below that one, such as production."},
          {"search.stale_after", DurationSlot{&s.search.stale_after, seconds(1), days(1)},
           "Age from which on searches are answered from the source tables."},
          {"search.chunk_documents", CountSlot{&s.search.chunk_documents, 1, 100'000},
           "Documents in one transaction of a large job or a reindex."},
      });
}

void add_ownership(Settings& s, std::vector<Setting>& table) {
  table.insert(table.end(),
               {
                   {"ownership.order", TextSlot{&s.ownership.order},
                    "Workers in the order in which they take over, separated by commas; one that is not named "
                    "waits for none."},
                   {"ownership.stable", DurationSlot{&s.ownership.stable, milliseconds(0), days(90)},
                    "How long a worker must have been at 100 % before the next one begins, and before it is "
                    "complete. The watch after a switch lasts as long."},
                   {"ownership.parity_age_max", DurationSlot{&s.ownership.parity_age_max, minutes(1), days(30)},
                    "How old the verdict of a comparison may be."},
                   {"ownership.parity_samples_min", CountSlot{&s.ownership.parity_samples_min, 1, 1'000'000'000},
                    "How many samples it must rest on."},
                   {"ownership.drain_max", DurationSlot{&s.ownership.drain_max, milliseconds(0), days(1)},
                    "How long the worker may need for what waits for it."},
                   {"ownership.outbox_waiting_max", CountSlot{&s.ownership.outbox_waiting_max, 0, 1'000'000'000},
                    "How many rows of the outbox may wait."},
                   {"ownership.auto_reverse", BoolSlot{&s.ownership.auto_reverse},
                    "Whether the watch hands events back to the monolith by itself when a limit is passed."},
               });
}

void add_worker(WorkerSpec& worker, std::vector<Setting>& table) {
  const std::string prefix = "worker." + worker.name + ".";
  table.push_back({prefix + "concurrency", CountSlot{&worker.concurrency, 1, 64},
                   "Threads; events are spread over them by key."});
  for (LaneSpec& lane : worker.lanes) {
    const std::string at = prefix + "lane." + lane.name + ".";
    table.push_back(
        {at + "batch_max", CountSlot{&lane.batch_max, 1, 8'192}, "Most events in one transaction."});
    table.push_back({at + "ack_wait", DurationSlot{&lane.ack_wait, milliseconds(100), hours(1)},
                     "How long the broker waits for an ack before it delivers again."});
    table.push_back({at + "max_ack_pending", CountSlot{&lane.max_ack_pending, 1, 1'000'000},
                     "Most events delivered and not acked."});
    table.push_back({at + "max_wait", DurationSlot{&lane.max_wait, milliseconds(10), hours(1)},
                     "While events wait, the lane is served at least this often."});
  }
}

}  // namespace

std::vector<Setting> settings_table(Settings& settings) {
  std::vector<Setting> table;
  add_connections(settings, table);
  add_delivery(settings, table);
  add_ownership(settings, table);
  add_surroundings(settings, table);
  for (WorkerSpec& worker : settings.workers) add_worker(worker, table);
  return table;
}

}  // namespace cutover
