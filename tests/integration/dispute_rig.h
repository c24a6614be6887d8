#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/nats_server.h"
#include "fixtures/test_broker.h"
#include "fixtures/test_database.h"
#include "runtime/engine/consumer_loop.h"
#include "runtime/engine/outbox_relay.h"
#include "runtime/nats/pull_source.h"
#include "runtime/postgres/outbox_store.h"
#include "workers/dispute/dispute_worker.h"

namespace cutover::test {

// A case event as its producer publishes it.
struct CaseMessage {
  std::string name;  // security.case_opened
  std::string token;  // urgent, normal or empty
  std::int64_t case_id = 0;
  std::int64_t version = 1;
  std::string payload;
  std::string key = {};          // idempotency key; empty: made from case and version
  std::string occurred_at = {};  // RFC 3339; empty: now
};

// Instances of the dispute worker with everything real: broker, database, claims, lanes and relays, in this process.
class DisputeRig {
 public:
  // The servers outlive the rig; its streams are made when they are missing.
  DisputeRig(const std::string& nats_url, TestDatabase& database);
  ~DisputeRig();

  // One more instance, with a relay of its own.
  void start();
  // All instances end as on SIGTERM.
  void stop();

  Sending message(const CaseMessage& told) const;
  void publish(const std::vector<CaseMessage>& messages);
  // Nothing waits or is being worked on: no message in the lanes, no row in the outbox that is not a timer.
  bool settled(std::chrono::milliseconds limit = std::chrono::seconds(60));
  // What is in CORE, by subject.
  std::int64_t stored(const std::string& subject);

  TestBroker broker;
  TestDatabase& db;

 private:
  struct Instance;
  SystemClock clock_;
  WorkerSpec spec_;
  std::vector<std::unique_ptr<Instance>> instances_;
  int started_ = 0;
};

// Payload of security.case_opened.
std::string opened_payload(std::int64_t case_id, const std::string& type, const std::string& severity, const std::string& evidence,
                           const std::string& opened_at, const std::string& more = "");

}  // namespace cutover::test
