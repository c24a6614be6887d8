#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "fixtures/test_database.h"
#include "property/broker.h"
#include "runtime/postgres/connection.h"

namespace cutover::test {

// A broken invariant.
//   I1 a key is applied once, or dropped, or was deleted from its stream; I1b another worker on the subject does not apply a copy
//   twice; I1e of an edited letter only the edit goes out; I2 applied by the side that owns the place; I3 nothing stays open for
//   ever; RV a reverse is never refused; I4 effects and dead letters leave once, shadow never to a live subject; I5 an ordered
//   worker applies versions in order; I6 nothing is acknowledged by its owner and settled by nobody
struct Violation : std::runtime_error {
  Violation(std::string which, const std::string& text) : std::runtime_error(which + ": " + text), name(std::move(which)) {}
  std::string name;
};

struct WorldSettings {
  bool ordered = false;
  int lanes = 1, instances = 1;  // per side
  bool segments = true;          // else it starts without any: all is the worker's
};

// Two sides of one worker on one stream: PostgreSQL and its functions are real, each instance has a connection; broker and
// relay are data. An action changes the world and returns true, or returns false when it is not possible now: a lock that
// would have to be waited for is "not now". One thread. Throws Violation.
class World {
 public:
  // name  unique in the database: worker and stream are called by it
  World(const TestDatabase& database, const std::string& name, const WorldSettings& settings);
  ~World();

  // producer
  bool produce(int aggregate);
  bool duplicate(int key);
  // relays, by number
  bool take(int relay);
  bool publish(int relay);
  bool mark_published(int relay);
  bool relay_crash(int relay);
  bool relay_check();  // what its stream lost is published again
  // batches, by number of the instance
  bool fetch(int instance, bool replay, int lane, int count);
  bool claim(int instance);
  bool claim_across_flip(int instance);  // waits for the flip's lock; the flip commits meanwhile
  bool handle(int instance, const std::string& verdicts);  // D done, R retry, X dead letter; D where it is too short
  bool commit(int instance);
  bool acknowledge(int instance, bool lost);
  bool crash(int instance);
  bool start(int instance);
  bool redeliver(int n);  // ack_wait of the n-th pending delivery ran out
  // faults of the broker
  bool sync();
  bool lose_tail(int count);
  bool recreate();
  bool forget_window();
  // operator
  bool flip(const std::string& mode, int percent, bool seize, int stale);
  bool flip_commit();
  bool flip_abort();
  bool start_incarnation();
  bool replay(int letter, bool edit);
  bool edit(int letter);
  bool hand_over(int letter);
  bool seal(bool hand_over);        // a plan over all open letters
  bool send(int plan, int count);  // the next letters of a plan
  bool stop(int plan);             // a later send is another run
  bool republish();                // what is being replayed is late
  bool drop(int letter);
  // upkeep
  bool compact(bool sides_speak);
  bool expire(int key);
  bool report_floors();
  bool set_gap(bool at_once);
  bool other_worker();  // another worker on the same subjects takes its next event

  // Faults stop, everything runs dry, every letter is replayed; then checks what must hold in the end.
  void quiesce();

  // For whoever draws actions.
  struct Instance {
    std::string name, side;
    enum class Phase { idle, fetched, claimed, handled, committed, down } phase = Phase::idle;
    struct Item {
      std::string stream;
      int incarnation = 0;
      std::int64_t sequence = 0;  // in its stream
      PacketPtr packet;
    };
    std::vector<Item> items;
    std::string serving, shadow;
    std::vector<bool> give_back;  // by item: negative ack
    struct Effect {
      std::string key, aggregate, body;
      std::int64_t version = 0, sequence = 0;
      int incarnation = 0;
      std::string event_id;
    };
    std::vector<Effect> effects;
    bool settled = false;
    std::unique_ptr<postgres::Connection> connection;
  };
  std::vector<Instance> instances;
  struct Relay {
    std::int64_t row = 0;
    PacketPtr packet;
    bool published = false;
    std::int64_t sequence = 0;
    int incarnation = 0;
  };
  std::vector<Relay> relays{2};
  SimulatedBroker broker;
  bool flip_open = false;
  int flips = 0;
  int produced() const { return static_cast<int>(keys_.size()); }
  int sealed() const { return static_cast<int>(plans_.size()); }
  int letters_written() const { return letters_; }
  int pending() const;
  const WorldSettings settings;

 private:
  struct Segment {
    std::int64_t epoch = 0, from = 0;
    int incarnation = 0;
    std::string mode;
    int percent = 0;
  };
  struct Key {
    std::string aggregate, event_id;
    std::int64_t version = 0;
  };
  struct LetterRow {
    std::int64_t id = 0, sequence = 0;
    int incarnation = 0;
    std::string state, event_id, key, aggregate, body;
    std::int64_t version = 0;
  };

  enum class Asked { answered, not_now, refused };
  Asked ask(Instance& instance, bool wait);
  bool take_answer(Instance& instance, Asked answer);
  std::unique_ptr<Rows> run(std::string_view sql, std::initializer_list<Param> parameters = {});
  bool in_operator_transaction(const std::function<bool()>& body);
  std::string owner(int incarnation, std::int64_t sequence, const std::string& aggregate) const;
  void read_segments();
  std::int64_t add_row(postgres::Connection& connection, const Packet& packet);
  void settle(Instance& instance, const std::string& side, const std::string& classes);
  void write_letter(Instance& instance, std::size_t item, const std::string& kind, bool shadow);
  void check_applied(const Instance& instance, const Instance::Effect& effect);
  void check_stranded();
  void back_to(Instance& instance, Instance::Phase phase);
  void take_back_events(std::int64_t epoch);
  static Packet event_of(const LetterRow& row);
  std::vector<LetterRow> letters(const std::string& state);
  std::optional<LetterRow> letter(int number, const std::string& state);
  std::int64_t seal_letters(const std::string& filter, bool hand_over);
  void send_plan(std::int64_t plan, int count);
  void edit_payload(const LetterRow& row);
  void run_dry();
  void finish(int instance);
  void final_check();

  std::string worker_, stream_;
  postgres::Connection operator_, flipper_;
  std::vector<Segment> segments_;
  int known_incarnation_ = 1;
  std::vector<Key> keys_;
  std::map<std::string, std::int64_t> versions_;
  std::set<std::string> dropped_, deleted_, expired_;
  struct Done {
    Instance::Effect effect;
    std::string side;
  };
  std::vector<Done> applied_;
  std::set<std::tuple<int, std::int64_t, std::string>> edited_;  // places whose letter was edited
  std::vector<std::int64_t> plans_;
  int events_ = 0, letters_ = 0;
  std::uint64_t activity_ = 0;  // grows with everything that is progress
  // The other worker.
  std::set<std::int64_t> other_seen_;
  std::set<std::string> other_marks_, other_done_;
};

}  // namespace cutover::test
