#pragma once

#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "runtime/contract/clock.h"

namespace spdlog {
class logger;
}

namespace cutover {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { json, text };

// debug | info | warn | error; nullopt for anything else.
std::optional<LogLevel> parse_log_level(std::string_view text);

// One named value of a log line. Views must live until the call returns. Names in use everywhere: worker,
// lane, stream, sequence, event_name, event_id, trace_id, correlation_id, error. Never a payload, never a
// secret.
struct LogField {
  using Value = std::variant<bool, std::int64_t, std::uint64_t, double, std::string_view>;

  LogField(std::string_view field_name, std::string_view text) : name(field_name), value(text) {}
  LogField(std::string_view field_name, const char* text) : name(field_name), value(std::string_view(text)) {}
  LogField(std::string_view field_name, const std::string& text)
      : name(field_name), value(std::string_view(text)) {}
  template <typename T>
  requires std::is_arithmetic_v<T> LogField(std::string_view field_name, T number) : name(field_name) {
    if constexpr (std::is_same_v<T, bool>)
      value = number;
    else if constexpr (std::is_floating_point_v<T>)
      value = static_cast<double>(number);
    else if constexpr (std::is_signed_v<T>)
      value = static_cast<std::int64_t>(number);
    else
      value = static_cast<std::uint64_t>(number);
  }

  std::string_view name;
  Value value;
};

// Writes one line per event: JSON for machines, coloured text for people. Text cannot break a line or the
// terminal: control characters are escaped and bytes that are not UTF-8 replaced. Thread safe; a line is
// written whole.
class Logger {
 public:
  // To standard error; colour only on a terminal and without NO_COLOR.
  Logger(LogFormat format, LogLevel level, const Clock& clock);
  // To a stream, without colour; a test captures with this.
  Logger(LogFormat format, LogLevel level, const Clock& clock, std::ostream& out);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  bool enabled(LogLevel level) const { return level >= level_; }
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields);

 private:
  LogFormat format_;
  LogLevel level_;
  const Clock& clock_;
  std::unique_ptr<spdlog::logger> lines_;
};

// Text when standard error is a terminal, else JSON.
LogFormat log_format_for_stderr();

// Where log_debug .. log_error write to. JSON or text by log_format_for_stderr and level info until it is
// replaced.
Logger& process_logger();

// Makes `logger` the process logger while this lives, then puts the one before it back.
class ProcessLogger {
 public:
  explicit ProcessLogger(Logger& logger);
  ~ProcessLogger();
  ProcessLogger(const ProcessLogger&) = delete;
  ProcessLogger& operator=(const ProcessLogger&) = delete;

 private:
  Logger* before_;
};

// log_info("batch committed", {{"worker", name}, {"events", 12}});
void log_debug(std::string_view message, std::initializer_list<LogField> fields = {});
void log_info(std::string_view message, std::initializer_list<LogField> fields = {});
void log_warn(std::string_view message, std::initializer_list<LogField> fields = {});
void log_error(std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace cutover
