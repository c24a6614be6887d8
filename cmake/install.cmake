# The package that workers of other repositories build against: find_package(cutover) and link cutover::host.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cutover)
install(DIRECTORY runtime DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cutover FILES_MATCHING PATTERN "*.h" PATTERN "cli" EXCLUDE)
install(DIRECTORY migrations DESTINATION ${CMAKE_INSTALL_DATADIR}/cutover)
install(EXPORT cutover NAMESPACE cutover:: DESTINATION ${package_dir} FILE cutover-targets.cmake)
write_basic_package_version_file(cutover-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/cutover-config.cmake cmake/dependencies.cmake ${CMAKE_CURRENT_BINARY_DIR}/cutover-config-version.cmake
        DESTINATION ${package_dir})
