// Any interleaving, duplication and reordering of events ends in the documents of a reindex.

#include <catch2/catch_test_macros.hpp>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "fixtures/waiting.h"
#include "search_world.h"
#include "workers/search/reindex.h"

using namespace cutover;
using namespace cutover::test;

namespace {

// Random changes of a small world; each returns the event that the monolith would send with it.
class Changes {
 public:
  Changes(SearchWorld& world, std::uint64_t seed) : world_(world), random_(seed) {
    world.change("INSERT INTO app.principals (principal_id, username) SELECT i, 'user' || i FROM generate_series(1, 5) i");
    world.change("INSERT INTO app.profiles (profile_id, owner_principal_id, profile_class, display_name, discoverable) "
                 "SELECT i, 1 + i % 5, (ARRAY['single', 'shadow', 'business', 'employee'])[1 + i % 4], 'P' || i, true FROM generate_series(1, 9) i");
    world.change("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, verified_at) "
                 "SELECT i, 1 + i % 5, CASE WHEN i % 2 = 0 THEN 'phone' ELSE 'email' END, 'value' || i, 'verified_active', now() FROM generate_series(1, 10) i");
    world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT i, 1 + i % 5, 'C' || i, 'active_confirmed' FROM generate_series(1, 16) i");
    world.change("INSERT INTO app.circles (circle_id, owner_id, name) SELECT i, 1 + i % 5, 'G' || i FROM generate_series(1, 6) i");
  }

  Told next() {
    ++number_;
    switch (pick(9)) {
      case 0: return contact("display_name = 'C" + text() + "', phone = '" + text() + "'", "edge_upserted");
      case 1: return contact("state = 'tombstoned'", "edge_deleted");
      case 2: return contact("state = 'active_probable', contested = false", "edge_restored");
      case 3: return contact("contested = NOT contested", "merge_contested");
      case 4: return profile();
      case 5: return channel();
      case 6: return principal();
      case 7: return circle();
      default: return gone_or_new();
    }
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint64_t>(below)); }
  std::string text() { return std::to_string(number_); }
  std::string one_of(int count) { return std::to_string(1 + pick(count)); }

  Told contact(const std::string& set, const std::string& verb) {
    const std::string id = one_of(16);
    world_.change("UPDATE app.contacts SET " + set + " WHERE contact_id = " + id);
    return {"contact." + verb, "{\"contact_id\":" + id + ",\"owner_id\":1}"};
  }
  Told profile() {
    const std::string id = one_of(9);
    world_.change("UPDATE app.profiles SET display_name = 'P" + text() + "', discoverable = (ARRAY[true, false, NULL])[" + one_of(3) +
                  "], profile_class = (ARRAY['single', 'shadow', 'business', 'employee'])[" + one_of(4) + "] WHERE profile_id = " + id);
    return {"profile.class_changed", "{\"profile_id\":" + id + "}"};
  }
  // An owner changes only with the state, and leaves an owner only from a state that shows nothing, as the monolith does it.
  Told channel() {
    const std::string id = one_of(10);
    const auto row = world_.database.query("SELECT principal_id, state FROM app.channels WHERE channel_id = " + id).rows.front();
    static const std::map<std::string, std::vector<std::string>> kNext = {
        {"verified_active", {"challenged", "revoked"}}, {"challenged", {"limited", "verified_active"}}, {"limited", {"disputed", "verified_active"}},
        {"disputed", {"transferred", "recovered", "revoked"}}, {"transferred", {"challenged"}}, {"recovered", {"verified_active"}}, {"revoked", {"verified_active"}}};
    const auto& ways = kNext.at(*row[1]);
    const std::string state = ways[static_cast<std::size_t>(pick(static_cast<int>(ways.size())))];
    const std::string owner = state == "transferred" ? one_of(5) : *row[0];
    world_.change("UPDATE app.channels SET state = '" + state + "', principal_id = " + owner + ", verified_at = now() WHERE channel_id = " + id);
    return {"channel.ownership_challenged", "{\"channel_id\":" + id + ",\"principal_id\":" + owner + "}"};
  }
  Told principal() {
    const std::string id = one_of(5);
    world_.change("UPDATE app.principals SET username = 'u" + text() + "', status = (ARRAY['active', 'active', 'restricted'])[" + one_of(3) +
                  "] WHERE principal_id = " + id);
    return {"identity.principal_updated", "{\"principal_id\":" + id + "}"};
  }
  Told circle() {
    const std::string id = one_of(6), member = one_of(16);
    world_.change("WITH gone AS (DELETE FROM app.circle_members WHERE circle_id = " + id + " AND contact_id = " + member +
                  " RETURNING 1) INSERT INTO app.circle_members SELECT " + id + ", " + member + " WHERE NOT EXISTS (SELECT FROM gone)");
    return {"policy.circle_membership_changed", "{\"circle_id\":" + id + ",\"contact_ids\":[" + member + "]}"};
  }
  Told gone_or_new() {
    const std::string id = one_of(16);
    world_.change("WITH gone AS (DELETE FROM app.contacts WHERE contact_id = " + id + " RETURNING 1) "
                  "INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT " + id + ", " + one_of(5) +
                  ", 'N" + text() + "', 'active_confirmed' WHERE NOT EXISTS (SELECT FROM gone)");
    if (pick(3) != 0) return {"contact.edge_deleted", "{\"contact_id\":" + id + ",\"owner_id\":2}"};
    // A sync says only whose contacts changed; the rows say which.
    const std::string owner = world_.database.value("SELECT coalesce((SELECT owner_id FROM app.contacts WHERE contact_id = " + id +
                                                    "), (SELECT owner_id FROM serving.search_documents WHERE doc_id = 'contact:" + id + "'), 1)::text");
    world_.change("UPDATE app.contacts SET display_name = 'S" + text() + "' WHERE owner_id = " + owner);
    synced_.push_back(id);
    return {"contact.sync_completed", "{\"owner_id\":" + owner + "}"};
  }

 public:
  // Each contact that only a sync told about has an event of its own, too, as every edge of the monolith has.
  std::vector<Told> edges_of_syncs() {
    std::vector<Told> events;
    for (const std::string& id : synced_) events.push_back({"contact.edge_upserted", "{\"contact_id\":" + id + "}"});
    synced_.clear();
    return events;
  }

 private:
  SearchWorld& world_;
  std::mt19937_64 random_;
  std::vector<std::string> synced_;
  int number_ = 0;
};

// What was published and not worked on yet: deliveries come out in any order, some of them again.
class Deliveries {
 public:
  explicit Deliveries(std::uint64_t seed) : random_(seed) {}

  void publish(Told event) {
    std::lock_guard lock(mutex_);
    event.sequence = ++sequence_;
    const int copies = random_() % 4 == 0 ? 2 : 1;
    for (int i = 0; i < copies; ++i)
      waiting_.insert(waiting_.begin() + static_cast<std::ptrdiff_t>(random_() % (waiting_.size() + 1)), event);
    changed_.notify_all();
  }
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  // A batch of at most `most`; empty at the end.
  std::vector<Told> take(std::size_t most) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
    std::vector<Told> batch;
    while (!waiting_.empty() && batch.size() < most) {
      batch.push_back(waiting_.front());
      waiting_.pop_front();
    }
    return batch;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Told> waiting_;
  std::mt19937_64 random_;
  std::int64_t sequence_ = 0;
  bool closed_ = false;
};

std::int64_t changed_by_reindex(SearchWorld& world) {
  const auto report = search::reindex(world.hand.in_transaction(), {}, [](const search::ReindexProgress&) { return true; },
                                      [](std::chrono::milliseconds) { return true; });
  return report.progress.upserted + report.progress.deleted;
}

// The documents that somebody who follows the outgoing events knows of: for each the event of the highest version counts.
std::int64_t unknown_to_followers(SearchWorld& world) {
  return world.database.count(R"sql(
    WITH said AS (
      SELECT DISTINCT ON (key) key, subject = 'search.document_upserted' AS there
      FROM cutover.outbox WHERE subject LIKE 'search.document_%'
      ORDER BY key, (convert_from(payload, 'UTF8')::jsonb #>> '{subject,version}')::bigint DESC)
    SELECT count(*) FROM said FULL JOIN serving.search_documents d ON d.doc_id = said.key
    WHERE (said.there IS TRUE) <> (d.doc_id IS NOT NULL))sql");
}

}  // namespace

TEST_CASE("two batches at once, events in any order and some twice: the documents are those of a reindex", "[property]") {
  const bool thorough = std::getenv("CUTOVER_TEST_LONG") != nullptr;
  const std::uint64_t first = std::random_device{}();
  for (std::uint64_t seed = first; seed < first + (thorough ? 400 : 12); ++seed) {
    INFO("seed " << seed);
    SearchWorld world;
    Changes changes(world, seed);
    changed_by_reindex(world);  // of rows that no event touches there are documents, too
    Deliveries deliveries(seed + 1);
    std::vector<std::string> failures;
    std::mutex failures_mutex;
    std::vector<std::jthread> threads;
    for (std::uint64_t thread = 0; thread < 2; ++thread)
      threads.emplace_back([&, thread] {
        SearchHand hand(world.database);
        std::mt19937_64 random(seed * 2 + thread);
        for (;;) {
          const std::vector<Told> batch = deliveries.take(1 + random() % 12);
          if (batch.empty()) return;
          try {
            hand.deliver(batch);
          } catch (const std::exception& e) {
            std::lock_guard lock(failures_mutex);
            failures.push_back(e.what());
          }
        }
      });
    for (int i = 0; i < (thorough ? 300 : 150); ++i) {
      deliveries.publish(changes.next());
      for (const Told& edge : changes.edges_of_syncs()) deliveries.publish(edge);
    }
    deliveries.close();
    threads.clear();
    CHECK(failures.empty());
    REQUIRE(world.differences() == 0);
    REQUIRE(unknown_to_followers(world) == 0);
    REQUIRE(changed_by_reindex(world) == 0);
  }
}

TEST_CASE("of two batches on one document the later one waits and sees the newer row") {
  SearchWorld world;
  world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) VALUES (1, 1, 'old', 'active_confirmed')");
  const Told event{"contact.edge_upserted", R"({"contact_id":1,"owner_id":1})"};
  world.hand.begin({event});  // has read the old row
  SearchHand other(world.database);
  std::jthread later([&] { other.deliver({event}); });
  const auto waits = [&] {
    return world.database.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 1;
  };
  REQUIRE(eventually(waits));
  world.change("UPDATE app.contacts SET display_name = 'new' WHERE contact_id = 1");
  world.hand.commit();
  later.join();
  CHECK(world.field("contact:1", "display_name") == "new");
  CHECK(world.differences() == 0);
}

TEST_CASE("batches that touch the same documents in opposite orders do not deadlock") {
  SearchWorld world;
  world.change("INSERT INTO app.contacts (contact_id, owner_id, display_name, state) SELECT i, i, 'C' || i, 'active_confirmed' FROM generate_series(1, 200) i");
  std::vector<std::string> failures;
  std::mutex mutex;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 2; ++thread)
      threads.emplace_back([&, thread] {
        SearchHand hand(world.database);
        for (int round = 0; round < 20; ++round) {
          std::vector<Told> batch;
          for (int i = 1; i <= 200; ++i) {
            const int id = thread == 0 ? i : 201 - i;
            batch.push_back({"contact.edge_upserted", "{\"contact_id\":" + std::to_string(id) + "}"});
          }
          try {
            hand.deliver(batch);
          } catch (const std::exception& e) {
            std::lock_guard lock(mutex);
            failures.push_back(e.what());
          }
        }
      });
  }
  CHECK(failures.empty());
  CHECK(world.differences() == 0);
}
