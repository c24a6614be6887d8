#include "fault/applied.h"

#include <map>
#include <set>

namespace cutover::test {
namespace {

// A change of ownership, from a sequence on.
struct Change {
  std::uint64_t from = 0;
  std::string mode;
  int buckets = 0;  // of 10,000, the worker's
};

// FNV-1a, 64 bits.
std::uint64_t hash_of(const std::string& key) {
  std::uint64_t hash = 14695981039346656037u;
  for (const unsigned char byte : key) hash = (hash ^ byte) * 1099511628211u;
  return hash;
}

std::string owner_of(const std::vector<Change>& changes, std::uint64_t sequence, const std::string& key) {
  std::string owner = "monolith";
  for (const Change& change : changes) {  // in order of epoch: the last one that reaches the sequence decides
    if (change.from > sequence) continue;
    const bool workers =
        change.mode == "worker" ||
        (change.mode == "canary" && static_cast<int>(hash_of(key) % 10'000) < change.buckets);
    owner = workers ? "worker" : "monolith";
  }
  return owner;
}

std::vector<Change> read_changes(TestDatabase& db, const std::string& worker) {
  std::vector<Change> changes;
  for (const auto& row : db.query("SELECT o.from_sequence, o.mode, (o.percent * 100)::integer FROM "
                                  "cutover.ownership o JOIN cutover.workers w "
                                  "USING (worker_id) WHERE w.worker = $1 ORDER BY o.epoch",
                                  {worker})
                             .rows)
    changes.push_back({std::stoull(*row[0]), *row[1], std::stoi(*row[2])});
  return changes;
}

// Collects faults of one kind: the first in words, and how many.
class Kind {
 public:
  explicit Kind(std::string what) : what_(std::move(what)) {}
  void add(const std::string& example) {
    if (count_++ < 3) examples_ += (examples_.empty() ? "" : ", ") + example;
  }
  void report(std::vector<std::string>& out) const {
    if (count_ > 0) out.push_back(what_ + ": " + std::to_string(count_) + ", such as " + examples_);
  }

 private:
  std::string what_, examples_;
  std::size_t count_ = 0;
};

std::string at(std::uint64_t sequence) {
  return "sequence " + std::to_string(sequence);
}

}  // namespace

std::vector<Applied> read_applied(TestDatabase& db, const std::string& table) {
  std::vector<Applied> all;
  for (const auto& row :
       db.query("SELECT idempotency_key, key, side, sequence, version, serial, "
                "(extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM " +
                table + " ORDER BY serial")
           .rows)
    all.push_back({*row[0], *row[1], *row[2], std::stoull(*row[3]), std::stoll(*row[4]), std::stoll(*row[5]),
                   std::chrono::system_clock::time_point(std::chrono::microseconds(std::stoll(*row[6])))});
  return all;
}

std::vector<std::string> faults(TestDatabase& db, const std::string& worker,
                                const std::vector<SentEvent>& sent, bool ordered) {
  const std::vector<Change> changes = read_changes(db, worker);
  Kind twice("applied twice"), never("never applied"), wrong_side("applied by the wrong side"),
      strange("applied and never sent"), backwards("applied out of order"), unsettled("settled by nobody"),
      settled_twice("settled more than once"), wrong_ledger("settled by the wrong side"),
      misjudged("settled as something else");

  std::set<std::string> applied;
  std::set<std::uint64_t> places;
  std::map<std::string, std::int64_t> latest;
  for (const Applied& row : read_applied(db)) {
    if (!applied.insert(row.idempotency_key).second) twice.add(row.idempotency_key);
    places.insert(row.sequence);
    if (row.sequence == 0 || row.sequence > sent.size() ||
        sent[row.sequence - 1].idempotency_key() != row.idempotency_key) {
      strange.add(row.idempotency_key + " at " + at(row.sequence));
      continue;
    }
    if (row.side != owner_of(changes, row.sequence, row.key)) wrong_side.add(at(row.sequence));
    if (ordered && row.version != ++latest[row.key])
      backwards.add(row.idempotency_key + " at " + at(row.sequence));
  }
  for (const SentEvent& event : sent)
    if (!applied.contains(event.idempotency_key())) never.add(event.idempotency_key());

  std::vector<int> settled(sent.size());
  for (const auto& row :
       db.query(
             "SELECT s, t.side, t.class FROM cutover.settlements t JOIN cutover.workers w USING (worker_id), "
             "unnest(t.sequences) r, generate_series(lower(r), upper(r) - 1) s WHERE w.worker = $1 AND "
             "t.side <> 's'",
             {worker})
           .rows) {
    const std::uint64_t sequence = std::stoull(*row[0]);
    if (sequence == 0 || sequence > sent.size()) {
      strange.add("a settlement at " + at(sequence));
      continue;
    }
    if (++settled[sequence - 1] == 2) settled_twice.add(at(sequence));
    if (owner_of(changes, sequence, sent[sequence - 1].key).substr(0, 1) != *row[1])
      wrong_ledger.add(at(sequence));
    if (*row[2] != (places.contains(sequence) ? "a" : "d")) misjudged.add(at(sequence) + " as " + *row[2]);
  }
  for (std::size_t i = 0; i < sent.size(); ++i)
    if (settled[i] == 0) unsettled.add(at(i + 1));

  std::vector<std::string> out;
  for (const Kind* kind : {&twice, &never, &wrong_side, &strange, &backwards, &unsettled, &settled_twice,
                           &wrong_ledger, &misjudged})
    kind->report(out);
  return out;
}

}  // namespace cutover::test
