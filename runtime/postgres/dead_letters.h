#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/postgres/session.h"

namespace cutover::postgres {

// Dead letters as an operator's command sees them. A filter is the document that cutover.letters takes;
// answers are documents, too, with times as PostgreSQL writes them. Throws StatementError and DependencyDown.
// One thread; the session outlives it.
class DeadLetters {
 public:
  using Json = nlohmann::ordered_json;

  explicit DeadLetters(Session& session) : session_(session) {}

  // [{"group", "worker", "lane", "kind", "error", "count", "first", "last", "sample": {"letter", "event_id",
  // "error"}}], the biggest first; at most `limit`.
  Json groups(const Json& filter, std::uint64_t limit);
  std::uint64_t count(const Json& filter);
  // [{"letter", "state", "result", "worker", "lane", "side", "kind", "group", "event_name", "key", "stream",
  // "incarnation", "sequence", "attempts", "first_failed_at", "last_failed_at", "edited", "error"}]; by
  // number, from behind `after`.
  Json list(const Json& filter, std::int64_t after, std::uint64_t limit);
  // One letter: the fields of `list`, "stream_id", "subject", "event_id", "tenant_scope", "idempotency_key",
  // "version", "plan", "published_at", "headers", "history", "payload_bytes", "plans": [{"plan", "run",
  // "sent_at", "publications", "outcome", "settled_at"}]. Null for a number that is none.
  Json letter(std::int64_t letter);
  // What a replay would send, and what was received when that was edited (else empty).
  struct Payload {
    std::string sent;
    std::string original;
  };
  Payload payload(std::int64_t letter);

  // Which of the letters are open, by number.
  std::vector<std::int64_t> open_letters(const Json& filter);
  // The letters of ordered workers that do not tell the version of their subject: after a drop its later
  // versions would wait.
  std::uint64_t without_version(const Json& filter);
  // version  of the subject, 0: as the letter says. Returns how many were dropped.
  std::uint64_t drop(const std::vector<std::int64_t>& letters, std::int64_t version, const std::string& actor,
                     const std::string& reason);

  struct Edit {
    std::int64_t letter = 0;
    std::uint64_t entries = 0;  // of its history when it was read
    std::string payload, event_id, event_name, key, tenant_scope, idempotency_key;
    std::int64_t version = 0;
    Json changes;
  };
  void edit(const Edit& edit, const std::string& actor, const std::string& reason);

  // Lines of an export file, by number from behind `after`; each is {"letter", "line"}.
  struct Line {
    std::int64_t letter = 0;
    std::string text;
  };
  std::vector<Line> export_lines(const Json& filter, std::int64_t after, std::uint64_t limit);
  // {"imported", "opened_again", "already_here"}
  Json import_lines(const std::string& documents, const std::string& actor, const std::string& reason,
                    bool dry_run);

 private:
  Json rows(const char* sql, const std::vector<Cell>& parameters);

  Session& session_;
};

// \x and two digits a byte, as a bytea is written and read.
std::string bytea_text(std::string_view bytes);
std::string bytes_of_bytea(std::string_view text);

}  // namespace cutover::postgres
