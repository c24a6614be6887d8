#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/contract/transaction.h"
#include "workers/dispute/domain/case_life.h"
#include "workers/dispute/evidence_fields.h"
#include "workers/dispute/json.h"

namespace cutover::dispute {

// Who did something, for the audit.
struct Doer {
  std::string_view id;
  std::string_view type = "system";  // user | system | operator | business_admin
  std::string_view reason = {};      // an operator's
};

// The rows of the cases of one transaction: read and locked once, changed in memory, written at the end.
// Restrictions are part of it, because a case and what it restricts are read and written together.
class CaseBook {
 public:
  // now  for the audit
  CaseBook(Transaction& tx, Doer doer) : tx_(tx), doer_(doer) {}

  // Locks and reads the rows of these cases, as many as there are; call it once.
  //   restrictions  also what restricts anybody because of them
  void load(std::vector<std::int64_t> case_ids, bool restrictions);
  // Reads what the case events of these cases said, for `inputs`.
  void load_inputs(EvidenceReader& reader);

  CaseRecord* find(std::int64_t case_id);
  // All events of a case so far; needs load_inputs.
  const std::vector<CaseInput>& inputs(std::int64_t case_id);
  // Puts a new case into the book.
  CaseRecord& add(CaseRecord record);
  // Says that the row of a case is to be written.
  void touch(const CaseRecord& record) { touched_[record.case_id] = true; }

  void add_evidence(const CaseRecord& record, CaseInput::Kind kind, bool material, Instant at,
                    const EvidenceFields& fields);
  void add_decision(const CaseRecord& record, const Decided& decided);
  // detail  a JSON object
  void audit(const CaseRecord& record, std::string_view what, std::string_view rule = {},
             std::string_view detail = "{}");

  // Returns true when the case did not restrict that yet.
  bool restrict_to(const CaseRecord& record, std::string_view kind, Instant at);
  // Lifts one kind, or all but one; returns what was lifted.
  std::vector<std::string> lift(const CaseRecord& record, Instant at, std::string_view only = {});

  // Writes everything, in order of the case ids.
  void save();

  Transaction& tx() { return tx_; }

 private:
  struct Restriction {
    std::int64_t principal_id;
    std::optional<std::int64_t> channel_id;
    Instant applied_at;
    std::optional<Instant> lifted_at;
    bool changed = false;
  };
  struct Source {
    std::string stream;
    std::int64_t sequence = 0;
  };
  void load_restrictions(std::span<const std::int64_t> case_ids);

  Transaction& tx_;
  Doer doer_;
  std::map<std::int64_t, CaseRecord> cases_;
  std::map<std::int64_t, bool> touched_;
  std::map<std::int64_t, std::vector<CaseInput>> inputs_;
  std::map<std::pair<std::int64_t, std::int64_t>, Source> sources_;  // of a version
  std::map<std::pair<std::int64_t, std::string>, Restriction> restrictions_;
  JsonWriter evidence_, decisions_, audit_;
};

// Whom the restrictions of a case are about.
std::int64_t restricted_principal(const CaseRecord& record);

}  // namespace cutover::dispute
