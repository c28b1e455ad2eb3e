# ${OTO_SNAPPY}: libsnappy for whoever links a folder. It is the only library in C++ here, and libstdc++ with it takes
# 0.9 MiB of memory and a third of the start: a target with OTO_SNAPPY_WITHIN has both in itself, where their
# archives are there. Sanitizers, and programs that load a library in C++ (otolith-query), keep the shared ones.
find_library(OTO_SNAPPY_ARCHIVE libsnappy.a)
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libstdc++.a OUTPUT_VARIABLE OTO_CXX_ARCHIVE
                OUTPUT_STRIP_TRAILING_WHITESPACE)
set(OTO_SNAPPY PkgConfig::SNAPPY)
if(OTO_SNAPPY_ARCHIVE AND IS_ABSOLUTE "${OTO_CXX_ARCHIVE}" AND NOT OTO_SANITIZE AND NOT OTO_TSAN AND NOT OTO_FUZZ)
  set(within $<BOOL:$<TARGET_PROPERTY:OTO_SNAPPY_WITHIN>>)
  set(OTO_SNAPPY $<${within}:${OTO_SNAPPY_ARCHIVE}> $<${within}:${OTO_CXX_ARCHIVE}> $<${within}:-static-libgcc>
                 $<$<NOT:${within}>:PkgConfig::SNAPPY>)
endif()
