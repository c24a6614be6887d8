#include "runtime/nats/connection.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <iterator>
#include <map>
#include <random>

#include "runtime/nats/link.h"
#include "runtime/nats/nkey.h"

namespace cutover {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// "nats://user:secret@host" -> "nats://host"
std::string without_login(const std::string& url) {
  std::size_t scheme = url.find("://");
  std::size_t from = scheme == std::string::npos ? 0 : scheme + 3;
  std::size_t at = url.find('@', from);
  return at == std::string::npos ? url : url.substr(0, from) + url.substr(at + 1);
}

std::string list_of(const std::vector<std::string>& servers) {
  std::string list;
  for (const std::string& server : servers) list += (list.empty() ? "" : ", ") + without_login(server);
  return list;
}

std::string read_file(const std::string& path, const char* what) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file)
    throw BrokerError("cannot read the " + std::string(what) + " " + path +
                      "; check the path and that this user may read it");
  return text;
}

void check(natsStatus status, const std::string& what) {
  if (status != NATS_OK) throw BrokerError(what + ": " + describe(status));
}

// Wait before attempt n: doubles up to the maximum, half of it random so that a fleet does not come back at
// once.
milliseconds backoff(const ConnectionOptions& options, int attempt) {
  thread_local std::minstd_rand random{std::random_device{}()};
  milliseconds full =
      std::min(options.reconnect_wait_max, options.reconnect_wait_min * (1 << std::clamp(attempt, 0, 10)));
  std::uniform_int_distribution<std::int64_t> part(full.count() / 2, std::max<std::int64_t>(1, full.count()));
  return milliseconds(part(random));
}

milliseconds left_until(Deadline deadline) {
  return std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
}

}  // namespace

// Shared with callbacks of the library and with connection attempts that hang, so it may outlive the
// Connection.
struct Connection::State {
  ConnectionOptions options;
  std::string nkey;  // public key, empty without an nkey
  std::atomic<bool> connected{false};
  std::atomic<std::uint64_t> epoch{0};
  std::atomic<int> hanging{0};  // connection attempts that were given up but have not returned

  mutable std::mutex mutex;
  mutable std::condition_variable_any changed;
  std::shared_ptr<Link> link;
  bool closed = true;  // the link is at its end
  std::string trouble = "not connected yet";

  std::mutex listener_mutex;
  ConnectionListener* listener = nullptr;

  template <typename Call>
  void tell(Call call) {
    std::lock_guard lock(listener_mutex);
    if (listener) call(*listener);
  }

  NatsOptions make_options(void* closure) const;
  void on_connected(natsConnection* handle);
  void on_disconnected(natsConnection* handle);
  void on_closed();
  void on_error(const std::string& what);
  void wait(std::stop_token stop, milliseconds time);
};

namespace {

// Callbacks arrive late, when the Connection may be gone: they carry a number, looked up here.
class Listeners {
 public:
  void* add(std::weak_ptr<void> state) {
    std::lock_guard lock(mutex_);
    states_[++last_] = std::move(state);
    return reinterpret_cast<void*>(last_);
  }
  void remove(void* closure) {
    std::lock_guard lock(mutex_);
    states_.erase(reinterpret_cast<std::uintptr_t>(closure));
  }
  std::shared_ptr<void> find(void* closure) {
    std::lock_guard lock(mutex_);
    auto found = states_.find(reinterpret_cast<std::uintptr_t>(closure));
    return found == states_.end() ? nullptr : found->second.lock();
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::map<std::uintptr_t, std::weak_ptr<void>> states_;
};

Listeners& listeners() {
  static Listeners* all = new Listeners;  // callbacks may come while the process ends
  return *all;
}

template <typename State, typename Call>
void with_state(void* closure, Call call) {
  if (std::shared_ptr<void> found = listeners().find(closure)) call(*static_cast<State*>(found.get()));
}

}  // namespace

NatsOptions Connection::State::make_options(void* closure) const {
  natsOptions* raw = nullptr;
  check(natsOptions_Create(&raw), "cannot make connection options");
  NatsOptions all(raw);
  std::vector<const char*> urls;
  for (const std::string& server : options.servers) urls.push_back(server.c_str());
  check(natsOptions_SetServers(raw, urls.data(), static_cast<int>(urls.size())),
        "bad server address among " + list_of(options.servers) +
            " (wanted: nats://host:port or tls://host:port)");
  natsOptions_SetName(raw, options.name.c_str());
  natsOptions_SetTimeout(raw, options.timeout.count());
  natsOptions_SetWriteDeadline(raw, options.timeout.count());
  natsOptions_SetPingInterval(raw, options.ping_interval.count());
  natsOptions_SetMaxPingsOut(raw, 2);
  natsOptions_SetMaxReconnect(raw, -1);
  natsOptions_SetFailRequestsOnDisconnect(raw, true);
  if (!options.credentials_file.empty())
    check(natsOptions_SetUserCredentialsFromFiles(raw, options.credentials_file.c_str(), nullptr),
          "cannot use the credentials file " + options.credentials_file);
  if (!nkey.empty())
    check(natsOptions_SetNKeyFromSeed(raw, nkey.c_str(), options.nkey_seed_file.c_str()),
          "cannot use the nkey seed file " + options.nkey_seed_file);
  bool tls = !options.tls_ca_file.empty() || !options.tls_certificate_file.empty() ||
             std::any_of(options.servers.begin(), options.servers.end(),
                         [](const std::string& server) { return server.starts_with("tls://"); });
  // Otherwise the library would go on in plain text where the server does not ask for TLS.
  if (tls) check(natsOptions_SetSecure(raw, true), "cannot use TLS");
  if (!options.tls_ca_file.empty())
    check(natsOptions_LoadCATrustedCertificates(raw, options.tls_ca_file.c_str()),
          "cannot use the CA file " + options.tls_ca_file);
  if (!options.tls_certificate_file.empty())
    check(natsOptions_LoadCertificatesChain(raw, options.tls_certificate_file.c_str(),
                                            options.tls_key_file.c_str()),
          "cannot use the certificate " + options.tls_certificate_file + " with the key " +
              options.tls_key_file);

  natsOptions_SetDisconnectedCB(
      raw,
      [](natsConnection* handle, void* c) {
        with_state<State>(c, [&](State& s) { s.on_disconnected(handle); });
      },
      closure);
  natsOptions_SetReconnectedCB(
      raw,
      [](natsConnection* handle, void* c) {
        with_state<State>(c, [&](State& s) { s.on_connected(handle); });
      },
      closure);
  natsOptions_SetClosedCB(
      raw, [](natsConnection*, void* c) { with_state<State>(c, [&](State& s) { s.on_closed(); }); }, closure);
  natsOptions_SetErrorHandler(
      raw,
      [](natsConnection* handle, natsSubscription*, natsStatus status, void* c) {
        const char* last = nullptr;
        natsConnection_GetLastError(handle, &last);
        std::string what = last && *last ? last : natsStatus_GetText(status);
        with_state<State>(c, [&](State& s) { s.on_error(what); });
      },
      closure);
  natsOptions_SetCustomReconnectDelay(
      raw,
      [](natsConnection*, int attempts, void* c) -> int64_t {
        int64_t wait = 1000;
        with_state<State>(c, [&](State& s) { wait = backoff(s.options, attempts).count(); });
        return wait;
      },
      closure);
  return all;
}

void Connection::State::on_connected(natsConnection* handle) {
  char url[512] = "";
  natsConnection_GetConnectedUrl(handle, url, sizeof url);
  std::uint64_t now = ++epoch;
  {
    std::lock_guard lock(mutex);
    connected = true;
    trouble.clear();
  }
  changed.notify_all();
  tell([&](ConnectionListener& l) { l.connected(without_login(url), now); });
}

void Connection::State::on_disconnected(natsConnection* handle) {
  const char* last = nullptr;
  natsConnection_GetLastError(handle, &last);
  std::string why = last && *last ? last : "the connection was lost";
  {
    std::lock_guard lock(mutex);
    connected = false;
    trouble = why;
  }
  tell([&](ConnectionListener& l) { l.disconnected(why); });
}

void Connection::State::on_closed() {
  {
    std::lock_guard lock(mutex);
    connected = false;
    closed = true;
    if (trouble.empty()) trouble = "the connection was closed";
  }
  changed.notify_all();
}

void Connection::State::on_error(const std::string& what) {
  tell([&](ConnectionListener& l) { l.error(what); });
}

void Connection::State::wait(std::stop_token stop, milliseconds time) {
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
}

namespace {

// What one attempt to connect came to; filled in by a thread of its own, since the library can hang in it.
struct Attempt {
  std::mutex mutex;
  std::condition_variable_any done_changed;
  bool done = false;
  bool given_up = false;
  natsConnection* handle = nullptr;
  std::string error;
};

}  // namespace

void Connection::run(std::shared_ptr<State> state, std::stop_token stop) {
  constexpr int kHangingMax = 4;
  // Every server's turn may take a timeout for the socket and one each for greeting, TLS and login.
  const milliseconds limit = state->options.timeout * (4 * static_cast<int>(state->options.servers.size()));
  void* closure = nullptr;
  for (int failures = 0; !stop.stop_requested();) {
    {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, stop, [&] { return state->closed; });
      if (stop.stop_requested()) break;
    }
    if (closure) listeners().remove(closure);
    closure = listeners().add(state);
    std::string error;
    auto attempt = std::make_shared<Attempt>();
    if (state->hanging >= kHangingMax) {
      error = "earlier attempts to connect still hang";
    } else {
      try {
        auto options = std::make_shared<NatsOptions>(state->make_options(closure));
        ++state->hanging;
        std::thread([attempt, options, state] {
          natsConnection* handle = nullptr;
          natsStatus status = natsConnection_Connect(&handle, options->get());
          std::string why = status == NATS_OK ? "" : describe(status);
          --state->hanging;
          std::unique_lock lock(attempt->mutex);
          if (attempt->given_up) {
            lock.unlock();
            natsConnection_Destroy(handle);
            return;
          }
          attempt->handle = handle;
          attempt->error = std::move(why);
          attempt->done = true;
          attempt->done_changed.notify_all();
        }).detach();
        std::unique_lock lock(attempt->mutex);
        attempt->done_changed.wait_for(lock, stop, limit, [&] { return attempt->done; });
        if (!attempt->done) {
          attempt->given_up = true;
          error = "no answer for " + std::to_string(limit.count()) + " ms";
        } else if (!attempt->handle) {
          error = attempt->error;
        }
      } catch (const BrokerError& bad) {  // a certificate that was replaced by a broken one, for instance
        error = bad.what();
      }
    }
    if (attempt->handle) {
      failures = 0;
      {
        std::lock_guard lock(state->mutex);
        state->link = std::make_shared<Link>(attempt->handle);
        state->closed = false;
      }
      state->on_connected(attempt->handle);
      continue;
    }
    if (stop.stop_requested()) break;
    {
      std::lock_guard lock(state->mutex);
      state->trouble = error;
    }
    state->on_error("cannot connect to " + list_of(state->options.servers) + ": " + error);
    state->wait(stop, backoff(state->options, failures++));
  }
  if (closure) listeners().remove(closure);
}

Connection::Connection(ConnectionOptions options, ConnectionListener* listener)
    : state_(std::make_shared<State>()) {
  if (options.servers.empty()) throw BrokerError("no NATS server is configured; set nats.servers");
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty())
    throw BrokerError("mutual TLS needs both a certificate and its key; set nats.tls_cert and nats.tls_key");
  if (!options.credentials_file.empty()) read_file(options.credentials_file, "NATS credentials file");
  if (!options.nkey_seed_file.empty()) {
    try {
      state_->nkey = nkey_public(read_file(options.nkey_seed_file, "nkey seed file"));
    } catch (const std::invalid_argument& bad) {
      throw BrokerError("the file " + options.nkey_seed_file + " is " + bad.what() +
                        "; write the seed alone (SU...) into it");
    }
  }
  state_->options = std::move(options);
  state_->listener = listener;
  state_->make_options(nullptr);  // refuses what can never work
  connector_ = std::jthread([state = state_](std::stop_token stop) { run(state, stop); });
}

Connection::~Connection() {
  connector_.request_stop();
  connector_.join();
  {
    std::lock_guard lock(state_->listener_mutex);
    state_->listener = nullptr;
  }
  std::shared_ptr<Link> last;
  {
    std::lock_guard lock(state_->mutex);
    last = std::move(state_->link);
    state_->connected = false;
  }
}

bool Connection::connected() const noexcept {
  return state_->connected;
}

bool Connection::wait_connected(Deadline deadline, std::stop_token stop) const {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait_until(lock, stop, deadline, [&] { return state_->connected.load(); });
  return state_->connected;
}

std::uint64_t Connection::epoch() const noexcept {
  return state_->epoch;
}

std::shared_ptr<Connection::Link> Connection::link() const {
  std::lock_guard lock(state_->mutex);
  return state_->link;
}

std::string Connection::server() const {
  if (auto current = link(); current && connected()) {
    char url[512] = "";
    if (natsConnection_GetConnectedUrl(current->handle, url, sizeof url) == NATS_OK && *url)
      return without_login(url);
  }
  return list_of(state_->options.servers);
}

std::string Connection::trouble() const {
  std::lock_guard lock(state_->mutex);
  return state_->trouble;
}

std::string Connection::request(const std::string& subject, std::string_view body, Deadline deadline) {
  auto failed = [&](const std::string& why) {
    return BrokerError("request " + subject + " to " + server() + " failed: " + why);
  };
  if (!wait_connected(deadline))
    throw failed("not connected, " + trouble() + "; check that the server runs and lets us in");
  milliseconds time = left_until(deadline);
  if (time <= milliseconds::zero()) throw failed("no time left for it");
  natsMsg* raw = nullptr;
  natsStatus status = natsConnection_Request(&raw, link()->handle, subject.c_str(), body.data(),
                                             static_cast<int>(body.size()), time.count());
  NatsMessage answer(raw);
  if (status == NATS_NO_RESPONDERS)
    throw failed("nobody answers there; is JetStream enabled for this account (nats-server -js)?");
  if (status == NATS_TIMEOUT)
    throw failed("no answer within " + std::to_string(time.count()) +
                 " ms; the server may be without a leader, or this login may not use the subject");
  if (status != NATS_OK) throw failed(describe(status) + "; try again when the connection is back");
  return std::string(natsMsg_GetData(answer.get()),
                     static_cast<std::size_t>(natsMsg_GetDataLength(answer.get())));
}

}  // namespace cutover
