# libduckdb is fetched by tools/bootstrap into the cache (library and header); only otolith-query
# loads it. OTO_DUCKDB_DIR names another place; without it the cache's is taken.
if(DEFINED ENV{OTO_DUCKDB_DIR})
  set(duckdb_default $ENV{OTO_DUCKDB_DIR})
elseif(DEFINED ENV{OTOLITH_CACHE})
  set(duckdb_default $ENV{OTOLITH_CACHE}/duckdb-1.5.5)
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(duckdb_default $ENV{XDG_CACHE_HOME}/otolith/duckdb-1.5.5)
else()
  set(duckdb_default $ENV{HOME}/.cache/otolith/duckdb-1.5.5)
endif()
set(OTO_DUCKDB_DIR "${duckdb_default}" CACHE PATH "Folder with libduckdb.so and duckdb.h")
if(EXISTS ${OTO_DUCKDB_DIR}/libduckdb.so AND EXISTS ${OTO_DUCKDB_DIR}/duckdb.h)
  add_library(duckdb SHARED IMPORTED)
  set_target_properties(duckdb PROPERTIES IMPORTED_LOCATION ${OTO_DUCKDB_DIR}/libduckdb.so
                        IMPORTED_SONAME libduckdb.so
                        INTERFACE_INCLUDE_DIRECTORIES ${OTO_DUCKDB_DIR})
  oto_program(otolith-query apps/otolith-query DEPENDS query arrow parquet telemetry LIBS duckdb)
  install(FILES ${OTO_DUCKDB_DIR}/libduckdb.so DESTINATION lib/otolith)
  # The same without main, for the fuzz target of its SQL check.
  file(GLOB process CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/apps/otolith-query/*.c)
  list(FILTER process EXCLUDE REGEX query_main.c)
  add_library(oto_query_process STATIC EXCLUDE_FROM_ALL ${process})
  target_include_directories(oto_query_process PUBLIC ${CMAKE_SOURCE_DIR}/apps/otolith-query)
  target_link_libraries(oto_query_process PUBLIC oto_query oto_arrow oto_parquet oto_telemetry duckdb)
else()
  message(STATUS "libduckdb not found in '${OTO_DUCKDB_DIR}': otolith-query is not built (run make)")
endif()

# What reads its plans, and holds them against files, knows no DuckDB: tested and fuzzed alone.
add_library(oto_query_plan STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/apps/otolith-query/query_plan_read.c
            ${CMAKE_SOURCE_DIR}/apps/otolith-query/query_facts.c)
target_include_directories(oto_query_plan PUBLIC ${CMAKE_SOURCE_DIR}/apps/otolith-query)
target_link_libraries(oto_query_plan PUBLIC oto_wire oto_parquet)
