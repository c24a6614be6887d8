#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "runtime/engine/ports.h"

namespace cutover {

struct ConnectionOptions {
  std::vector<std::string> servers{"nats://127.0.0.1:4222"};  // tls:// asks for TLS
  std::string name = "cutover";                               // shown by the server's connection list
  std::string credentials_file;                               // JWT and seed, as `nsc` writes it
  std::string nkey_seed_file;                                 // SU...: instead of credentials_file
  // With any of these, or one server of tls://, it is TLS or nothing; the server's name is checked.
  std::string tls_ca_file;           // empty: the system's authorities
  std::string tls_certificate_file;  // with tls_key_file: mutual TLS
  std::string tls_key_file;
  std::chrono::milliseconds timeout{5'000};  // of one connection attempt, and of one blocked write
  std::chrono::milliseconds reconnect_wait_min{100};
  std::chrono::milliseconds reconnect_wait_max{5'000};
  std::chrono::milliseconds ping_interval{10'000};  // two unanswered pings end a connection
};

// Hears about the connection, on threads of the client library: return quickly, and do not destroy the
// Connection.
class ConnectionListener {
 public:
  virtual ~ConnectionListener() = default;
  virtual void connected(std::string_view server, std::uint64_t epoch) = 0;
  virtual void disconnected(std::string_view why) = 0;
  // Refused subjects, slow consumers, failed attempts.
  virtual void error(std::string_view what) = 0;
};

// A connection to NATS that never gives up: it connects in the background, reconnects for ever with growing,
// jittered waits, and starts afresh where the client library would close for good (twice the same refused
// login) or hang. Threads: any.
class Connection {
 public:
  // Returns at once. The listener outlives the connection.
  // Throws BrokerError for options that cannot work: unreadable files, half a key pair, a malformed address.
  explicit Connection(ConnectionOptions options, ConnectionListener* listener = nullptr);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connected() const noexcept;
  // True as soon as connected; false at the deadline or on stop.
  bool wait_connected(Deadline deadline, std::stop_token stop = {}) const;
  // 0 before the first connection, then grows by one with every new one.
  std::uint64_t epoch() const noexcept;
  // The server connected to, else all configured ones; without passwords.
  std::string server() const;
  // Why there is no connection; empty while connected.
  std::string trouble() const;
  // One question of the JetStream API (or any service): returns the answer's body. Waits for a connection
  // first. Throws BrokerError: not connected, nobody listens, no answer by the deadline.
  std::string request(const std::string& subject, std::string_view body, Deadline deadline);

  struct Link;  // one life of the client library's connection; see link.h
  // Null before the first connection.
  std::shared_ptr<Link> link() const;

 private:
  struct State;
  static void run(std::shared_ptr<State> state, std::stop_token stop);
  std::shared_ptr<State> state_;
  std::jthread connector_;
};

}  // namespace cutover
