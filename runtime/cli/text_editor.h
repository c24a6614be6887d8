#pragma once

#include <string>
#include <string_view>

namespace cutover::cli {

// Opens a text in the operator's editor ($VISUAL, else $EDITOR), in a file that only they can read; returns
// where the file is. The caller reads and removes it. Throws CommandError without an editor, or when it
// fails.
std::string open_in_editor(std::string_view text, const std::string& suffix);

// A whole file. Throws CommandError.
std::string read_file(const std::string& path);

}  // namespace cutover::cli
