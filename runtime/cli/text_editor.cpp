#include "runtime/cli/text_editor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "runtime/cli/shell.h"

namespace cutover::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// As the shell wants it: the editor may be a command with arguments, the path is one word.
std::string shell_word(const std::string& path) {
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

}  // namespace

std::string open_in_editor(std::string_view text, const std::string& suffix) {
  std::string editor = variable("VISUAL");
  if (editor.empty()) editor = variable("EDITOR");
  if (editor.empty())
    throw CommandError(
        "no editor is set (EDITOR). Do: export EDITOR=vi, or give the edited payload as a file with --file "
        "FILE.");
  std::string folder = variable("TMPDIR");
  std::string path = (folder.empty() ? "/tmp" : folder) + "/cutover-XXXXXX" + suffix;
  const int file = ::mkstemps(path.data(), static_cast<int>(suffix.size()));
  if (file < 0)
    throw CommandError(fmt::format(
        "no file can be made for the editor ({}). Do: set TMPDIR to a folder that you may write to.", path));
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  if (!written)
    throw CommandError(
        fmt::format("the payload cannot be written ({}). Do: make room there, or set TMPDIR.", path));
  const int status = std::system((editor + " " + shell_word(path)).c_str());
  if (status != 0)
    throw CommandError(
        fmt::format("the editor failed ({}); what it wrote is in {}. Do: try again.", editor, path));
  return path;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) throw CommandError(fmt::format("the file cannot be read ({}). Do: check its name.", path));
  return text.str();
}

}  // namespace cutover::cli
