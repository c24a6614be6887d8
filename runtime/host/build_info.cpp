#include "runtime/host/build_info.h"

namespace cutover {

BuildInfo build_info() {
  return {CUTOVER_VERSION, CUTOVER_REVISION};
}

}  // namespace cutover
