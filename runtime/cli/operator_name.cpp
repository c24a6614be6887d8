#include "runtime/cli/operator_name.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

namespace cutover::cli {

std::string operator_name() {
  const char* sudo = std::getenv("SUDO_USER");
  const passwd* user = ::getpwuid(::geteuid());
  char host[256] = "unknown";
  ::gethostname(host, sizeof host - 1);
  std::string name = "unknown";
  if (sudo != nullptr && *sudo != '\0')
    name = sudo;
  else if (user != nullptr)
    name = user->pw_name;
  return name + "@" + host;
}

}  // namespace cutover::cli
