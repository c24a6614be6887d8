#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/host/settings.h"

namespace cutover {

// Where a setting's value lives and what it accepts. Bounds are inclusive.
struct TextSlot {
  std::string* value;
};
struct FileSlot {  // empty, or a file that can be read
  std::string* value;
};
struct UrlSlot {  // may carry a password: masked in print, refused as a flag
  std::string* value;
  std::string_view schemes;  // "postgresql postgres"; libpq's keyword form is accepted where postgresql is
};
struct UrlListSlot {
  std::vector<std::string>* value;
  std::string_view schemes;
};
struct ChoiceSlot {
  std::string* value;
  std::vector<std::string> choices;
};
struct BoolSlot {
  bool* value;
};
struct CountSlot {
  std::uint64_t* value;
  std::uint64_t min, max;
};
struct RealSlot {
  double* value;
  double min, max;
};
struct DurationSlot {
  std::chrono::milliseconds* value;
  std::chrono::milliseconds min, max;
};
struct SizeSlot {
  std::uint64_t* value;
  std::uint64_t min, max;
};
struct AddressSlot {  // an IPv4 or IPv6 address
  std::string* value;
};
using Slot = std::variant<TextSlot, FileSlot, UrlSlot, UrlListSlot, ChoiceSlot, BoolSlot, CountSlot, RealSlot,
                          DurationSlot, SizeSlot, AddressSlot>;

// One key. The whole table drives loading, `cutover config` and the documentation.
struct Setting {
  std::string key;
  Slot slot;
  std::string description;
  bool secret = false;  // from files or the environment only
};

// Every key, bound to the fields of `settings` (and of its workers), whose present values are the defaults.
// Must not outlive `settings`.
std::vector<Setting> settings_table(Settings& settings);

// Writes a value given as text. Returns false, and changes nothing, when it is not accepted.
bool assign(const Slot& slot, std::string_view text);

// The present value, in the form that assign reads; passwords in addresses are masked.
std::string print(const Slot& slot);
std::string type_of(const Slot& slot);
std::string accepted_by(const Slot& slot);

// True when an address has a password inside: user:secret@host, ?password=, password=.
bool has_password(std::string_view address);
std::string mask_password(std::string_view address);

}  // namespace cutover
