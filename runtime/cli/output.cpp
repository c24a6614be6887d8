#include "runtime/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>

namespace cutover::cli {
namespace {

constexpr std::string_view kColors[] = {"", "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[2m"};

// What servers and rows say is printed too; it may not steer the terminal.
std::string printable(std::string_view text) {
  std::string out(text);
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return out;
}

std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

void Output::document(const Json& document) {
  out_ << document.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl;
}

void Output::line(std::string_view text) {
  out_ << text << std::endl;
}

void Output::foreign_line(std::string_view text) {
  line(printable(text));
}

void Output::table(const std::vector<std::string>& titles, const std::vector<std::vector<Cell>>& rows) {
  std::vector<std::size_t> widths;
  for (const std::string& title : titles) widths.push_back(width(title));
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i].text));

  std::size_t blanks = 0;  // up to the next column; none behind the last cell that says something
  const auto print = [&](std::size_t column, std::string_view text, Tone tone) {
    const std::string shown = printable(text);
    if (!shown.empty()) {
      out_ << std::string(blanks, ' ') << paint(shown, tone);
      blanks = 0;
    }
    // A column in which nobody has anything to say takes no room.
    if (widths[column] > 0) blanks += widths[column] - width(shown) + 2;
  };
  const auto end_line = [&] {
    out_ << '\n';
    blanks = 0;
  };
  for (std::size_t i = 0; i < titles.size(); ++i) print(i, titles[i], Tone::dim);
  end_line();
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) print(i, row[i].text, row[i].tone);
    end_line();
  }
  out_.flush();
}

std::string Output::paint(std::string_view text, Tone tone) const {
  if (!color_ || tone == Tone::plain || text.empty()) return std::string(text);
  return std::string(kColors[static_cast<int>(tone)]) + std::string(text) + "\x1b[0m";
}

bool wants_color(int descriptor) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::string_view(term) != "dumb");
}

std::string counted(std::uint64_t count, std::string_view singular) {
  return grouped(count) + " " + std::string(singular) + (count == 1 ? "" : "s");
}

std::string grouped(std::uint64_t count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

}  // namespace cutover::cli
