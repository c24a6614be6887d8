#include "runtime/host/settings.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/host/settings_table.h"

using namespace cutover;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

class File {
 public:
  explicit File(std::string_view text) {
    std::string name = (std::filesystem::temp_directory_path() / "cutover-settings-XXXXXX").string();
    ::close(::mkstemp(name.data()));
    path_ = name;
    std::ofstream(path_) << text;
  }
  ~File() { std::filesystem::remove(path_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<WorkerSpec> workers() {
  WorkerSpec search;
  search.name = "search-projector";
  search.lanes.push_back({.name = "contact", .stream = "CONTACT", .filter_subject = "contact.>"});
  search.lanes.push_back(
      {.name = "profile", .stream = "CORE", .filter_subject = "profile.>", .batch_max = 64});
  return {search};
}

LoadedSettings load(SettingSources sources) {
  return load_settings(sources, workers());
}

std::string error_of(const SettingSources& sources) {
  try {
    load_settings(sources, workers());
  } catch (const SettingsError& error) {
    return error.what();
  }
  return "(no error)";
}

const SettingLine& line(const LoadedSettings& loaded, std::string_view key) {
  return *std::find_if(loaded.lines.begin(), loaded.lines.end(),
                       [&](const SettingLine& l) { return l.key == key; });
}

}  // namespace

TEST_CASE("without any source every setting has its default", "[settings]") {
  const auto loaded = load({});
  CHECK(loaded.values.ledger.dedupe_horizon == 168h);
  CHECK(loaded.values.outbox.keep == 10min);
  CHECK(loaded.values.limits.message_bytes_max == 262'144);
  CHECK(loaded.values.worker("search-projector").lanes[1].batch_max == 64);
  CHECK(line(loaded, "ledger.dedupe_horizon").value == "7d");
  CHECK(line(loaded, "ledger.dedupe_horizon").source == "default");
  for (const SettingLine& l : loaded.lines) CHECK(l.value == l.fallback);
}

TEST_CASE("a flag wins over a variable, and a variable over the file", "[settings]") {
  const File file("[run]\nbatch_max = 100\ndrain_timeout = \"5s\"\nin_process_relay = false\n");
  const auto loaded =
      load({.file = file.path(),
            .environment = {{"CUTOVER_RUN_BATCH_MAX", "200"}, {"CUTOVER_RUN_DRAIN_TIMEOUT", "6s"}},
            .flags = {{"run.batch_max", "300", "--set"}}});
  CHECK(loaded.values.run.batch_max == 300);
  CHECK(loaded.values.run.drain_timeout == 6s);
  CHECK_FALSE(loaded.values.run.in_process_relay);
  CHECK(line(loaded, "run.batch_max").source == "--set");
  CHECK(line(loaded, "run.drain_timeout").source == "CUTOVER_RUN_DRAIN_TIMEOUT");
  CHECK(line(loaded, "run.in_process_relay").source == file.path() + ":4");
}

TEST_CASE("workers and lanes have settings of their own", "[settings]") {
  const File file(
      "[worker.search-projector]\nconcurrency = 3\n[worker.search-projector.lane.contact]\nack_wait = "
      "\"10s\"\n");
  const auto loaded =
      load({.file = file.path(),
            .environment = {{"CUTOVER_WORKER_SEARCH_PROJECTOR_LANE_PROFILE_BATCH_MAX", "7"}}});
  const WorkerSpec& worker = loaded.values.worker("search-projector");
  CHECK(worker.concurrency == 3);
  CHECK(worker.lanes[0].ack_wait == 10s);
  CHECK(worker.lanes[0].batch_max == 512);
  CHECK(worker.lanes[1].ack_wait == 30s);
  CHECK(worker.lanes[1].batch_max == 7);
  CHECK_THROWS_AS(loaded.values.worker("no-such"), std::out_of_range);
}

TEST_CASE("lists and plain TOML types are read", "[settings]") {
  const File file(
      "nats.servers = [\"nats://a:4222\", \"tls://b:4222\"]\nretry.factor = 2.5\nretry.max = 0\n");
  const auto loaded = load({.file = file.path()});
  CHECK(loaded.values.nats.servers == std::vector<std::string>{"nats://a:4222", "tls://b:4222"});
  CHECK(loaded.values.retry.factor == 2.5);
  CHECK(loaded.values.retry.max == 0);
}

TEST_CASE("a bad value is refused with key, value, source and what is accepted", "[settings]") {
  const File file("[run]\nbatch_max = 0\n");
  CHECK_THAT(error_of({.file = file.path()}),
             Equals("run.batch_max = \"0\" is not accepted (" + file.path() + ":2). Do: give 1 to 8192."));
  CHECK_THAT(
      error_of({.environment = {{"CUTOVER_LOG_LEVEL", "loud"}}}),
      Equals("log.level = \"loud\" is not accepted (CUTOVER_LOG_LEVEL). Do: give debug, info, warn, error."));
  CHECK_THAT(
      error_of({.flags = {{"outbox.keep", "10", "--set"}}}),
      Equals(
          "outbox.keep = \"10\" is not accepted (--set). Do: give 1s to 7d, with a unit of ms, s, m, h, d."));
}

TEST_CASE("values out of range or of another type are refused", "[settings]") {
  const auto [key, value] = GENERATE(table<std::string, std::string>({
      {"run.batch_max", "8193"},
      {"run.batch_max", "-1"},
      {"run.batch_max", "12.5"},
      {"run.batch_max", "99999999999999999999999"},
      {"run.batch_max",
       "12 "
       "13"},
      {"run.in_process_relay", "yes"},
      {"retry.factor", "0.5"},
      {"retry.factor", "nan"},
      {"ops.port", "65536"},
      {"ops.bind", "localhost"},
      {"limits.message_bytes_max", "256"},
      {"nats.servers", ""},
      {"nats.servers", "localhost"},
      {"nats.servers", "http://a:1"},
      {"nats.servers", "nats://"},
      {"nats.credentials_file", "/no/such/file"},
      {"postgres.url", "mysql://h/db"},
      {"postgres.url", "db"},
      {"log.format", ""},
      {"worker.search-projector.concurrency", "0"},
  }));
  INFO(key << " = " << value);
  CHECK_THAT(error_of({.flags = {{key, value, "--set"}}}),
             ContainsSubstring(key + " = \"" + value + "\" is not accepted"));
}

TEST_CASE("an unknown key is refused wherever it stands, with the nearest known one", "[settings]") {
  const File file("[run]\nbatchmax = 5\n");
  CHECK_THAT(error_of({.file = file.path()}),
             ContainsSubstring("unknown setting run.batchmax (" + file.path() + ":2)") &&
                 ContainsSubstring("write run.batch_max"));
  CHECK_THAT(error_of({.environment = {{"CUTOVER_RUN_BATCHMAX", "5"}}}),
             ContainsSubstring("the variable CUTOVER_RUN_BATCHMAX sets nothing") &&
                 ContainsSubstring("CUTOVER_RUN_BATCH_MAX"));
  CHECK_THAT(error_of({.flags = {{"worker.searchprojector.concurrency", "5", "--set"}}}),
             ContainsSubstring("unknown setting worker.searchprojector.concurrency (--set)"));
}

TEST_CASE("all problems are reported at once", "[settings]") {
  const std::string problems = error_of({.environment = {{"CUTOVER_RETRY_MAX", "x"}, {"CUTOVER_NOPE", "1"}},
                                         .flags = {{"ops.port", "-1", "--set"}}});
  CHECK(std::count(problems.begin(), problems.end(), '\n') == 2);
}

TEST_CASE("variables of others, of the file's path and of tests are left alone", "[settings]") {
  CHECK_NOTHROW(
      load({.environment = {
                {"PATH", "/bin"}, {"CUTOVER_CONFIG", "x"}, {"CUTOVER_TEST_ENV", "y"}, {"CUTOVERX", "z"}}}));
}

TEST_CASE("a file that is missing or not TOML is refused with its line", "[settings]") {
  CHECK_THAT(error_of({.file = "/no/such/cutover.toml"}), ContainsSubstring("/no/such/cutover.toml"));
  const File file("[run]\nbatch_max = = 1\n");
  CHECK_THAT(error_of({.file = file.path()}),
             ContainsSubstring("not TOML") && ContainsSubstring(file.path() + ":2"));
}

TEST_CASE("secrets are refused as flags and never shown", "[settings]") {
  const auto [key, value] = GENERATE(table<std::string, std::string>({
      {"postgres.password", "hunter2"},
      {"postgres.url", "postgresql://me:hunter2@db/cutover"},
      {"postgres.url", "postgresql://db/cutover?password=hunter2"},
      {"postgres.url", "host=db password=hunter2"},
      {"nats.servers", "nats://me:hunter2@a:4222"},
      {"nats.servers", "nats://hunter2@a:4222"},
  }));
  INFO(key << " = " << value);
  const std::string problem = error_of({.flags = {{key, value, "--set"}}});
  CHECK_THAT(problem, ContainsSubstring("may not carry a secret on the command line"));
  CHECK_THAT(problem, !ContainsSubstring("hunter2"));
}

TEST_CASE("secrets from the environment are used, and masked in print", "[settings]") {
  const auto loaded =
      load({.environment = {{"CUTOVER_POSTGRES_PASSWORD", "hunter2"},
                            {"CUTOVER_POSTGRES_URL", "postgresql://me@db/cutover"},
                            {"CUTOVER_NATS_SERVERS", "nats://me:hunter2@a:4222,nats://hunter2@b:4222"}}});
  CHECK(loaded.values.postgres.password == "hunter2");
  CHECK(loaded.values.nats.servers[0] == "nats://me:hunter2@a:4222");
  CHECK(line(loaded, "postgres.password").value == "***");
  CHECK(line(loaded, "nats.servers").value == "nats://me:***@a:4222,nats://***@b:4222");
  for (const SettingLine& l : loaded.lines) CHECK_THAT(l.value, !ContainsSubstring("hunter2"));
}

TEST_CASE("an address is masked in every form it can take", "[settings]") {
  CHECK(mask_password("postgresql://me:p%40ss@db:5432/x?sslmode=require") ==
        "postgresql://me:***@db:5432/x?sslmode=require");
  CHECK(mask_password("postgresql://me@db/x") == "postgresql://me@db/x");
  CHECK(mask_password("postgresql://db/x?password=a&sslpassword=b&user=u") ==
        "postgresql://db/x?password=***&sslpassword=***&user=u");
  CHECK(mask_password("host=db password='a \\' b' user=u") == "host=db password=*** user=u");
  CHECK(mask_password("host=db PASSWORD = a") == "host=db PASSWORD = ***");
  CHECK(mask_password("postgres//me:secret@db") == "***@db");
}

TEST_CASE("a refused address does not show its password", "[settings]") {
  const std::string problem =
      error_of({.environment = {{"CUTOVER_POSTGRES_URL", "postgres//me:hunter2@db/x"}}});
  CHECK_THAT(problem, ContainsSubstring("is not accepted") && !ContainsSubstring("hunter2"));
}

TEST_CASE("the password comes from its file, without the line's end", "[settings]") {
  const File secret("hunter2\n");
  const auto loaded = load({.flags = {{"postgres.password_file", secret.path(), "--set"}}});
  CHECK(loaded.values.postgres.password == "hunter2");
  const File empty("\n");
  CHECK_THAT(error_of({.flags = {{"postgres.password_file", empty.path(), "--set"}}}),
             ContainsSubstring("holds no password"));
}

TEST_CASE("two places for one secret are refused", "[settings]") {
  const File secret("hunter2\n");
  CHECK_THAT(error_of({.environment = {{"CUTOVER_POSTGRES_PASSWORD", "x"}},
                       .flags = {{"postgres.password_file", secret.path(), "--set"}}}),
             ContainsSubstring("both set"));
  CHECK_THAT(error_of({.environment = {{"CUTOVER_POSTGRES_PASSWORD", "x"},
                                       {"CUTOVER_POSTGRES_URL", "postgresql://a:b@c/d"}}}),
             ContainsSubstring("keep one of them"));
  CHECK_THAT(error_of({.flags = {{"nats.tls_cert", secret.path(), "--set"}}}),
             ContainsSubstring("set both, or none"));
}

TEST_CASE("keys and their variables are distinct, described and give their own default back", "[settings]") {
  Settings settings;
  settings.workers = workers();
  std::set<std::string> keys;
  std::set<std::string> variables;
  for (const Setting& setting : settings_table(settings)) {
    INFO(setting.key);
    CHECK(keys.insert(setting.key).second);
    CHECK(variables.insert(variable_of(setting.key)).second);
    CHECK(setting.description.ends_with("."));
    CHECK_FALSE(accepted_by(setting.slot).empty());
    CHECK(assign(setting.slot, print(setting.slot)));
  }
}
