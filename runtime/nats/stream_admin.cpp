#include "runtime/nats/stream_admin.h"

#include "runtime/nats/api.h"

namespace cutover {
namespace {

using nlohmann::json;

bool is_missing(const ApiRefusal& refusal) {
  return refusal.code == kStreamNotFound || refusal.code == kConsumerNotFound ||
         refusal.code == kNoMessageFound;
}

std::string name_in(const json& config, const char* field) {
  auto found = config.find(field);
  if (found == config.end() || !found->is_string())
    throw BrokerError(std::string("a configuration without ") + field);
  return *found;
}

}  // namespace

StreamAdmin::StreamAdmin(Connection& connection, std::chrono::milliseconds timeout)
    : connection_(connection), timeout_(timeout) {}

json StreamAdmin::ask(const std::string& subject, const json& body) {
  Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  ApiAnswer answer = parse_answer(connection_.request(subject, body.is_null() ? "" : body.dump(), deadline));
  if (answer.error)
    throw ApiRefusal(connection_.server() + " refuses " + subject + ": " + answer.error->description,
                     answer.error->err_code);
  return std::move(answer.body);
}

std::optional<json> StreamAdmin::find(const std::string& subject, const json& body) {
  try {
    return ask(subject, body);
  } catch (const ApiRefusal& refusal) {
    if (is_missing(refusal)) return std::nullopt;
    throw;
  }
}

bool StreamAdmin::remove(const std::string& subject) {
  try {
    ask(subject, nullptr);
    return true;
  } catch (const ApiRefusal& refusal) {
    if (is_missing(refusal)) return false;
    throw;
  }
}

std::vector<json> StreamAdmin::list(const std::string& subject, const char* field) {
  std::vector<json> all;
  for (;;) {
    json page = ask(subject, {{"offset", all.size()}});
    std::size_t before = all.size();
    if (auto items = page.find(field); items != page.end() && items->is_array())
      for (json& item : *items) all.push_back(std::move(item));
    if (all.size() == before || all.size() >= page.value("total", std::size_t{0})) return all;
  }
}

std::vector<json> StreamAdmin::streams() {
  return list("$JS.API.STREAM.LIST", "streams");
}

std::optional<json> StreamAdmin::stream(const std::string& name, bool deleted) {
  return find("$JS.API.STREAM.INFO." + name, deleted ? json{{"deleted_details", true}} : json(nullptr));
}

std::optional<StreamMessage> StreamAdmin::message(const std::string& stream, std::uint64_t sequence) {
  const auto answer = find("$JS.API.STREAM.MSG.GET." + stream, {{"seq", sequence}});
  return answer ? std::optional(parse_stream_message(*answer)) : std::nullopt;
}

json StreamAdmin::create_stream(const json& config) {
  return ask("$JS.API.STREAM.CREATE." + name_in(config, "name"), config);
}

json StreamAdmin::update_stream(const json& config) {
  return ask("$JS.API.STREAM.UPDATE." + name_in(config, "name"), config);
}

bool StreamAdmin::delete_stream(const std::string& name) {
  return remove("$JS.API.STREAM.DELETE." + name);
}

std::vector<json> StreamAdmin::consumers(const std::string& stream) {
  return list("$JS.API.CONSUMER.LIST." + stream, "consumers");
}

std::optional<json> StreamAdmin::consumer(const std::string& stream, const std::string& name) {
  return find("$JS.API.CONSUMER.INFO." + stream + "." + name);
}

json StreamAdmin::put_consumer(const std::string& stream, const json& config) {
  return ask("$JS.API.CONSUMER.DURABLE.CREATE." + stream + "." + name_in(config, "durable_name"),
             {{"stream_name", stream}, {"config", config}});
}

bool StreamAdmin::delete_consumer(const std::string& stream, const std::string& name) {
  return remove("$JS.API.CONSUMER.DELETE." + stream + "." + name);
}

}  // namespace cutover
