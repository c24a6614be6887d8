#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/contract/worker.h"

namespace cutover {

// Every setting of a process, with its default. What each one means and accepts stands in settings_table.cpp.
struct Settings {
  struct Nats {
    std::vector<std::string> servers = {"nats://127.0.0.1:4222"};
    std::string credentials_file;
    std::string nkey_seed_file;
    std::string tls_ca;
    std::string tls_cert;
    std::string tls_key;
    std::chrono::milliseconds timeout{5'000};
  } nats;

  struct Postgres {
    std::string url = "postgresql://127.0.0.1:5432/cutover";
    std::string password;  // also what password_file holds; never to be logged
    std::string password_file;
    std::uint64_t pool_max = 16;
    std::chrono::milliseconds connect_timeout{5'000};
    std::chrono::milliseconds statement_timeout{30'000};
  } postgres;

  struct Run {
    std::uint64_t batch_max = 4'096;
    std::chrono::milliseconds drain_timeout{30'000};
    bool in_process_relay = true;
  } run;

  struct Retry {
    std::uint64_t max = 3;
    std::chrono::milliseconds first{1'000};
    double factor = 5;
  } retry;

  struct Ledger {
    std::chrono::milliseconds dedupe_horizon{std::chrono::days(7)};
  } ledger;

  struct Outbox {
    std::chrono::milliseconds keep{std::chrono::minutes(10)};
    std::chrono::milliseconds poll_interval{1'000};
    std::uint64_t batch_max = 256;
  } outbox;

  struct Ownership {
    std::string order = "score-orchestrator,search-projector,dispute-processor";
    std::chrono::milliseconds stable{std::chrono::hours(72)};
    std::chrono::milliseconds parity_age_max{std::chrono::hours(24)};
    std::uint64_t parity_samples_min = 1'000;
    std::chrono::milliseconds drain_max{10'000};
    std::uint64_t outbox_waiting_max = 1'000;
    bool auto_reverse = false;
  } ownership;

  struct Replay {
    std::uint64_t rate = 100;
    std::chrono::milliseconds timeout{300'000};
  } replay;

  struct Ops {
    std::string bind = "127.0.0.1";
    std::uint64_t port = 0;
  } ops;

  struct Log {
    std::string level = "info";
    std::string format = "auto";
  } log;

  struct Limits {
    std::uint64_t message_bytes_max = 256 * 1024;
  } limits;

  struct Streams {
    std::string directory;
    std::string environment;
  } streams;

  struct Search {
    std::chrono::milliseconds stale_after{60'000};
    std::uint64_t chunk_documents = 2'000;
  } search;

  // The workers as they were declared, with [worker.<name>] and [worker.<name>.lane.<name>] applied.
  std::vector<WorkerSpec> workers;

  // Throws std::out_of_range for a name that was not declared.
  const WorkerSpec& worker(std::string_view name) const;
};

// One line of `cutover config`.
struct SettingLine {
  std::string key;
  std::string value;   // secrets masked
  std::string source;  // default | /etc/cutover.toml:12 | CUTOVER_RUN_BATCH_MAX | --set
  std::string
      type;  // text | whole number | number | duration | size | true or false | choice | file | address ...
  std::string fallback;  // the default, in the form that the setting accepts
  std::string accepted;  // 1 to 4096
  std::string description;
};

// Where settings come from; later ones win.
struct SettingSources {
  std::string file = {};  // path of a TOML file, empty for none
  std::vector<std::pair<std::string, std::string>> environment =
      {};  // all variables; those of CUTOVER_* count, except CUTOVER_CONFIG and CUTOVER_TEST_*
  struct Flag {
    std::string key;
    std::string value;
    std::string flag;  // how it was given, for messages: --nats
  };
  std::vector<Flag> flags = {};
};

struct LoadedSettings {
  Settings values;
  std::vector<SettingLine> lines;  // every key, sorted as the table is
};

// Settings that cannot be used. what() has one line per problem: key, value, source, what is accepted.
class SettingsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Reads and checks everything.
//   workers  all that the binary knows; their names make up the keys worker.*
//   throws   SettingsError with every problem found; nothing is half applied
LoadedSettings load_settings(const SettingSources& sources, std::vector<WorkerSpec> workers);

// The variable that sets a key: run.batch_max is CUTOVER_RUN_BATCH_MAX.
std::string variable_of(std::string_view key);

// All variables of this process, for SettingSources.
std::vector<std::pair<std::string, std::string>> process_environment();

}  // namespace cutover
