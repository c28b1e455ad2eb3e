# libduckdb is fetched by tools/bootstrap into OTO_DUCKDB_DIR (lib and header); only otolith-query loads it.
set(OTO_DUCKDB_DIR "$ENV{OTO_DUCKDB_DIR}" CACHE PATH "Folder with libduckdb.so and duckdb.h")
if(EXISTS ${OTO_DUCKDB_DIR}/libduckdb.so AND EXISTS ${OTO_DUCKDB_DIR}/duckdb.h)
  add_library(duckdb SHARED IMPORTED)
  set_target_properties(duckdb PROPERTIES IMPORTED_LOCATION ${OTO_DUCKDB_DIR}/libduckdb.so
                        INTERFACE_INCLUDE_DIRECTORIES ${OTO_DUCKDB_DIR})
  oto_program(otolith-query apps/otolith-query DEPENDS query arrow LIBS duckdb)
else()
  message(STATUS "libduckdb not found in '${OTO_DUCKDB_DIR}': otolith-query is not built (run make)")
endif()
