# What embedders link: the libraries that were built, their public headers and a CMake package.
#   find_package(kvcast REQUIRED COMPONENTS player)
#   target_link_libraries(mine PRIVATE kvcast::player)
# Programs install themselves. The origin is one, not a library to embed.
include(CMakePackageConfigHelpers)

set(kvcast_libraries)
foreach(library kernels manifests packager player)
  if(TARGET ${library})
    list(APPEND kvcast_libraries ${library})
    file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${library}/*.h")
    install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kvcast/${library})
  endif()
endforeach()

if(kvcast_libraries)
  set(kvcast_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kvcast)
  install(TARGETS ${kvcast_libraries} EXPORT kvcastTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT kvcastTargets NAMESPACE kvcast:: DESTINATION ${kvcast_package_dir})
  configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/kvcastConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/kvcastConfig.cmake" INSTALL_DESTINATION ${kvcast_package_dir})
  # Below 1.0 a minor version may change the C++ interfaces; the C header has its own number.
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/kvcastConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/kvcastConfig.cmake" "${PROJECT_BINARY_DIR}/kvcastConfigVersion.cmake"
    DESTINATION ${kvcast_package_dir})
endif()
