#include "runtime/observe/log.h"

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <iterator>

#include <fmt/format.h>
#include <simdjson.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

namespace cutover {
namespace {

constexpr const char* kLevelNames[] = {"debug", "info", "warn", "error"};
constexpr spdlog::level::level_enum kSpdlogLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                       spdlog::level::warn, spdlog::level::err};

using Buffer = fmt::memory_buffer;

void append(Buffer& out, std::string_view text) {
  out.append(text.data(), text.data() + text.size());
}

// JSON string escapes, also used for text: neither a newline nor an escape sequence of a terminal gets
// through.
void append_escaped(Buffer& out, std::string_view text) {
  const bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (c == '\n') {
      append(out, "\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else if (byte >= 0x80 && !utf8) {
      append(out, "\\ufffd");
    } else {
      out.push_back(c);
    }
  }
}

void append_quoted(Buffer& out, std::string_view text) {
  out.push_back('"');
  append_escaped(out, text);
  out.push_back('"');
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= 0x20 || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
  return false;
}

struct AppendValue {
  Buffer& out;
  bool json;

  void operator()(bool value) const { append(out, value ? "true" : "false"); }
  void operator()(std::int64_t value) const { fmt::format_to(std::back_inserter(out), "{}", value); }
  void operator()(std::uint64_t value) const { fmt::format_to(std::back_inserter(out), "{}", value); }
  void operator()(double value) const {
    if (json && !(value - value == 0))  // JSON knows neither infinities nor NaN
      append(out, "null");
    else
      fmt::format_to(std::back_inserter(out), "{:.9g}", value);
  }
  void operator()(std::string_view value) const {
    if (json || needs_quotes(value))
      append_quoted(out, value);
    else
      append_escaped(out, value);
  }
};

void append_json(Buffer& out, LogLevel level, std::string_view message, std::span<const LogField> fields) {
  fmt::format_to(std::back_inserter(out), R"("level":"{}","msg":)", kLevelNames[static_cast<int>(level)]);
  append_quoted(out, message);
  for (const LogField& field : fields) {
    out.push_back(',');
    append_quoted(out, field.name);
    out.push_back(':');
    std::visit(AppendValue{out, true}, field.value);
  }
  out.push_back('}');
}

void append_text(Buffer& out, std::string_view message, std::span<const LogField> fields) {
  append_escaped(out, message);
  for (const LogField& field : fields) {
    append(out, "  ");
    append_escaped(out, field.name);
    out.push_back('=');
    std::visit(AppendValue{out, false}, field.value);
  }
}

std::unique_ptr<spdlog::logger> make_lines(LogFormat format, spdlog::sink_ptr sink) {
  auto lines = std::make_unique<spdlog::logger>("cutover", std::move(sink));
  lines->set_level(spdlog::level::trace);
  if (format == LogFormat::json)
    lines->set_formatter(std::make_unique<spdlog::pattern_formatter>(R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ",%v)",
                                                                     spdlog::pattern_time_type::utc));
  else
    lines->set_formatter(std::make_unique<spdlog::pattern_formatter>("%H:%M:%S.%e %^%-7l%$ %v"));
  return lines;
}

spdlog::sink_ptr stderr_sink() {
  const char* no_color = std::getenv("NO_COLOR");
  const bool plain = no_color != nullptr && *no_color != '\0';
  return std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never
                                                                     : spdlog::color_mode::automatic);
}

std::atomic<Logger*> current_logger{nullptr};

void write_line(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
  Logger& logger = process_logger();
  if (logger.enabled(level)) logger.write(level, message, {fields.begin(), fields.size()});
}

}  // namespace

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (int i = 0; i < 4; ++i)
    if (text == kLevelNames[i]) return static_cast<LogLevel>(i);
  return std::nullopt;
}

Logger::Logger(LogFormat format, LogLevel level, const Clock& clock)
    : format_(format), level_(level), clock_(clock), lines_(make_lines(format, stderr_sink())) {}

Logger::Logger(LogFormat format, LogLevel level, const Clock& clock, std::ostream& out)
    : format_(format),
      level_(level),
      clock_(clock),
      lines_(make_lines(format, std::make_shared<spdlog::sinks::ostream_sink_mt>(out, true))) {}

Logger::~Logger() = default;

void Logger::write(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (!enabled(level)) return;
  Buffer line;
  if (format_ == LogFormat::json)
    append_json(line, level, message, fields);
  else
    append_text(line, message, fields);
  lines_->log(clock_.now(), spdlog::source_loc{}, kSpdlogLevels[static_cast<int>(level)],
              spdlog::string_view_t(line.data(), line.size()));
}

LogFormat log_format_for_stderr() {
  return ::isatty(STDERR_FILENO) == 1 ? LogFormat::text : LogFormat::json;
}

Logger& process_logger() {
  if (Logger* logger = current_logger.load(std::memory_order_acquire)) return *logger;
  static const SystemClock clock;
  // Never destroyed: threads and destructors may still log while the process exits.
  static Logger* const fallback = new Logger(log_format_for_stderr(), LogLevel::info, clock);
  return *fallback;
}

ProcessLogger::ProcessLogger(Logger& logger) : before_(current_logger.exchange(&logger)) {}
ProcessLogger::~ProcessLogger() {
  current_logger.store(before_, std::memory_order_release);
}

void log_debug(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(LogLevel::debug, message, fields);
}
void log_info(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(LogLevel::info, message, fields);
}
void log_warn(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(LogLevel::warn, message, fields);
}
void log_error(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(LogLevel::error, message, fields);
}

}  // namespace cutover
