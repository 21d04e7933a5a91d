# kvcast_component(NAME SOURCES a.cc ... [LINK targets...])   folder = target = namespace
# kvcast_fuzzer(NAME SOURCES a_fuzz.cc [LINK ...] [SEEDS paths])  below tests/: a libFuzzer program, or a replay of seeds
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

# Tests are many and run once: they are compiled with few optimisations, without the warnings of GCC 12's flow analysis,
# which then sees errors in std::string and std::stop_source themselves. (Sanitizers see those of tests.)
function(kvcast_test_options target)
  kvcast_compile_options(${target})
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Og>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread;-Wno-maybe-uninitialized>)
  target_compile_definitions(${target} PRIVATE KVCAST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
endfunction()

# GoogleTest's headers, parsed once for all tests. (That our own headers include what they need is for
# public_headers_compile_alone, tests/CMakeLists.txt.)
function(kvcast_reuse_test_headers target)
  if(NOT TARGET test_headers)
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/test_headers.cc" CONTENT "// Carries the tests' precompiled headers.\nint main() {}\n")
    add_executable(test_headers "${PROJECT_BINARY_DIR}/test_headers.cc")
    kvcast_test_options(test_headers)
    target_link_libraries(test_headers PRIVATE GTest::gmock)
    target_precompile_headers(test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>)
  endif()
  target_precompile_headers(${target} REUSE_FROM test_headers)
endfunction()

function(kvcast_test name)
  if(NOT KVCAST_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  kvcast_test_options(${name})
  kvcast_reuse_test_headers(${name})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} GTest::gmock GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 300)
endfunction()

# With -DKVCAST_FUZZ=ON (clang; tools/fuzz) a libFuzzer program; else a test that replays the target's seeds, and all
# that campaigns left in tests/corpus/NAME, with seeded mutations of each.
function(kvcast_fuzzer name)
  if(NOT KVCAST_TESTS AND NOT KVCAST_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;SEEDS" ${ARGN})
  set(seeds "")
  foreach(seed IN LISTS ARG_SEEDS ITEMS corpus/${name})
    if(EXISTS "${PROJECT_SOURCE_DIR}/tests/${seed}")
      list(APPEND seeds "${PROJECT_SOURCE_DIR}/tests/${seed}")
    endif()
  endforeach()
  add_executable(fuzz_${name} ${ARG_SOURCES})
  kvcast_compile_options(fuzz_${name})
  target_compile_definitions(fuzz_${name} PRIVATE KVCAST_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(fuzz_${name} PRIVATE ${ARG_LINK})
  if(KVCAST_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    file(GENERATE OUTPUT "${PROJECT_BINARY_DIR}/fuzz/${name}" CONTENT "$<TARGET_FILE:fuzz_${name}>\n${seeds}\n")
  else()
    if(NOT TARGET fuzz_replay)
      add_library(fuzz_replay OBJECT "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.cc")
      kvcast_compile_options(fuzz_replay)
    endif()
    target_link_libraries(fuzz_${name} PRIVATE fuzz_replay)
    add_test(NAME fuzz_${name} COMMAND fuzz_${name} ${seeds})
    set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
