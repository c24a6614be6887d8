#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/parity/output_comparison.h"
#include "runtime/parity/report.h"

namespace cutover::cli {

// What a comparison is about; one that goes on must be about the same.
struct ComparisonScope {
  std::string id;
  std::string worker;
  std::string against;
  std::string since;
  std::string rerun;
  std::string at;  // when it began
};

// The folder of one report. While the comparison runs it also holds state.json (after each block) and
// suspects.jsonl, so that a comparison that was interrupted goes on; both go at the end. Throws CommandError
// for what cannot be read or written. One thread.
class CompareFolder final : public parity::Journal {
 public:
  // Opens the folder, makes it where it is missing, and goes on with an unfinished comparison of the same
  // scope in it.
  //   walked  hears of each block; false stops the comparison
  CompareFolder(std::filesystem::path folder, ComparisonScope scope,
                const std::vector<cutover::Output>& outputs,
                std::function<bool(const parity::WalkState&)> walked);

  const ComparisonScope& scope() const { return scope_; }
  bool resumed() const { return resumed_; }
  const std::filesystem::path& path() const { return folder_; }

  // Results of the outputs that are done, and how far the next one is.
  const std::vector<parity::OutputResult>& finished() const { return finished_; }
  parity::WalkState state() const { return state_; }
  // The output that is being compared is done.
  void finish_output(const parity::OutputResult& result);
  // Forgets what settle() wrote of this output, before it is called again.
  void begin_settle();

  void suspect(const parity::Suspect& suspect) override;
  std::vector<parity::Suspect> suspects(std::uint64_t from, std::size_t limit) override;
  void difference(const parity::Difference& difference) override;
  bool walked(const parity::WalkState& state) override;

  // Every difference written, in order.
  void for_each(const std::function<void(const parity::Difference&)>& take);
  void write(const std::string& name, const std::string& text) const;
  // The comparison is over: its working files go.
  void close();

 private:
  void load();
  void save() const;
  const cutover::Output& output_of(const std::string& name) const;

  const std::filesystem::path folder_;
  ComparisonScope scope_;
  const std::vector<cutover::Output>& outputs_;
  const std::function<bool(const parity::WalkState&)> walked_;
  std::vector<parity::OutputResult> finished_;
  parity::WalkState state_;
  std::uint64_t differences_bytes_ = 0;  // before the output that is being compared
  bool resumed_ = false;
  std::ofstream suspects_, differences_;
  std::ifstream reading_;
  std::uint64_t read_ = 0;
};

// The keys of an earlier report's differences in one output, but those that were ignored.
std::vector<parity::Key> keys_of_report(const std::filesystem::path& folder, const cutover::Output& output);

}  // namespace cutover::cli
