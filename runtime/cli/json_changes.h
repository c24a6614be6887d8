#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cutover::cli {

// One value that differs between two JSON texts; "" for a side that does not have it.
struct JsonChange {
  std::string path;  // /payload/contact_id; empty: one side is no JSON, and the whole text counts
  std::string before, after;
};
// In the order of the second text, then what only the first one has.
std::vector<JsonChange> json_changes(std::string_view before, std::string_view after);

// White space between the tokens laid out anew, tokens as they are: one value a line, two blanks a level.
// What is no JSON is returned as it is.
std::string indented_json(std::string_view text);
// The same without any white space between tokens.
std::string compact_json(std::string_view text);

// "line 3, column 14" of a byte, both from 1.
std::string line_and_column(std::string_view text, std::size_t byte);

}  // namespace cutover::cli
