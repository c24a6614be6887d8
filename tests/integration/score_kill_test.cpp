#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <thread>

#include <catch2/catch_test_macros.hpp>

#include "fixtures/waiting.h"
#include "score_rig.h"

// A batch is killed at every step and at random moments. Each time a process of its own works on it.

namespace cutover::test {
namespace {

// Kills this process at its n-th step: in or after a transaction, before a stream or a piece of one.
class Countdown {
 public:
  explicit Countdown(long steps) : left_(steps) {}
  void step() {
    if (left_-- == 0) ::kill(::getpid(), SIGKILL);
  }

 private:
  std::atomic<long> left_;
};

class MortalSession final : public BulkSession {
 public:
  MortalSession(std::unique_ptr<BulkSession> inner, Countdown& countdown)
      : inner_(std::move(inner)), countdown_(countdown) {}
  bool try_lock(std::string_view name) override { return inner_->try_lock(name); }
  std::string begin_snapshot(std::string_view snapshot) override { return inner_->begin_snapshot(snapshot); }
  void begin() override { inner_->begin(); }
  void commit() override {
    countdown_.step();
    inner_->commit();
    countdown_.step();
  }
  std::unique_ptr<Rows> query(const std::string& sql) override { return inner_->query(sql); }
  void copy_out(const std::string& query, const std::function<void(const BulkRow&)>& row) override {
    countdown_.step();
    inner_->copy_out(query, row);
  }
  std::uint64_t copy_in(const std::string& table, const std::function<bool(BulkBuffer&)>& fill) override {
    return inner_->copy_in(table, [&](BulkBuffer& buffer) {
      countdown_.step();
      return fill(buffer);
    });
  }

 private:
  std::unique_ptr<BulkSession> inner_;
  Countdown& countdown_;
};

class MortalContext final : public JobContext {
 public:
  MortalContext(JobContext& inner, long steps) : inner_(inner), countdown_(steps) {}
  void in_transaction(bool shadow, const std::function<void(Transaction&)>& work) override {
    inner_.in_transaction(shadow, [&](Transaction& tx) {
      work(tx);
      countdown_.step();
    });
    countdown_.step();
  }
  std::unique_ptr<BulkSession> open_bulk(bool shadow) override {
    return std::make_unique<MortalSession>(inner_.open_bulk(shadow), countdown_);
  }
  void report(const JobProgress& progress) override { inner_.report(progress); }
  void log(const std::string& what, const std::string& detail) override { inner_.log(what, detail); }
  bool stopping() const override { return false; }
  Instant now() const override { return inner_.now(); }
  std::string_view instance() const override { return inner_.instance(); }

 private:
  JobContext& inner_;
  Countdown countdown_;
};

// Works in a process of its own; returns its id.
pid_t work_elsewhere(const std::string& url, long steps) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  {
    ScoreHand hand(url, "elsewhere");
    MortalContext context(hand.context(), steps);
    score::BatchJob job(2);
    while (job.run(context)) {
    }
  }
  ::_exit(0);
}

bool survived(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

class KilledRun {
 public:
  KilledRun() {
    std::mt19937_64 random(11);
    world_.populate(random, 60, 15);
    world_.hand.deliver({{kAll, "2026-05-31 12:00:00+00"}});
    world_.hand.work_off();
    old_ = world_.results("serving.scores", "true");
    world_.change("DELETE FROM cutover.outbox");
  }

  void request() { world_.hand.deliver({{kAll, "2026-06-01 12:00:00+00"}}); }
  const std::string& url() const { return world_.database.url(); }

  // Readers see the old run, or the whole new one; also when PostgreSQL has ended what the dead process had
  // begun.
  void check_readers() {
    REQUIRE(eventually([&] {
      return world_.database.count(
                 "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                 "application_name LIKE '%elsewhere'") == 0;
    }));
    const bool published =
        world_.database.count("SELECT count(*) FROM serving.score_runs WHERE state = 'published'") == 2;
    const auto seen = world_.results("serving.scores", "true");
    if (!published) CHECK(seen == old_);
    CHECK(world_.database.count("SELECT count(DISTINCT run_id) FROM serving.scores") == 1);
  }

  // The rest happens here; then everything is as if nothing had been killed. Takes the run away again.
  void finish_and_check() {
    world_.hand.work_off();
    CHECK(world_.database.value("SELECT string_agg(state || ' ' || (as_of = '2026-06-01 12:00:00+00') || ' ' "
                                "|| became_current, ',') "
                                "FROM serving.score_runs WHERE run_id > 1") == "published true true");
    CHECK(world_.database.count(
              "SELECT count(*) FROM cutover.outbox WHERE subject = 'score.snapshot_published'") == 1);
    CHECK(world_.database.count("SELECT count(*) FROM serving.scores") ==
          static_cast<std::int64_t>(old_.size()));
    CHECK(world_.database.count("SELECT count(*) - count(DISTINCT key) FROM cutover.outbox WHERE subject = "
                                "'score.explanation_updated'") == 0);
    const auto fresh = world_.results("serving.scores", "true");
    if (expected_.empty()) expected_ = fresh;
    CHECK(fresh == expected_);
    world_.change("UPDATE serving.score_current SET run_id = 1, as_of = '2026-05-31 12:00:00+00'");
    world_.change("DELETE FROM serving.score_results WHERE run_id > 1");
    world_.change("DELETE FROM serving.score_runs WHERE run_id > 1");
    world_.change("DELETE FROM cutover.outbox");
  }

 private:
  ScoreWorld world_;
  std::vector<std::string> old_, expected_;
};

}  // namespace

TEST_CASE("a batch that is killed at any step starts again with the same t and publishes once",
          "[score][fault]") {
  KilledRun run;
  bool survives = false;
  long steps = 0;
  for (; !survives && steps < 200; ++steps) {
    INFO("killed at step " << steps);
    run.request();
    survives = survived(work_elsewhere(run.url(), steps));
    run.check_readers();
    run.finish_and_check();
  }
  CHECK(survives);
  CHECK(steps > 20);
}

TEST_CASE("a batch that is killed at random moments, more than once, publishes once", "[score][fault]") {
  KilledRun run;
  std::mt19937_64 random(5);
  for (int round = 0; round < 8; ++round) {
    INFO("round " << round);
    run.request();
    for (int kill = 0; kill < 2; ++kill) {
      const pid_t child = work_elsewhere(run.url(), std::numeric_limits<long>::max());
      std::this_thread::sleep_for(
          std::chrono::microseconds(random() % 60'000));  // the moment of the kill, not an assertion
      ::kill(child, SIGKILL);
      survived(child);
      run.check_readers();
    }
    run.finish_and_check();
  }
}

}  // namespace cutover::test
