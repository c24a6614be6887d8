# The libraries that the installed archives need, found the way the build itself finds them.
include(${CMAKE_CURRENT_LIST_DIR}/dependencies.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/cutover-targets.cmake)
