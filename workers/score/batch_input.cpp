#include "workers/score/batch_input.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>

#include "workers/score/source_rows.h"

namespace cutover::score {
namespace {

constexpr std::uint64_t kProgressRows = 65'536;
constexpr std::int64_t kPagesAtOnce = 8'192;  // of contacts; 64 MB

// Contacts that are in circles, with the places of the circles' owners; 12 bytes each.
class CircleMembers {
 public:
  void reserve(std::size_t count) { members_.reserve(count); }
  void add(std::int64_t contact, std::uint32_t owner) { members_.push_back(member(contact, owner)); }
  void seal() {
    std::sort(members_.begin(), members_.end());
    members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
  }
  // Any thread, when sealed.
  //   near  where the caller's last answer was: contacts are mostly asked for in order of their ids
  bool contains(std::int64_t contact, std::uint32_t owner, std::size_t& near) const {
    const Member wanted = member(contact, owner);
    std::size_t first = 0, last = std::min(near, members_.size());
    if (near == 0 || members_[near - 1] < wanted) {
      first = near;
      last = std::min(near + kNear, members_.size());
      if (last > first && members_[last - 1] < wanted) first = last, last = members_.size();
    }
    const auto begin = members_.begin();
    near = static_cast<std::size_t>(std::lower_bound(begin + static_cast<std::ptrdiff_t>(first),
                                                     begin + static_cast<std::ptrdiff_t>(last), wanted) -
                                    begin);
    return near < members_.size() && members_[near] == wanted;
  }

 private:
  using Member = std::array<std::uint32_t, 3>;
  static constexpr std::size_t kNear = 16;
  static Member member(std::int64_t contact, std::uint32_t owner) {
    const auto id = static_cast<std::uint64_t>(contact);
    return {static_cast<std::uint32_t>(id >> 32), static_cast<std::uint32_t>(id), owner};
  }
  std::vector<Member> members_;
};

// Runs a function beside the calling thread; `join` throws what it threw.
class Beside {
 public:
  explicit Beside(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          try {
            work();
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}
  void join() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it is joined before what it writes goes
};

IdIndex read_principals(BulkSession& session) {
  std::vector<std::int64_t> ids;
  session.copy_out("SELECT p.principal_id FROM app.principals p WHERE " + std::string(kEligible) +
                       " ORDER BY p.principal_id",
                   [&](const BulkRow& row) { ids.push_back(row.integer(0)); });
  ids.shrink_to_fit();
  return IdIndex(std::move(ids));
}

// At most so many edges each principal has.
std::vector<std::uint32_t> count_edges(BulkSession& session, const IdIndex& principals,
                                       const std::string& edges) {
  std::vector<std::uint32_t> capacity(principals.size());
  session.copy_out("SELECT c.owner_id, count(*) FROM app.contacts c WHERE " + edges + " GROUP BY c.owner_id",
                   [&](const BulkRow& row) {
                     const std::uint32_t owner = principals.find(row.integer(0));
                     if (owner != IdIndex::kNone)
                       capacity[owner] = static_cast<std::uint32_t>(row.integer(1));
                   });
  return capacity;
}

void read_standings(BulkSession& session, const Weights& weights, Micros t, const IdIndex& principals,
                    std::vector<Standing>& standings) {
  session.copy_out(
      "SELECT h.principal_id, h.kind, h.verified_at FROM app.channels h WHERE h.state IN ('verified_active', "
      "'recovered')",
      [&](const BulkRow& row) {
        const std::uint32_t place = principals.find(row.integer(0));
        if (place == IdIndex::kNone) return;
        standings[place].add_verified_channel(channel_kind(row.text(1)),
                                              row.is_null(2) ? Standing::kNever : row.microseconds(2));
      });
  session.copy_out(
      "SELECT i.principal_id, i.incident_id, i.kind, i.band, i.occurred_at, i.cleared_at FROM "
      "app.trust_incidents i ORDER BY i.incident_id",
      [&](const BulkRow& row) {
        const std::uint32_t place = principals.find(row.integer(0));
        if (place == IdIndex::kNone) return;
        const std::int64_t incident = row.integer(1);
        standings[place].add_incident(weights, t, incident_kind(row.text(2), incident),
                                      band(row.text(3), incident), row.microseconds(4),
                                      row.is_null(5) ? Standing::kNever : row.microseconds(5));
      });
}

void read_circles(BulkSession& session, const IdIndex& principals, CircleMembers& members) {
  members.reserve(
      static_cast<std::size_t>(session.query("SELECT count(*) FROM app.circle_members")->integer(0, 0)));
  session.copy_out(
      "SELECT m.contact_id, k.owner_id FROM app.circle_members m JOIN app.circles k USING (circle_id)",
      [&](const BulkRow& row) {
        const std::uint32_t owner = principals.find(row.integer(1));
        if (owner != IdIndex::kNone) members.add(row.integer(0), owner);
      });
  members.seal();
}

// Contacts page range by page range, on as many sessions as there are threads.
class ContactReader {
 public:
  ContactReader(const IdIndex& principals, const CircleMembers& circles, Graph& graph, std::string edges,
                std::string lost, std::int64_t pages)
      : principals_(principals),
        circles_(circles),
        graph_(graph),
        edges_(std::move(edges)),
        lost_(std::move(lost)),
        pages_(pages) {}

  void read(BulkSession& session, const std::function<void(std::uint64_t)>& progress) {
    Reader reader;
    try {
      for (std::int64_t first = 0; !over_ && (first = next_.fetch_add(kPagesAtOnce)) <= pages_;)
        read_pages(session, first, reader, progress);
    } catch (...) {
      over_ = true;
      throw;
    }
    const std::lock_guard lock(mutex_);
    aside_.insert(aside_.end(), reader.aside.begin(), reader.aside.end());
  }
  std::vector<AsideEdge> take_aside() { return std::move(aside_); }

 private:
  // What each thread keeps.
  struct Reader {
    std::vector<AsideEdge> aside;
    std::size_t near = 0;
  };

  // The last range is open: the table may be longer than it said.
  std::string pages(std::int64_t first) const {
    std::string condition = "c.ctid >= '(" + std::to_string(first) + ",0)'::tid";
    if (first + kPagesAtOnce <= pages_)
      condition += " AND c.ctid < '(" + std::to_string(first + kPagesAtOnce) + ",0)'::tid";
    return condition;
  }

  void read_pages(BulkSession& session, std::int64_t first, Reader& reader,
                  const std::function<void(std::uint64_t)>& progress) {
    std::uint64_t seen = 0;
    session.copy_out(
        "SELECT c.contact_id, c.owner_id, c.target_id, c.confidence, c.first_seen_at, c.last_evidence_at,"
        " CASE c.state WHEN 'active_probable' THEN 1::smallint WHEN 'tombstoned' THEN 2::smallint ELSE "
        "0::smallint END"
        " FROM app.contacts c WHERE " +
            pages(first) + " AND ((" + edges_ + ") OR (" + lost_ + "))",
        [&](const BulkRow& row) {
          if (++seen % kProgressRows == 0) progress(kProgressRows);
          add(row, reader);
        });
    progress(seen % kProgressRows);
  }

  void add(const BulkRow& row, Reader& reader) {
    const std::uint32_t owner = principals_.find(row.integer(1));
    const std::uint32_t target = principals_.find(row.integer(2));
    if (owner == IdIndex::kNone || target == IdIndex::kNone) return;
    const std::int64_t state = row.integer(6);
    if (state == 2) {
      graph_.add_lost(owner);
      return;
    }
    const std::int64_t contact = row.integer(0);
    const double confidence = checked_confidence(
        row.is_null(3) ? std::numeric_limits<double>::quiet_NaN() : row.number(3), contact, row.integer(1));
    graph_.add({owner, target, confidence, row.microseconds(4), row.microseconds(5), state == 1,
                circles_.contains(contact, owner, reader.near)},
               reader.aside);
  }

  const IdIndex& principals_;
  const CircleMembers& circles_;
  Graph& graph_;
  const std::string edges_, lost_;
  const std::int64_t pages_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<bool> over_{false};
  std::mutex mutex_;
  std::vector<AsideEdge> aside_;
};

}  // namespace

BatchInput read_batch(JobContext& context, const Weights& weights, Micros t,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const std::unique_ptr<BulkSession> session = context.open_bulk(false), other = context.open_bulk(false);
  other->begin_snapshot(session->begin_snapshot());
  const Cutoffs cut = cutoffs(weights, t);
  const std::string edges = edge_condition(timestamp_literal(cut.evidence), timestamp_literal(cut.recent));
  const std::string lost = lost_condition(timestamp_literal(cut.lost), timestamp_literal(t));
  progress(0, 0);

  BatchInput input;
  input.principals = read_principals(*session);
  input.standings.resize(input.principals.size());
  CircleMembers circles;
  Beside standings([&] {
    read_standings(*other, weights, t, input.principals, input.standings);
    read_circles(*other, input.principals, circles);
  });
  const std::vector<std::uint32_t> capacity = count_edges(*session, input.principals, edges);
  standings.join();
  const std::uint64_t total = std::accumulate(capacity.begin(), capacity.end(), std::uint64_t{0});
  input.graph = std::make_unique<Graph>(weights, t, capacity);

  const std::int64_t pages =
      session->query("SELECT pg_relation_size('app.contacts') / current_setting('block_size')::bigint")
          ->integer(0, 0);
  ContactReader contacts(input.principals, circles, *input.graph, edges, lost, pages);
  std::atomic<std::uint64_t> seen{0};
  Beside second([&] { contacts.read(*other, [&](std::uint64_t rows) { seen += rows; }); });
  contacts.read(*session, [&](std::uint64_t rows) { progress(seen += rows, total); });
  second.join();
  progress(seen, std::max<std::uint64_t>(seen, total));
  input.graph->set_aside(contacts.take_aside());
  return input;
}

}  // namespace cutover::score
