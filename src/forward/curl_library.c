#include "forward/curl_library.h"

#include <dlfcn.h>
#include <string.h>

static struct oto_curl functions;
static int is_loaded;

static int find(void *library, const char *name, void *ret_function)
{
    void *symbol = dlsym(library, name);
    memcpy(ret_function, &symbol, sizeof symbol);
    return symbol != NULL;
}

enum oto_status oto_curl_load(struct oto_error *err)
{
    if (is_loaded)
        return OTO_OK;
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return oto_error_set(err, OTO_UNSUPPORTED,
                             "sending needs libcurl (Debian: apt-get install libcurl4): %s",
                             dlerror());
#define FIND(name)                                                                                 \
    if (!find(library, "curl_" #name, &functions.name))                                            \
        return oto_error_set(err, OTO_UNSUPPORTED, "libcurl is too old: it has no curl_" #name);
    OTO_CURL_FUNCTIONS(FIND)
#undef FIND
    is_loaded = 1;
    return OTO_OK;
}

const struct oto_curl *oto_curl(void)
{
    return &functions;
}
