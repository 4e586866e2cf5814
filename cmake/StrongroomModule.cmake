# strongroom_module(NAME SOURCES a.cc ... [DEPENDS base env ...] [LIBRARIES target ...] [PRIVATE_LIBRARIES target ...])
#   One folder of src/strongroom as a static library strongroom_NAME. DEPENDS are the modules its includes may name;
#   tools/check_layers.py compares the two.
# strongroom_test(NAME SOURCES a_test.cc ... [DEPENDS ...])      one GoogleTest program
# strongroom_fuzzer(NAME SOURCE a_fuzz.cc [DEPENDS ...])         one libFuzzer program; corpus in test/corpus/NAME
include(GoogleTest)

# Headers are most of what a source here takes to compile (10 minutes instead of 27 on two cores, clang-tidy in a
# quarter of its time), so several share one reading of them. So a name in an anonymous namespace is unique in its
# module; what two files would both call by it is one thing, or two names. The dev preset compiles each source by
# itself, which shows an #include that is missing.
function(strongroom_compile_together TARGET)
  set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ${STRONGROOM_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

function(strongroom_module NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS;LIBRARIES;PRIVATE_LIBRARIES" ${ARGN})
  if(ARG_SOURCES)
    add_library(strongroom_${NAME} STATIC ${ARG_SOURCES})
    strongroom_compile_together(strongroom_${NAME})
    set(visibility PUBLIC)
    target_link_libraries(strongroom_${NAME} PRIVATE strongroom_warnings ${ARG_PRIVATE_LIBRARIES})
  else()
    add_library(strongroom_${NAME} INTERFACE)
    set(visibility INTERFACE)
  endif()
  target_include_directories(strongroom_${NAME} ${visibility} "${CMAKE_SOURCE_DIR}/src")
  foreach(dep ${ARG_DEPENDS})
    target_link_libraries(strongroom_${NAME} ${visibility} strongroom_${dep})
  endforeach()
  target_link_libraries(strongroom_${NAME} ${visibility} ${ARG_LIBRARIES})
endfunction()

function(strongroom_test NAME)
  if(STRONGROOM_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LIBRARIES" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${NAME} ${ARG_SOURCES})
  strongroom_compile_together(${NAME})
  foreach(dep ${ARG_DEPENDS})
    target_link_libraries(${NAME} PRIVATE strongroom_${dep})
  endforeach()
  target_link_libraries(${NAME} PRIVATE strongroom_warnings GTest::gtest GTest::gmock GTest::gtest_main ${ARG_LIBRARIES})
  target_compile_definitions(${NAME} PRIVATE STRONGROOM_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  gtest_discover_tests(${NAME} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

function(strongroom_fuzzer NAME)
  if(NOT STRONGROOM_FUZZ)
    return()
  endif()
  cmake_parse_arguments(ARG "" "SOURCE" "DEPENDS;LIBRARIES" ${ARGN})
  add_executable(${NAME} ${ARG_SOURCE})
  foreach(dep ${ARG_DEPENDS})
    target_link_libraries(${NAME} PRIVATE strongroom_${dep})
  endforeach()
  target_link_libraries(${NAME} PRIVATE ${ARG_LIBRARIES})
  target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY STRONGROOM_FUZZERS ${NAME})
endfunction()
