// A worker of one's own: counts the changes of each profile, exactly once.
#include <runtime/host/host.h>

#include <iostream>

class Counter final : public cutover::Worker {
 public:
  std::vector<cutover::Verdict> handle(std::span<const cutover::Event> events, cutover::Transaction& tx) override {
    std::vector<std::string_view> profiles;
    for (const cutover::Event& event : events) profiles.push_back(event.subject.id);
    tx.query(R"sql(
INSERT INTO public.profile_changes AS c (profile_id, changes)
SELECT id, count(*) FROM unnest($1::text[]) id GROUP BY id ORDER BY id
ON CONFLICT (profile_id) DO UPDATE SET changes = c.changes + excluded.changes)sql",
             {std::span<const std::string_view>(profiles)});
    return std::vector<cutover::Verdict>(events.size(), cutover::Done{});
  }
};

int main() try {
  cutover::WorkerSpec spec;
  spec.name = "profile-counter";
  spec.lanes = {{.name = "profile", .stream = "CORE", .filter_subject = "profile.>"}};
  spec.events = {{"profile.created"}, {"profile.updated"}};
  spec.concurrency = 2;  // one profile is never worked on by two threads
  spec.make = [] { return std::make_unique<Counter>(); };

  cutover::HostOptions options;
  options.settings = cutover::load_settings({.environment = cutover::process_environment()}, {spec}).values;
  options.workers = {spec.name};
  options.build.version = "1.0.0";
  return cutover::run_host(options);
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 3;
}
