// The connection and the publisher under faults.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <numeric>
#include <thread>

#include "fixtures/broker_driver.h"
#include "fixtures/real_broker.h"

using namespace cutover;
using namespace cutover::test;
using namespace std::chrono_literals;

namespace {

// Writes down what it hears, and lets a test wait for it.
class Listener final : public ConnectionListener {
 public:
  void connected(std::string_view server, std::uint64_t epoch) override {
    add("connected " + std::string(server) + " " + std::to_string(epoch));
  }
  void disconnected(std::string_view) override { add("disconnected"); }
  void error(std::string_view what) override { add("error " + std::string(what)); }

  bool hears(const std::string& part) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, soon(), [&] {
      return std::any_of(heard_.begin(), heard_.end(),
                         [&](const std::string& text) { return text.find(part) != std::string::npos; });
    });
  }

 private:
  void add(std::string text) {
    std::lock_guard lock(mutex_);
    heard_.push_back(std::move(text));
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> heard_;
};

// Accepts connections and never says a word.
class MuteServer {
 public:
  MuteServer() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket_, 16) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~MuteServer() { ::close(socket_); }
  std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  int port_ = 0;
};

ConnectionOptions options_for(std::vector<std::string> servers) {
  ConnectionOptions options;
  options.servers = std::move(servers);
  options.timeout = 500ms;
  options.reconnect_wait_min = 10ms;
  options.reconnect_wait_max = 100ms;
  return options;
}

}  // namespace

TEST_CASE("a server that comes later is connected to", "[nats]") {
  NatsServer server;
  server.stop();
  Listener listener;
  Connection connection(options_for({server.url()}), &listener);
  CHECK_FALSE(connection.wait_connected(in(200ms)));
  CHECK(listener.hears("error cannot connect to " + server.url()));
  CHECK_FALSE(connection.trouble().empty());
  CHECK(connection.epoch() == 0);
  CHECK_THROWS_AS(connection.request("$JS.API.INFO", "", in(100ms)), BrokerError);
  server.start();
  CHECK(connection.wait_connected(soon()));
  CHECK(connection.epoch() == 1);
  CHECK(connection.trouble().empty());
  CHECK(connection.server() == server.url());
  CHECK(connection.request("$JS.API.INFO", "", soon()).find("account_info_response") != std::string::npos);
  CHECK(listener.hears("connected " + server.url() + " 1"));
}

TEST_CASE("every reconnect counts", "[nats]") {
  NatsServer server;
  Listener listener;
  Connection connection(options_for({server.url()}), &listener);
  REQUIRE(listener.hears(" 1"));
  server.kill();
  REQUIRE(listener.hears("disconnected"));
  CHECK_FALSE(connection.connected());
  server.start();
  REQUIRE(listener.hears("connected " + server.url() + " 2"));
  CHECK(connection.epoch() == 2);
  CHECK(connection.connected());
}

TEST_CASE("a server that accepts and says nothing is given up, and another one taken", "[nats]") {
  MuteServer mute;
  auto begun = std::chrono::steady_clock::now();
  {
    Connection alone(options_for({mute.url()}));
    CHECK_FALSE(alone.wait_connected(in(1'500ms)));
  }
  CHECK(std::chrono::steady_clock::now() - begun < 5s);
  NatsServer server;
  Connection connection(options_for({mute.url(), server.url()}));
  CHECK(connection.wait_connected(soon()));
}

TEST_CASE("a refused login is told without the password, and tried again for ever", "[nats]") {
  NatsServer server;
  server.stop();
  server.arguments = {"--user", "me", "--pass", "right"};
  server.start();
  std::string host = server.url().substr(7);
  Listener listener;
  Connection connection(options_for({"nats://me:wrong@" + host}), &listener);
  REQUIRE(listener.hears("cannot connect to nats://" + host + ": "));
  CHECK(connection.server() == "nats://" + host);
  CHECK(connection.trouble().find("wrong") == std::string::npos);
  server.stop();
  server.arguments = {"--user", "me", "--pass", "wrong"};
  server.start();
  CHECK(connection.wait_connected(soon()));

  // The library closes a connection for good when a reconnect is refused twice.
  server.stop();
  server.arguments = {"--user", "me", "--pass", "right"};
  server.start();
  REQUIRE(listener.hears("disconnected"));
  CHECK_FALSE(connection.wait_connected(in(500ms)));
  server.stop();
  server.arguments = {"--user", "me", "--pass", "wrong"};
  server.start();
  CHECK(connection.wait_connected(soon()));
  CHECK(connection.request("$JS.API.INFO", "", soon()).find("account_info_response") != std::string::npos);
}

TEST_CASE("a source and a publisher live through a connection that the library closed", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 2);
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  REQUIRE(take(*source, 2).size() == 2);
  source->release(0, 2);
  // Refused twice: closed.
  broker.server.stop();
  broker.server.arguments = {"--user", "someone", "--pass", "else"};
  broker.server.start();
  Deadline until = in(1s);
  drive(*source, [&] { return std::chrono::steady_clock::now() > until; });
  CHECK(source->state(0).condition == LaneState::Condition::unreachable);
  broker.server.stop();
  broker.server.arguments.clear();
  broker.server.start();
  auto acks = publish_numbers(*publisher, "core.x", 3, 2);
  REQUIRE(acks.size() == 2);
  CHECK(acks[0].stored);
  std::vector<Message> messages = take(*source, 2);
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].data == "3");
}

TEST_CASE("a source without a server waits instead of spinning", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  REQUIRE(drive(*source, [&] { return source->state(0).condition == LaneState::Condition::running; }));
  // Refused twice, so that the library closes the connection.
  broker.server.stop();
  broker.server.arguments = {"--user", "someone", "--pass", "else"};
  broker.server.start();
  std::vector<Message> messages;
  source->receive(messages, 10, in(1s), {});
  std::clock_t before = std::clock();
  source->receive(messages, 10, in(1s), {});
  CHECK(static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 0.3);
  CHECK(messages.empty());
}

TEST_CASE("options that cannot work are refused at once", "[nats]") {
  ConnectionOptions options;
  options.servers = {};
  CHECK_THROWS_AS(Connection(options), BrokerError);
  options = {};
  options.credentials_file = "/nonexistent/worker.creds";
  CHECK_THROWS_AS(Connection(options), BrokerError);
  options = {};
  options.tls_certificate_file = "/nonexistent/cert.pem";
  CHECK_THROWS_AS(Connection(options), BrokerError);
  options.tls_key_file = "/nonexistent/key.pem";
  CHECK_THROWS_AS(Connection(options), BrokerError);
  options = {};
  options.tls_ca_file = "/nonexistent/ca.pem";
  CHECK_THROWS_AS(Connection(options), BrokerError);
  options = {};
  options.nkey_seed_file = CUTOVER_SOURCE_DIR "/README.md";
  try {
    Connection connection(options);
    FAIL("accepted");
  } catch (const BrokerError& error) {
    CHECK(std::string(error.what()).find("README.md is not an nkey seed") != std::string::npos);
  }
}

TEST_CASE("an nkey opens the door", "[nats]") {
  NatsServer server;
  server.stop();
  auto config = server.data() / "nkey.conf";
  std::ofstream(config) << "authorization: { users: [ { nkey: "
                           "UB54GB4VDDWRDWQDGYEFX5UWFEQP7B73HRGWGCU3LDFWCU3HJ5O5MPWM } ] }\n";
  auto seed = server.data() / "seed";
  std::ofstream(seed) << "SUADAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMJSGM2DKNRXHA4TAMMLDU\n";
  server.arguments = {"-c", config.string()};
  server.start();
  CHECK_FALSE(Connection(options_for({server.url()})).wait_connected(in(300ms)));
  ConnectionOptions options = options_for({server.url()});
  options.nkey_seed_file = seed.string();
  CHECK(Connection(options).wait_connected(soon()));
}

TEST_CASE("TLS both ways, and never less than was asked for", "[nats]") {
  NatsServer server;
  std::string here = (server.data() / "tls").string();
  std::filesystem::create_directories(here);
  // An authority, and for each side a certificate of its own.
  std::ofstream(here + "/make.sh") << "set -e\ncd '" + here + "'\n" + R"(
new="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
$new -x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.pem
for name in server client stranger; do
  case $name in server) host=IP:127.0.0.1 ;; *) host=DNS:$name.test ;; esac
  $new -subj /CN=$name -keyout $name.key -out $name.csr
  echo "subjectAltName=$host" > $name.ext
  openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $name.ext -out $name.pem
done)";
  if (std::system("command -v openssl > /dev/null") != 0) SKIP("no openssl");
  REQUIRE(std::system(("sh '" + here + "/make.sh' > '" + here + "/log' 2>&1").c_str()) == 0);
  auto serve_as = [&](const std::string& name) {
    server.stop();
    server.arguments = {
        "--tlsverify", "--tlscert",     here + "/" + name + ".pem", "--tlskey", here + "/" + name + ".key",
        "--tlscacert", here + "/ca.pem"};
    server.start();
  };
  serve_as("server");
  ConnectionOptions options = options_for({server.url()});
  options.tls_ca_file = here + "/ca.pem";
  options.tls_certificate_file = here + "/client.pem";
  options.tls_key_file = here + "/client.key";
  CHECK(Connection(options).wait_connected(soon()));
  options.servers = {"tls" + server.url().substr(4)};
  CHECK(Connection(options).wait_connected(soon()));

  ConnectionOptions without_certificate = options_for({server.url()});
  without_certificate.tls_ca_file = options.tls_ca_file;
  CHECK_FALSE(Connection(without_certificate).wait_connected(in(300ms)));
  ConnectionOptions without_authority = options;
  without_authority.tls_ca_file.clear();
  CHECK_FALSE(Connection(without_authority).wait_connected(in(300ms)));

  serve_as("stranger");  // a certificate of the right authority for another host
  {
    Listener listener;
    Connection connection(options, &listener);
    CHECK(listener.hears("SSL Error"));
    CHECK_FALSE(connection.connected());
  }
  server.stop();
  server.arguments.clear();
  server.start();  // no TLS at all
  CHECK_FALSE(Connection(options).wait_connected(in(300ms)));
  options.servers = {server.url()};
  CHECK_FALSE(Connection(options).wait_connected(in(300ms)));
  CHECK_FALSE(Connection(options_for({"tls" + server.url().substr(4)})).wait_connected(in(300ms)));
  CHECK(Connection(options_for({server.url()})).wait_connected(soon()));
}

TEST_CASE("a server without JetStream is recognised", "[nats]") {
  NatsServer server;
  server.stop();
  auto config = server.data() / "plain.conf";
  std::ofstream(config) << "accounts: { A: { users: [ { user: a, password: b } ] } }\n";
  server.arguments = {"-c", config.string()};
  server.start();
  Connection connection(options_for({"nats://a:b@" + server.url().substr(7)}));
  REQUIRE(connection.wait_connected(soon()));
  NatsPublisher publisher(connection);
  CHECK_THROWS_AS(publisher.stream_life("CORE", soon()), BrokerError);
  PullSource source(connection, "w", {lane("main", "CORE", "core.>")}, RealBroker::pull_options());
  REQUIRE(drive(source, [&] { return source.state(0).detail.find("JetStream") != std::string::npos; }));
  CHECK(source.state(0).condition == LaneState::Condition::unreachable);
}

TEST_CASE("publications to a server that stands still end at the deadline", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 1);
  broker.server.freeze();
  Publication publication;
  publication.subject = "core.x";
  publication.message_id = "late";
  auto begun = std::chrono::steady_clock::now();
  PublishAck ack = publisher->publish({&publication, 1}, in(400ms)).front();
  CHECK_FALSE(ack.stored);
  CHECK(ack.error.starts_with("timeout: no answer from "));
  CHECK(std::chrono::steady_clock::now() - begun < 3s);
  CHECK_THROWS_AS(publisher->message_ids("CORE", std::vector<std::uint64_t>{1}, in(200ms)), BrokerError);
  broker.server.thaw();
  // The late answers of the first round do not reach this one.
  std::vector<PublishAck> acks = publish_numbers(*publisher, "core.x", 2, 5);
  for (std::size_t i = 0; i < acks.size(); ++i) CHECK(acks[i].sequence == i + 3);
  ack = publisher->publish({&publication, 1}, soon()).front();
  CHECK(ack.duplicate);
  CHECK(ack.sequence == 2);
}

TEST_CASE("publications on a lost connection say that they may be stored, and can be repeated", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  auto publisher = broker.publisher();
  broker.server.freeze();
  std::jthread killer([&] { broker.server.kill(); });
  auto acks = publish_numbers(*publisher, "core.x", 1, 10);
  killer.join();
  for (const PublishAck& ack : acks)
    if (!ack.stored)
      CHECK((ack.error.find("connection was lost") != std::string::npos ||
             ack.error.find("not sent") != std::string::npos));
  broker.server.start();
  for (const PublishAck& ack : publish_numbers(*publisher, "core.x", 1, 10)) CHECK(ack.stored);
  auto life = publisher->stream_life("CORE", soon());
  REQUIRE(life);
  CHECK(life->last_sequence == 10);
}

TEST_CASE("long runs of message ids leave no consumer behind, and do without one in a work queue", "[nats]") {
  RealBroker broker;
  bool queue = GENERATE(false, true);
  broker.admin.create_stream(
      {{"name", "CORE"}, {"subjects", {"core.>"}}, {"retention", queue ? "workqueue" : "limits"}});
  auto publisher = broker.publisher();
  publish_numbers(*publisher, "core.x", 1, 2'000);
  std::vector<std::uint64_t> sequences(2'000);
  std::iota(sequences.begin(), sequences.end(), 1);
  auto ids = publisher->message_ids("CORE", sequences, soon());
  for (std::size_t i = 0; i < ids.size(); ++i) CHECK(ids[i] == "m" + std::to_string(i + 1));
  REQUIRE(broker.connection.request("$JS.API.INFO", "", soon()).size() > 0);  // behind the removal
  CHECK(broker.admin.consumers("CORE").empty());
}

TEST_CASE("a publication that is too large fails alone", "[nats]") {
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  std::string large(2'000'000, 'x');
  std::vector<Publication> publications(3);
  for (Publication& publication : publications) publication.subject = "core.x";
  publications[1].payload = large;
  auto acks = broker.publisher()->publish(publications, soon());
  CHECK(acks[0].stored);
  CHECK(acks[1].error == "larger than the server's max_payload of 1048576 bytes");
  CHECK(acks[2].stored);
}

TEST_CASE("a message without payload keeps its headers", "[nats]") {
  // The client library parses these in place, and loses the line after an empty value.
  RealBroker broker;
  broker.create_stream("CORE", {"core.>"});
  Publication publication;
  publication.subject = "core.x";
  publication.message_id = "m1";
  publication.headers = {{"traceparent", ""}, {"Cutover-Key", "a:b"}, {"Last", "x  y"}};
  REQUIRE(broker.publisher()->publish({&publication, 1}, soon()).front().stored);
  auto source = broker.source("w", {lane("main", "CORE", "core.>")});
  std::vector<Message> messages = take(*source, 1);
  REQUIRE(messages.size() == 1);
  CHECK(messages[0].data.empty());
  CHECK(messages[0].headers.size() == 4);
  CHECK(messages[0].header("Nats-Msg-Id") == "m1");
  CHECK(messages[0].header("traceparent").empty());
  CHECK(messages[0].header("Cutover-Key") == "a:b");
  CHECK(messages[0].header("Last") == "x  y");
}
