// libcurl, loaded when something is first sent: it brings two dozen libraries, whose memory a
// server that sends nothing should not carry.
#ifndef OTO_FORWARD_CURL_LIBRARY_H
#define OTO_FORWARD_CURL_LIBRARY_H

#include "base/status.h"
#include <curl/curl.h>

#define OTO_CURL_FUNCTIONS(FUNCTION)                                                               \
    FUNCTION(global_init)                                                                          \
    FUNCTION(global_cleanup)                                                                       \
    FUNCTION(version_info)                                                                         \
    FUNCTION(slist_append)                                                                         \
    FUNCTION(slist_free_all)                                                                       \
    FUNCTION(easy_init)                                                                            \
    FUNCTION(easy_cleanup)                                                                         \
    FUNCTION(easy_setopt)                                                                          \
    FUNCTION(easy_getinfo)                                                                         \
    FUNCTION(easy_header)                                                                          \
    FUNCTION(easy_strerror)                                                                        \
    FUNCTION(multi_init)                                                                           \
    FUNCTION(multi_cleanup)                                                                        \
    FUNCTION(multi_add_handle)                                                                     \
    FUNCTION(multi_remove_handle)                                                                  \
    FUNCTION(multi_perform)                                                                        \
    FUNCTION(multi_poll)                                                                           \
    FUNCTION(multi_info_read)

// curl_easy_init is oto_curl()->easy_init, and so on.
struct oto_curl {
#define OTO_CURL_MEMBER(name) __typeof__(&curl_##name) name;
    OTO_CURL_FUNCTIONS(OTO_CURL_MEMBER)
#undef OTO_CURL_MEMBER
};

// Loads it, once. Not from two threads at a time, as curl_global_init. OTO_UNSUPPORTED: it is not
// there or too old.
OTO_MUST_CHECK enum oto_status oto_curl_load(struct oto_error *err);
// After oto_curl_load succeeded.
const struct oto_curl *oto_curl(void);

#endif
