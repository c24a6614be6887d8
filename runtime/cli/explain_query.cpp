#include "runtime/cli/explain_query.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "runtime/cli/audit_stream.h"
#include "runtime/cli/shell.h"
#include "runtime/event/envelope.h"
#include "runtime/nats/api.h"
#include "runtime/nats/stream_reader.h"
#include "streams/topology.h"

namespace cutover::cli {
namespace {

using postgres::OutgoingEvent;
using postgres::StreamPlace;

constexpr std::uint64_t kWindow = 20'000;  // sequences that are searched at a time
constexpr std::chrono::minutes kReadLimit{2};

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json as_json(const OutgoingEvent& row) {
  return {{"outbox_id", row.outbox_id},
          {"message_id", row.message_id},
          {"event_id", text_or_null(row.event_id)},
          {"subject", row.subject},
          {"stream", text_or_null(row.stream)},
          {"sequence", row.stream.empty() ? Json(nullptr) : Json(row.sequence)},
          {"created_at", row.created_at},
          {"published_at", text_or_null(row.published_at)},
          {"available_at", text_or_null(row.available_at)},
          {"error", text_or_null(row.error)}};
}

Json as_json(const std::vector<OutgoingEvent>& rows) {
  Json array = Json::array();
  for (const OutgoingEvent& row : rows) array.push_back(as_json(row));
  return array;
}

Json as_json(const Event& event) {
  return {{"event_id", event.event_id},
          {"event_name", event.event_name},
          {"event_version", event.event_version},
          {"occurred_at", format_api_time(event.occurred_at)},
          {"producer", event.producer},
          {"actor", {{"id", event.actor.id}, {"type", event.actor.type}}},
          {"subject",
           {{"type", event.subject.type}, {"id", event.subject.id}, {"version", event.subject.version}}},
          {"correlation_id", event.correlation_id},
          {"causation_id", event.causation_id},
          {"tenant_scope", event.tenant_scope},
          {"idempotency_key", event.idempotency_key},
          {"key", event.key},
          {"bucket", bucket(event.key)}};
}

Json as_json(const Malformed& event) {
  return {{"malformed", event.reason},
          {"event_id", event.event_id},
          {"event_name", event.event_name},
          {"correlation_id", event.correlation_id},
          {"key", event.key},
          {"bucket", bucket(event.key)}};
}

// The fields of an envelope.
Json event_of(std::string body, std::string_view key_header) {
  const std::size_t size = body.size();
  body.append(kEnvelopePadding, '\0');
  EnvelopeParser parser;
  EventArena arena;
  const auto parsed =
      parser.parse({.data = std::string_view(body).substr(0, size), .cutover_key = key_header}, arena);
  return std::visit([](const auto& event) { return as_json(event); }, parsed);
}

std::string field(const Json& event, const char* name) {
  return event.is_object() ? event.value(name, std::string()) : std::string();
}

class Explainer {
 public:
  Explainer(const WorkerSpec& worker, const ExplainRequest& request, postgres::Session& session,
            JetStream& jetstream)
      : worker_(worker),
        request_(request),
        jetstream_(jetstream),
        ledger_(session, worker.name),
        history_(session, worker.name) {
    for (const LaneSpec& lane : worker.lanes)
      if (std::find(streams_.begin(), streams_.end(), lane.stream) == streams_.end())
        streams_.push_back(lane.stream);
  }
  Json run();

 private:
  bool reads(const std::string& stream) const {
    return std::find(streams_.begin(), streams_.end(), stream) != streams_.end();
  }
  void note(std::string text) { document_["notes"].push_back(std::move(text)); }
  std::optional<StreamPlace> find();
  std::optional<StreamPlace> search(const std::string& stream);
  void read_message(const StreamPlace& place);
  void tell_owner(const StreamPlace& place);
  void tell_class(const StreamPlace& place);
  void tell_caused(const std::string& event_id);

  const WorkerSpec& worker_;
  const ExplainRequest& request_;
  JetStream& jetstream_;
  postgres::AuditLedger ledger_;
  postgres::EventHistory history_;
  std::vector<std::string> streams_;
  std::optional<postgres::KnownStream> known_;
  Json document_;
};

// Where the event is. An id leads there by the outbox, a dead letter, or the ends of the streams.
std::optional<StreamPlace> Explainer::find() {
  if (const auto place = parse_place(request_.event)) {
    if (!reads(place->stream))
      throw CommandError(
          fmt::format("{} reads no stream {} (STREAM/SEQUENCE). Do: name one of its streams: {}.",
                      worker_.name, place->stream, fmt::join(streams_, ", ")));
    document_["found_in"] = "place";
    return place;
  }
  const auto rows = history_.outgoing_of(request_.event);
  document_["outbox"] = as_json(rows);
  for (const OutgoingEvent& row : rows) {
    if (row.stream.empty()) {
      note("it waits in the outbox");
    } else if (reads(row.stream)) {
      document_["found_in"] = "outbox";
      return StreamPlace{row.stream, 0, row.sequence};
    } else {
      note(fmt::format("it was published to {}/{}, which no lane of {} reads", row.stream, row.sequence,
                       worker_.name));
    }
  }
  const auto letters = history_.letters_of(request_.event);
  if (!letters.empty()) {
    document_["found_in"] = "dead letters";
    return letters.front();
  }
  for (const std::string& stream : streams_)
    if (const auto place = search(stream)) {
      document_["found_in"] = "stream";
      return place;
    }
  return std::nullopt;
}

// Backwards by message id, within the bound.
std::optional<StreamPlace> Explainer::search(const std::string& stream) {
  const auto info = jetstream_.admin().stream(stream);
  if (!info) {
    note("there is no stream " + stream);
    return std::nullopt;
  }
  const auto first =
      std::max<std::uint64_t>(info->value("/state/first_seq"_json_pointer, std::uint64_t{1}), 1);
  const auto last = info->value("/state/last_seq"_json_pointer, std::uint64_t{0});
  const std::uint64_t bound =
      last >= request_.scan_max ? std::max(first, last - request_.scan_max + 1) : first;
  std::optional<StreamPlace> found;
  std::uint64_t begin = last + 1;
  while (begin > bound && !found) {
    const std::uint64_t end = begin - 1;
    begin = end - bound >= kWindow ? end - kWindow + 1 : bound;
    read_stream(
        jetstream_.connection(), {stream, "", begin, end, true},
        [&](Message&& message) {
          if (message.header("Nats-Msg-Id") == request_.event)
            found = StreamPlace{stream, 0, message.stream_sequence};
        },
        std::chrono::steady_clock::now() + kReadLimit);
  }
  document_["searched"].push_back({{"stream", stream}, {"from", begin}, {"to", last}});
  if (!found && bound > first)
    note(fmt::format(
        "{} was searched down to sequence {} only, it goes on to {}: --scan {} searches all of it", stream,
        bound, first, last - first + 1));
  return found;
}

// From the stream; what has left it, from its dead letter.
void Explainer::read_message(const StreamPlace& place) {
  const auto info = jetstream_.admin().stream(place.stream);
  const auto created = info ? parse_api_time(info->value("created", std::string())) : std::nullopt;
  const bool same_life = created && (!known_ || known_->created_at == *created);
  if (!same_life)
    note(fmt::format("the stream {} of now is another one: its messages are not these", place.stream));
  const auto message = same_life ? jetstream_.admin().message(place.stream, place.sequence) : std::nullopt;
  if (message) {
    document_["subject"] = message->subject;
    document_["stored_at"] = format_api_time(message->published_at);
    document_["event"] = event_of(message->data, message->header("Cutover-Key"));
    document_["headers"] = message->headers;
    if (request_.payload) document_["payload"] = message->data;
    const bool addressed = std::any_of(worker_.lanes.begin(), worker_.lanes.end(), [&](const LaneSpec& lane) {
      return lane.stream == place.stream && subjects_overlap(lane.filter_subject, message->subject);
    });
    if (!addressed) note(fmt::format("no lane of {} reads subject {}", worker_.name, message->subject));
    return;
  }
  if (same_life) note("the stream does not hold it any more");
  for (const Json& letter : document_["dead_letters"]) {
    document_["subject"] = letter["subject"];
    document_["stored_at"] = letter["published_at"];
    document_["event"] = {{"event_id", letter["event_id"]},
                          {"event_name", letter["event_name"]},
                          {"tenant_scope", letter["tenant_scope"]},
                          {"idempotency_key", letter["idempotency_key"]},
                          {"key", letter["key"]},
                          {"bucket", bucket(letter["key"].get<std::string>())}};
    document_["headers"] = letter["headers"];
    if (request_.payload) document_["payload"] = history_.letter_payload(letter["letter_id"]);
  }
}

void Explainer::tell_owner(const StreamPlace& place) {
  const Json& event = document_["event"];
  const Owner who = ledger_.ownership(known_).of(place.sequence, field(event, "key"));
  Json told = known_ && who.epoch > 0 ? history_.segment(known_->stream_id, who.epoch) : Json(nullptr);
  document_["owner"] = {{"side", who.serving == Side::worker ? "worker" : "monolith"},
                        {"shadow", who.shadow}};
  if (!told.is_null()) document_["owner"].update(told);
  if (who.mode == Mode::canary && event.is_null()) {
    document_["owner"]["side"] = nullptr;
    note("whose it is, its key decides, and nothing holds the key any more");
  }
}

void Explainer::tell_class(const StreamPlace& place) {
  if (place.incarnation != 0 && ledger_.stream(place.stream)->incarnation != place.incarnation) return;
  const StreamAudit audit = audit_stream(worker_, place.stream, {place.sequence, place.sequence + 1}, ledger_,
                                         jetstream_, [](auto, auto, auto) {});
  if (!audit.trouble.empty()) note(audit.trouble);
  for (std::size_t i = 0; i < kAuditClasses; ++i)
    if (const auto c = static_cast<AuditClass>(i); audit.counts[c] > 0)
      document_["class"] = std::string(to_text(c));
}

// What it caused, as far as the outbox still has it, and other work under the same key.
void Explainer::tell_caused(const std::string& event_id) {
  const auto envelope = [](const OutgoingEvent& row) {
    const Json parsed = Json::parse(row.payload, nullptr, false);
    return parsed.is_object() ? parsed : Json::object();
  };
  const auto text_of = [](const Json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  for (const OutgoingEvent& row : history_.outgoing_mentioning(event_id))
    if (text_of(envelope(row), "causation_id") == event_id) document_["caused"].push_back(as_json(row));

  const std::string key = field(document_["event"], "idempotency_key");
  if (key.empty()) return;
  const std::string tenant = field(document_["event"], "tenant_scope");
  document_["same_key"] = history_.same_key(tenant, key);
  for (const OutgoingEvent& row : history_.outgoing_mentioning(key)) {
    const Json body = envelope(row);
    const std::string scope = text_of(body, "tenant_scope");
    if (!row.stream.empty() && reads(row.stream) && text_of(body, "idempotency_key") == key &&
        (scope.empty() ? "global" : scope) == tenant)
      document_["same_key"].push_back({{"stream", row.stream},
                                       {"incarnation", nullptr},
                                       {"sequence", row.sequence},
                                       {"found_in", "outbox"},
                                       {"at", row.published_at}});
  }
}

Json Explainer::run() {
  document_ = {{"worker", worker_.name}, {"asked", request_.event}, {"found_in", nullptr},
               {"place", nullptr},       {"class", nullptr},        {"subject", nullptr},
               {"stored_at", nullptr},   {"event", nullptr},        {"owner", nullptr}};
  for (const char* list : {"settlements", "attempts", "dead_letters", "outbox", "copies", "caused",
                           "same_key", "headers", "searched", "notes"})
    document_[list] = Json::array();
  const auto found = find();
  if (!found) return std::move(document_);
  StreamPlace place = *found;
  known_ = ledger_.stream(place.stream, place.incarnation);
  if (known_) place.incarnation = known_->incarnation;
  document_["place"] = {
      {"stream", place.stream}, {"incarnation", place.incarnation}, {"sequence", place.sequence}};
  if (known_) {
    document_["dead_letters"] = history_.letters(known_->stream_id, place.sequence);
    document_["attempts"] = history_.attempts(known_->stream_id, place.sequence);
    document_["copies"] = as_json(history_.copies_of(place));
  }
  read_message(place);
  std::string event_id = field(document_["event"], "event_id");
  if (event_id.empty() && !parse_place(request_.event)) event_id = request_.event;
  if (known_) document_["settlements"] = history_.settlements(known_->stream_id, place.sequence, event_id);
  tell_owner(place);
  tell_class(place);
  if (!event_id.empty()) {
    if (document_["outbox"].empty()) document_["outbox"] = as_json(history_.outgoing_of(event_id));
    tell_caused(event_id);
  }
  return std::move(document_);
}

}  // namespace

std::optional<StreamPlace> parse_place(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0) return std::nullopt;
  StreamPlace place{std::string(text.substr(0, slash)), 0, 0};
  const std::string_view digits = text.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), place.sequence);
  if (error != std::errc() || end != digits.data() + digits.size() || place.sequence == 0 ||
      place.sequence > kToTheEnd)
    return std::nullopt;
  return place;
}

Json explain(const WorkerSpec& worker, const ExplainRequest& request, postgres::Session& session,
             JetStream& jetstream) {
  return Explainer(worker, request, session, jetstream).run();
}

}  // namespace cutover::cli
