# Compiler flags for every target: warnings, hardening, sanitizers.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wvla
                    -Wmissing-prototypes -Wimplicit-fallthrough -Wformat=2
                    -fno-strict-aliasing -fno-delete-null-pointer-checks
                    -fstack-protector-strong)
if(OTO_WERROR)
  add_compile_options(-Werror)
endif()
if((OTO_SANITIZE OR OTO_TSAN) AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Instrumented code misleads these; the plain gcc build has them on.
  add_compile_options(-Wno-format-truncation -Wno-maybe-uninitialized -Wno-stringop-overflow)
endif()
if(OTO_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(OTO_TSAN)
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
elseif(NOT OTO_FUZZ)
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(OTO_FUZZ)
  # Memories are small then, so that what comes after long is met soon.
  add_compile_definitions(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed)
