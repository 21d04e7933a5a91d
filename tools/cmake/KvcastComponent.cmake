# kvcast_component(NAME SOURCES a.cc ... [LINK targets...])   folder = target = namespace
# kvcast_test(NAME SOURCES a_test.cc ... [LINK targets...])    one GoogleTest binary, one ctest entry per case
include(GNUInstallDirs)
include(GoogleTest)

function(kvcast_compile_options target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  # -ffp-contract=off: dequantised coefficients are bit-exact on every compiler and CPU (kernels/plane_format.md).
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion;-Werror;-ffp-contract=off>)
endfunction()

function(kvcast_component name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(${name} ${ARG_SOURCES})
  add_library(kvcast::${name} ALIAS ${name})
  kvcast_compile_options(${name})
  set_target_properties(${name} PROPERTIES OUTPUT_NAME kvcast_${name})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/kvcast>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
endfunction()

function(kvcast_test name)
  if(NOT KVCAST_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  kvcast_compile_options(${name})
  target_compile_definitions(${name} PRIVATE KVCAST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()
