#include "runtime/engine/batch_engine.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <thread>
#include <unordered_map>

#include "runtime/engine/claim_item.h"
#include "runtime/engine/worker_transaction.h"
#include "runtime/event/event_arena.h"
#include "runtime/observe/log.h"

namespace cutover {
namespace {

static_assert(kEnvelopePadding == kPayloadPadding, "the source pads what the parser reads past");

// One message of the batch, parsed.
struct Item {
  Message* message = nullptr;
  std::uint64_t sequence = 0;  // of the origin
  std::variant<Event, Malformed> parsed;
  ClaimItem claim;
  Past past;
  bool addressed = false;  // the worker lists this event, in some version
  bool done = false;       // committed, and acknowledged or given back

  const Event* event() const { return std::get_if<Event>(&parsed); }
  bool redelivered() const { return message->deliveries > 1; }
};
using Items = std::span<Item* const>;

// What to tell the broker about one item after the commit.
struct Answer {
  std::optional<std::chrono::milliseconds> retry;  // else: acknowledge
};

// A single event failed while alone.
struct Failure {
  Item* item = nullptr;
  std::string error;
  bool shadow = false;
  std::string sqlstate;  // of a failed statement
};

// True for what no event causes: a missing permission, table, column or function.
bool is_deployment_fault(const std::string& sqlstate) {
  return sqlstate == "42501" || sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "42883" || sqlstate == "3F000";
}

// Totals of one transaction, added to the metrics after its commit.
struct Tally {
  int applied = 0, duplicates = 0, not_owned = 0, not_addressed = 0, retried = 0, deferred = 0, reused = 0;
  std::vector<std::string> dead_kinds;
  std::vector<Instant> published;  // when the broker stored what was applied
};

double seconds(auto duration) { return std::chrono::duration<double>(duration).count(); }

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

struct BatchEngine::State {
  const WorkerSpec& spec;
  Worker& worker;
  MessageSource& source;
  TransactionSource& transactions;
  ProgressKeeper& progress;
  const Clock& clock;
  Random64 random;
  BatchOptions options;
  BatchHooks hooks;
  Retry retry;
  EnvelopeParser parser;
  EventArena arena;
  EventIds ids;
  std::unordered_map<std::string_view, const EventType*> events;

  // Of the batch at hand.
  const BatchLane* lane = nullptr;
  const Origin* origin = nullptr;
  std::vector<Item> items{};
  std::vector<Failure> failures{};
  Items started{};  // whom the latest note in cutover.started is about
  ProgressKeeper::Running* keeping = nullptr;
  bool in_shadow = false;
  int all_failed_rounds = 0;

  std::vector<Item*> prepare(std::vector<Message>& messages);
  void parse(Item& item);
  std::vector<Item*> look_back(Items batch);
  void run(Items batch);
  std::vector<Answer> attempt(Items batch, const Failure* forced, Tally& tally);
  void pass(BatchTransaction& tx, Items batch, const std::vector<Claim>& claims, bool shadow, const Failure* forced,
            std::vector<Answer>& answers, Tally& tally);
  void note_started(Items batch);
  void keep_the_rest();
  void finish(Items batch, const std::vector<Answer>& answers, const Tally& tally, Deadline began);
  void give_back(Item& item);
  void settle_failures(std::size_t total);
  void letter(BatchTransaction& tx, const Item& item, std::string kind, std::string error, int attempts, Tally& tally);
  Settlement failed(BatchTransaction& tx, Item& item, const std::string& error, std::chrono::milliseconds at_least,
                    Answer& answer, Tally& tally);
};

void BatchEngine::State::parse(Item& item) {
  const Message& m = *item.message;
  EnvelopeInput input;
  input.data = m.data;
  input.nats_subject = m.subject;
  if (lane->replay) input.nats_subject = m.header("Cutover-Origin-Subject");
  if (lane->twin) input.nats_subject.remove_prefix(std::min(kShadowPrefix.size(), input.nats_subject.size()));
  input.cutover_key = m.header("Cutover-Key");
  input.traceparent = m.header("traceparent");
  input.tracestate = m.header("tracestate");
  input.place = {origin->stream, origin->incarnation, item.sequence};
  item.parsed = parser.parse(input, arena);
  const Event* event = item.event();
  const ClaimQuestion question = claim_question(m, item.parsed, item.sequence, spec.name, event && events.contains(event->event_name));
  item.claim = question.item;
  item.addressed = question.addressed;
  if (lane->replay) {
    item.claim.replay_plan = static_cast<std::int64_t>(number(m.header("Cutover-Plan")));
    // The letter's own: an id that could not be read stood in the headers of the original, or came with an edit.
    if (const std::string_view id = m.header("Cutover-Origin-Event-Id"); !id.empty()) item.claim.event_id = id;
  }
  if (lane->twin) item.claim.shadow_period = static_cast<std::int64_t>(number(m.header(kShadowPeriodHeader)));
}

// Drops what is stale and all but the latest delivery of a sequence; parses the rest, in order of sequence.
std::vector<Item*> BatchEngine::State::prepare(std::vector<Message>& messages) {
  arena.reset();
  items.clear();
  items.reserve(messages.size());
  auto oldest = clock.monotonic() - lane->spec->ack_wait;
  std::size_t before = messages.size();
  std::erase_if(messages, [&](const Message& m) { return m.received_at < oldest; });
  lane->metrics->stale.add(static_cast<double>(before - messages.size()));
  for (Message& m : messages) {
    Item& item = items.emplace_back();
    item.message = &m;
    item.sequence = lane->replay ? number(m.header("Cutover-Origin-Sequence")) : m.stream_sequence;
  }
  std::vector<Item*> order;
  order.reserve(items.size());
  for (Item& item : items) order.push_back(&item);
  auto before_in_stream = [](const Item* a, const Item* b) {
    return a->sequence != b->sequence ? a->sequence < b->sequence : a->message->deliveries < b->message->deliveries;
  };
  // Deliveries come in stream order, unless something was given back.
  if (!std::is_sorted(order.begin(), order.end(), before_in_stream))
    std::stable_sort(order.begin(), order.end(), before_in_stream);
  std::vector<Item*> batch;
  batch.reserve(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i + 1 < order.size() && order[i + 1]->sequence == order[i]->sequence) {
      order[i]->done = true;
      continue;
    }
    parse(*order[i]);
    batch.push_back(order[i]);
  }
  return batch;
}

void BatchEngine::State::note_started(Items batch) {
  std::vector<std::uint64_t> sequences;
  for (Item* item : batch)
    if (item->redelivered()) sequences.push_back(item->sequence);
  started = batch;
  if (sequences.empty()) return;
  for (const Past& past : transactions.start_redelivered(*origin, sequences, batch.size() == 1))
    for (Item* item : batch)
      if (item->sequence == past.sequence) {
        item->past.attempts = std::max(item->past.attempts, past.attempts);
        // Serving and shadow have a row each; a crash is noted in one of them.
        item->past.lone_crashes = std::max(item->past.lone_crashes, past.lone_crashes);
        item->past.suspect |= past.suspect;
        if (past.first_failed_at)
          item->past.first_failed_at = std::min(item->past.first_failed_at.value_or(*past.first_failed_at), *past.first_failed_at);
      }
}

// Asks what earlier deliveries left behind; returns the suspects, to be tried alone.
std::vector<Item*> BatchEngine::State::look_back(Items batch) {
  note_started(batch);
  std::vector<Item*> suspects;
  for (Item* item : batch)
    if (item->past.suspect) suspects.push_back(item);
  return suspects;
}

// Tries a batch whole, then in halves until the failing event is alone.
void BatchEngine::State::run(Items batch) {
  if (batch.empty()) return;
  std::string error, sqlstate;
  bool shadow = false;
  for (int tries = 0; tries <= options.conflict_retries_max; ++tries) {
    try {
      Tally tally;
      auto began = clock.monotonic();
      std::vector<Answer> answers = attempt(batch, nullptr, tally);
      finish(batch, answers, tally, began);
      return;
    } catch (const TransactionConflict& e) {
      error = e.what();
      shadow = in_shadow;
      lane->metrics->rolled_back.add();
      std::this_thread::sleep_for(std::chrono::milliseconds(1 + random() % (10u << (2 * tries))));
    } catch (const DependencyDown&) {
      throw;
    } catch (const ClaimRefused&) {
      throw;
    } catch (const std::exception& e) {
      error = e.what();
      if (const auto* statement = dynamic_cast<const StatementError*>(&e)) sqlstate = statement->sqlstate;
      shadow = in_shadow;
      lane->metrics->rolled_back.add();
      break;
    } catch (...) {
      error = "worker " + spec.name + " threw something that is no std::exception";
      shadow = in_shadow;
      lane->metrics->rolled_back.add();
      break;
    }
  }
  if (batch.size() == 1) {
    failures.push_back({batch.front(), error, shadow, sqlstate});
    return;
  }
  std::size_t half = batch.size() / 2;
  run(batch.first(half));
  run(batch.subspan(half));
}

// One transaction. `forced`: its event is not handed to the worker, but counted as failed in that ledger.
std::vector<Answer> BatchEngine::State::attempt(Items batch, const Failure* forced, Tally& tally) {
  if (started.data() != batch.data() || started.size() != batch.size()) note_started(batch);
  in_shadow = false;
  auto tx = transactions.begin();
  std::vector<ClaimItem> claim_items;
  claim_items.reserve(batch.size());
  for (Item* item : batch) claim_items.push_back(item->claim);
  Claims claims;
  try {
    claims = lane->twin ? tx->claim_shadow(*origin, claim_items) : tx->claim(*origin, claim_items);
  } catch (const StatementError& e) {
    throw ClaimRefused(e.what());  // no event is to blame: a missing permission, another schema
  }
  std::vector<Answer> answers(batch.size());
  pass(*tx, batch, claims.serving, false, forced, answers, tally);
  if (std::any_of(claims.shadow.begin(), claims.shadow.end(), [](Claim c) { return c != Claim::none && c != Claim::settled; })) {
    in_shadow = true;
    tx->use_shadow(true);
    Tally unseen;  // the metrics of a live lane are about what the application sees
    pass(*tx, batch, claims.shadow, true, forced, answers, lane->twin ? tally : unseen);
  }
  tx->commit();
  started = {};
  if (tx->has_outgoing()) hooks.wrote_outgoing();
  return answers;
}

void BatchEngine::State::letter(BatchTransaction& tx, const Item& item, std::string kind, std::string error, int attempts,
                                Tally& tally) {
  log_warn("dead letter", {{"worker", spec.name}, {"lane", lane->spec->name}, {"stream", origin->stream},
                           {"sequence", item.sequence}, {"event_id", item.claim.event_id}, {"kind", kind}, {"error", error},
                           {"shadow", in_shadow}});
  DeadLetterRecord record;
  record.message = item.message;
  record.item = item.claim;
  record.event_name = item.event() ? item.event()->event_name : std::get<Malformed>(item.parsed).event_name;
  record.lane = lane->spec->name;
  record.kind = kind;
  record.error = std::move(error);
  record.attempts = attempts;
  record.first_failed_at = item.past.first_failed_at;
  tx.dead_letter(record);
  tally.dead_kinds.push_back(std::move(kind));
}

// One more attempt that failed: retried later, or given up.
Settlement BatchEngine::State::failed(BatchTransaction& tx, Item& item, const std::string& error,
                                      std::chrono::milliseconds at_least, Answer& answer, Tally& tally) {
  int attempts = tx.add_attempt(item.sequence, error);
  item.past.attempts = attempts;
  std::optional<std::chrono::milliseconds> backoff = retry.delay_after(attempts);
  if (!backoff) {
    letter(tx, item, "transient", error, attempts, tally);
    return Settlement::dead_letter;
  }
  auto delay = std::max(at_least, *backoff);
  answer.retry = std::max(answer.retry.value_or(delay), delay);
  ++tally.retried;
  return Settlement::released;
}

// Serving, or shadow: what was claimed goes to the worker, and every item is settled in that ledger.
void BatchEngine::State::pass(BatchTransaction& tx, Items batch, const std::vector<Claim>& claims, bool shadow,
                              const Failure* forced, std::vector<Answer>& answers, Tally& tally) {
  std::vector<Settlement> settlements(batch.size(), Settlement::untouched);
  std::vector<std::optional<Verdict>> verdicts(batch.size());
  std::vector<Event> work;
  std::vector<std::size_t> work_at;
  work.reserve(batch.size());
  work_at.reserve(batch.size());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Item& item = *batch[i];
    if (claims[i] == Claim::skip) ++tally.not_owned;
    if (claims[i] == Claim::settled) ++tally.duplicates;
    if (claims[i] == Claim::wait) {
      const auto delay = std::min(options.wait_for_predecessor * (1 << std::min<std::uint64_t>(item.message->deliveries - 1, 10)),
                                  options.wait_for_predecessor_max);
      answers[i].retry = std::max(answers[i].retry.value_or(delay), delay);
      ++tally.deferred;
    }
    if (claims[i] == Claim::gap) {
      letter(tx, item, "gap", "version " + std::to_string(item.claim.version) + " came, and an earlier one stayed missing",
             item.past.attempts, tally);
      settlements[i] = Settlement::dead_letter;
    }
    if (claims[i] == Claim::reused) {
      ++tally.reused;
      log_error("the broker reused a sequence: it lost messages that were settled",
                {{"worker", spec.name}, {"stream", origin->stream}, {"sequence", item.sequence}, {"event_id", item.claim.event_id}});
    }
    if (claims[i] != Claim::apply && claims[i] != Claim::reused) continue;
    const Event* event = item.event();
    if (!item.addressed) {
      settlements[i] = Settlement::not_addressed;
      ++tally.not_addressed;
    } else if (!event) {
      letter(tx, item, "malformed", std::get<Malformed>(item.parsed).reason, item.past.attempts + 1, tally);
      settlements[i] = Settlement::dead_letter;
    } else if (const EventType& type = *events.at(event->event_name);
               event->event_version < type.version_min || event->event_version > type.version_max) {
      letter(tx, item, "unsupported_version",
             "event_version " + std::to_string(event->event_version) + " of " + type.name + ": this build reads " +
                 std::to_string(type.version_min) + " to " + std::to_string(type.version_max),
             item.past.attempts + 1, tally);
      settlements[i] = Settlement::dead_letter;
    } else if (item.past.lone_crashes >= options.lone_crashes_max) {
      letter(tx, item, "crash_suspect",
             "the process died " + std::to_string(item.past.lone_crashes) + " times while it worked on this event alone",
             item.past.attempts + item.past.lone_crashes, tally);
      settlements[i] = Settlement::dead_letter;
    } else if (forced && (forced->shadow == shadow || !forced->shadow)) {
      settlements[i] = failed(tx, item, forced->error, std::chrono::milliseconds(0), answers[i], tally);
    } else {
      work.push_back(*event);
      work_at.push_back(i);
    }
  }
  if (!work.empty()) {
    WorkerTransaction worker_tx(tx, spec.name, ids, clock.now());
    std::vector<Verdict> returned = worker.handle(work, worker_tx);
    if (returned.size() != work.size())
      throw std::logic_error("worker " + spec.name + " returned " + std::to_string(returned.size()) + " verdicts for " +
                             std::to_string(work.size()) + " events");
    for (std::size_t k = 0; k < work.size(); ++k) verdicts[work_at[k]] = std::move(returned[k]);
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Item& item = *batch[i];
    std::optional<Verdict> verdict = verdicts[i];
    bool shares = false;
    if (claims[i] == Claim::duplicate) {
      // A duplicate of an event of this very batch shares its verdict.
      for (std::size_t k = 0; k < i && !shares; ++k)
        if (verdicts[k] && batch[k]->claim.idempotency_key == item.claim.idempotency_key &&
            batch[k]->claim.tenant_scope == item.claim.tenant_scope) {
          verdict = verdicts[k];
          shares = true;
        }
      if (!shares || std::holds_alternative<Done>(*verdict)) {
        settlements[i] = Settlement::duplicate;
        ++tally.duplicates;
        continue;
      }
    }
    if (!verdict) continue;
    if (std::holds_alternative<Done>(*verdict)) {
      settlements[i] = Settlement::applied;
      ++tally.applied;
      tally.published.push_back(item.message->published_at);
    } else if (const auto* again = std::get_if<RetryAfter>(&*verdict)) {
      if (shares) {
        answers[i].retry = std::max<std::chrono::milliseconds>(again->delay, std::chrono::milliseconds(1));
      } else {
        settlements[i] = failed(tx, item, "the worker asked to try again", again->delay, answers[i], tally);
      }
    } else {
      letter(tx, item, "rejected", std::get<DeadLetter>(*verdict).reason, item.past.attempts + 1, tally);
      settlements[i] = Settlement::dead_letter;
    }
  }
  std::vector<std::uint64_t> settled;
  bool any = false;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    any = any || settlements[i] != Settlement::untouched;
    bool final = settlements[i] != Settlement::untouched && settlements[i] != Settlement::released;
    if (final && (batch[i]->past.attempts > 0 || batch[i]->past.suspect)) settled.push_back(batch[i]->sequence);
  }
  if (!settled.empty()) tx.forget_attempts(settled);
  if (any) tx.settle(settlements);
}

void BatchEngine::State::keep_the_rest() {
  std::vector<std::string_view> replies;
  for (Item& item : items)
    if (!item.done) replies.push_back(item.message->reply);
  keeping->keep_only(std::move(replies));
}

// After the commit: acks, and what was counted.
void BatchEngine::State::finish(Items batch, const std::vector<Answer>& answers, const Tally& tally, Deadline began) {
  double took = seconds(clock.monotonic() - began);
  for (Item* item : batch) item->done = true;
  keep_the_rest();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    Item& item = *batch[i];
    if (answers[i].retry)
      source.nak(item.message->reply, *answers[i].retry);
    else
      source.ack(item.message->reply);
  }
  LaneMetrics& m = *lane->metrics;
  m.applied.add(tally.applied);
  m.duplicates.add(tally.duplicates);
  m.not_owned.add(tally.not_owned);
  m.not_addressed.add(tally.not_addressed);
  m.retried.add(tally.retried);
  m.deferred.add(tally.deferred);
  m.reused_places.add(tally.reused);
  for (const std::string& kind : tally.dead_kinds) m.dead_lettered.add(kind);
  m.batch_events.observe(static_cast<double>(batch.size()));
  m.batch_seconds.observe(took);
  std::vector<double> latencies;
  latencies.reserve(tally.published.size());
  Instant now = clock.now();
  for (Instant stored : tally.published) latencies.push_back(seconds(now - stored));
  m.publish_to_commit_seconds.observe_all(latencies);
}

// Counted when it comes again.
void BatchEngine::State::give_back(Item& item) {
  started = {};
  item.done = true;
  keep_the_rest();
  source.nak(item.message->reply, retry.bound_after(1));
}

// Counts the failures of single events; when everything failed, it is the dependency's doing, for a while.
void BatchEngine::State::settle_failures(std::size_t total) {
  if (failures.empty()) {
    all_failed_rounds = 0;
    return;
  }
  if (failures.size() == total && is_deployment_fault(failures.front().sqlstate))
    throw ClaimRefused("the worker's statements cannot run: " + failures.front().error);
  if (total > 1 && failures.size() == total && all_failed_rounds < options.all_failed_rounds_max) {
    ++all_failed_rounds;
    log_warn("every event of a batch failed: given back without counting an attempt",
             {{"worker", spec.name}, {"lane", lane->spec->name}, {"events", total}, {"error", failures.front().error}});
    for (Failure& failure : failures) failure.item->done = true;
    keep_the_rest();
    for (Failure& failure : failures) source.nak(failure.item->message->reply, retry.bound_after(all_failed_rounds));
    return;
  }
  all_failed_rounds = 0;
  for (Failure& failure : failures) {
    log_warn("an event failed while alone", {{"worker", spec.name}, {"lane", lane->spec->name}, {"stream", origin->stream},
                                             {"sequence", failure.item->sequence}, {"error", failure.error}});
    Tally tally;
    auto began = clock.monotonic();
    Item* const one[] = {failure.item};
    try {
      finish(one, attempt(one, &failure, tally), tally, began);
    } catch (const TransactionConflict&) {
      give_back(*failure.item);
    } catch (const StatementError& e) {
      log_error("a failed event cannot be written down: given back", {{"worker", spec.name}, {"lane", lane->spec->name},
                                                                      {"stream", origin->stream}, {"sequence", failure.item->sequence},
                                                                      {"error", e.what()}});
      give_back(*failure.item);
    }
  }
}

BatchEngine::BatchEngine(const WorkerSpec& spec, Worker& worker, MessageSource& source, TransactionSource& transactions,
                         ProgressKeeper& progress, const Clock& clock, Random64 random, BatchOptions options, BatchHooks hooks)
    : state_(new State{spec, worker, source, transactions, progress, clock, random, options, std::move(hooks),
                       Retry(options.retry, random), EnvelopeParser(options.limits), {}, EventIds(clock, random), {}}) {
  for (const EventType& type : spec.events) state_->events.emplace(type.name, &type);
}

BatchEngine::~BatchEngine() = default;

void BatchEngine::process(const BatchLane& lane, const Origin& origin, std::vector<Message>& messages) {
  State& s = *state_;
  s.lane = &lane;
  s.origin = &origin;
  s.failures.clear();
  s.started = {};
  std::vector<Item*> batch = s.prepare(messages);
  auto forget_done = [&] {
    std::vector<Message> rest;
    for (Item& item : s.items)
      if (!item.done) rest.push_back(std::move(*item.message));
    messages = std::move(rest);
  };
  try {
    // All of them, also those that wait while a part is tried: they must not be redelivered meanwhile.
    auto running = s.progress.keep({}, lane.spec->ack_wait);
    s.keeping = &running;
    s.keep_the_rest();
    std::vector<Item*> suspects;
    if (std::any_of(batch.begin(), batch.end(), [](Item* item) { return item->redelivered(); })) suspects = s.look_back(batch);
    if (!suspects.empty() && batch.size() > 1) {
      std::vector<Item*> rest;
      for (Item* item : batch)
        if (!item->past.suspect) rest.push_back(item);
      s.run(rest);
      for (Item*& suspect : suspects) s.run({&suspect, 1});
    } else {
      s.run(batch);
    }
    s.settle_failures(batch.size());
  } catch (...) {
    forget_done();
    throw;
  }
  messages.clear();
}

}  // namespace cutover
