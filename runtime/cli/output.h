#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace cutover::cli {

// Keys keep the order that the command gives them.
using Json = nlohmann::ordered_json;

enum class Tone { plain, good, warn, bad, dim };

// One cell of a table. Control characters are replaced when it is printed.
struct Cell {
  Cell(std::string cell_text, Tone cell_tone = Tone::plain) : text(std::move(cell_text)), tone(cell_tone) {}
  Cell(const char* cell_text, Tone cell_tone = Tone::plain) : text(cell_text), tone(cell_tone) {}
  std::string text;
  Tone tone;
};

// Where a command prints its result: for people or, with --json, one JSON document. One thread.
class Output {
 public:
  Output(std::ostream& out, bool json, bool color) : out_(out), json_(json), color_(color) {}

  bool json() const { return json_; }
  // The one document of a command under --json.
  void document(const Json& document);
  void line(std::string_view text = {});
  // A line with what others wrote: control characters are replaced.
  void foreign_line(std::string_view text);
  // Columns as wide as their widest cell; the last one is not padded.
  void table(const std::vector<std::string>& titles, const std::vector<std::vector<Cell>>& rows);
  std::string paint(std::string_view text, Tone tone) const;

 private:
  std::ostream& out_;
  bool json_;
  bool color_;
};

// Colour is for a terminal, without NO_COLOR.
bool wants_color(int descriptor);

// 1 event, 2 events; 1,234,567.
std::string counted(std::uint64_t count, std::string_view singular);
std::string grouped(std::uint64_t count);

}  // namespace cutover::cli
