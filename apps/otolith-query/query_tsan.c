// Under ThreadSanitizer only: DuckDB is not instrumented, so what its threads do with their own
// memory looks like races. The process has no environment to be told so by.
#if defined(__SANITIZE_THREAD__)
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:libduckdb.so\n"
           "race:libduckdb.so\n"
           "called_from_lib:libstdc++.so\n"
           "race:libstdc++.so\n";
}
#else
typedef int query_tsan_is_empty;
#endif
