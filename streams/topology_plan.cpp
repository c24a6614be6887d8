#include "streams/topology_plan.h"

#include <algorithm>
#include <map>

namespace cutover {
namespace {

using nlohmann::json;

using Live = std::map<std::string, json>;  // configurations by name

Live live_configs(StreamAdmin& admin) {
  Live live;
  for (json& info : admin.streams()) {
    json& config = info["config"];
    std::string name = config.value("name", std::string());
    live.emplace(std::move(name), std::move(config));
  }
  return live;
}

const StreamFile* find(const Topology& topology, const std::string& name) {
  auto found = std::find_if(topology.streams.begin(), topology.streams.end(),
                            [&](const StreamFile& stream) { return stream.name == name; });
  return found == topology.streams.end() ? nullptr : &*found;
}

// A stream outside of the files that holds one of these subjects.
std::string taken_by_other(const Topology& topology, const Live& live, const json& subjects) {
  for (const auto& [name, config] : live) {
    if (find(topology, name) || !config.contains("subjects")) continue;
    for (const json& wanted : subjects)
      for (const json& held : config["subjects"])
        if (subjects_overlap(wanted.get<std::string>(), held.get<std::string>()))
          return "subject " + wanted.get<std::string>() + " overlaps with " + held.get<std::string>() +
                 " of stream " + name + ", which no file names; add a file for it, or change one of the two";
  }
  return {};
}

std::vector<Change> compare(const Topology& topology, const Live& live) {
  std::vector<Change> changes;
  for (const StreamFile& stream : topology.streams) {
    auto found = live.find(stream.name);
    if (found == live.end()) {
      Change change{Change::Kind::create, stream.name, "", nullptr, stream.config, FieldEffect::safe, ""};
      change.consequence = taken_by_other(topology, live, stream.config["subjects"]);
      if (!change.consequence.empty()) change.effect = FieldEffect::impossible;
      changes.push_back(std::move(change));
      continue;
    }
    for (const auto& [field, wanted] : stream.config.items()) {
      json current = found->second.value(field, json());
      if (same_value(field, current, wanted)) continue;
      FieldChange judged = judge_change(field, current, wanted);
      if (field == "subjects")
        if (std::string taken = taken_by_other(topology, live, wanted); !taken.empty())
          judged = {FieldEffect::impossible, taken};
      changes.push_back({Change::Kind::update, stream.name, field, std::move(current), wanted, judged.effect,
                         std::move(judged.consequence)});
    }
  }
  for (const auto& [name, config] : live)
    if (!find(topology, name))
      changes.push_back({Change::Kind::unmanaged, name, "", config, nullptr, FieldEffect::safe, ""});
  return changes;
}

void refuse(const std::vector<Change>& changes, FieldEffect effect, const std::string& why) {
  std::string list;
  for (const Change& change : changes)
    if (change.effect == effect) list += "\n  " + to_text(change);
  if (!list.empty()) throw TopologyError("nothing was changed: " + why + list);
}

// Streams in the order in which they can change: first those that give up subjects, new ones last.
std::vector<std::string> order_of(const std::vector<Change>& changes) {
  auto rank = [](const Change& change) {
    if (change.kind == Change::Kind::create) return 2;
    return change.field == "subjects" && change.effect == FieldEffect::destructive ? 0 : 1;
  };
  std::map<std::string, int> ranks;
  for (const Change& change : changes)
    if (change.kind != Change::Kind::unmanaged) {
      auto [entry, added] = ranks.try_emplace(change.stream, rank(change));
      entry->second = std::min(entry->second, rank(change));
    }
  std::vector<std::string> names;
  for (int wanted : {0, 1, 2})
    for (const auto& [name, own] : ranks)
      if (own == wanted) names.push_back(name);
  return names;
}

}  // namespace

std::string to_text(const Change& change) {
  std::string text = change.stream + ": ";
  switch (change.kind) {
    case Change::Kind::create:
      text += "create for " + change.to.value("subjects", json::array()).dump();
      break;
    case Change::Kind::unmanaged:
      return text + "is on the server but in no file; left alone";
    case Change::Kind::update:
      text += change.field + " " + show_value(change.field, change.from) + " -> " +
              show_value(change.field, change.to);
      break;
  }
  if (change.effect == FieldEffect::destructive) text += " (destructive: " + change.consequence + ")";
  if (change.effect == FieldEffect::impossible) text += " (impossible: " + change.consequence + ")";
  return text;
}

std::vector<Change> plan(const Topology& topology, StreamAdmin& admin) {
  return compare(topology, live_configs(admin));
}

std::vector<Change> apply(const Topology& topology, StreamAdmin& admin, bool allow_destructive) {
  Live live = live_configs(admin);
  std::vector<Change> changes = compare(topology, live);
  refuse(changes, FieldEffect::impossible, "the server cannot do this:");
  if (!allow_destructive)
    refuse(changes, FieldEffect::destructive,
           "this would lose something; use --allow-destructive if it is meant:");

  std::vector<Change> done;
  for (const std::string& name : order_of(changes)) {
    try {
      if (auto current = live.find(name); current == live.end()) {
        admin.create_stream(find(topology, name)->config);
      } else {
        json config = current->second;
        config.update(find(topology, name)->config);
        admin.update_stream(config);
      }
    } catch (const BrokerError& error) {
      std::string list;
      for (const Change& change : done) list += "\n  " + to_text(change);
      throw BrokerError("stream " + name + ": " + error.what() +
                        (list.empty() ? "\nnothing was changed" : "\nchanged before that:" + list) +
                        "\napply again when this is solved");
    }
    for (const Change& change : changes)
      if (change.stream == name) done.push_back(change);
  }
  return done;
}

}  // namespace cutover
