#include "runtime/cli/jetstream.h"

#include <fmt/format.h>

#include "runtime/host/connect_options.h"
#include "runtime/nats/api.h"

namespace cutover::cli {

JetStream::JetStream(const Settings& settings)
    : connection_(nats_options(settings, "cutover command line")),
      admin_(connection_, settings.nats.timeout),
      timeout_(settings.nats.timeout) {
  if (!connection_.wait_connected(std::chrono::steady_clock::now() + timeout_))
    throw BrokerError(
        fmt::format("no connection to NATS ({}): {}", connection_.server(), connection_.trouble()));
}

nlohmann::json JetStream::ask(const std::string& subject, const nlohmann::json& question) {
  const std::string body = question.is_null() ? "" : question.dump();
  ApiAnswer answer = parse_answer(
      connection_.request("$JS.API." + subject, body, std::chrono::steady_clock::now() + timeout_));
  if (answer.error)
    throw BrokerError(fmt::format("JetStream refuses {}: {} ({})", subject, answer.error->description,
                                  connection_.server()));
  return std::move(answer.body);
}

}  // namespace cutover::cli
