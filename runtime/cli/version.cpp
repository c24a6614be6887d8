#include "runtime/cli/commands.h"
#include "runtime/host/build_info.h"

namespace cutover::cli {

void add_version(Shell& shell) {
  shell.add(
      shell.app(), "version", "Print version and revision of this build", "cutover version --json", [&shell] {
        const BuildInfo build = build_info();
        Output out = shell.output();
        if (out.json())
          out.document({{"version", build.version}, {"revision", build.revision}, {"compiler", __VERSION__}});
        else
          out.line("cutover " + build.version + " (" + build.revision + ")");
        return kFine;
      });
}

}  // namespace cutover::cli
