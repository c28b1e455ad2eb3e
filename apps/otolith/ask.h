// Asks SQL of a data folder: of the server that holds it, or, when there is none, of the files
// themselves. Blocking; one thread's.
#ifndef OTO_APPS_OTOLITH_ASK_H
#define OTO_APPS_OTOLITH_ASK_H

#include "query/query_client.h"

// The folder that --data names, else OTOLITH_DATA, else ./otolith-data.
const char *oto_ask_folder(const char *data);

// Of a server's addresses, "127.0.0.1:4317 (ingest, query)" one a line, the first that has the role
// ("ingest", "query", "admin") after `skip` such. 0: there is none.
#define OTO_ASK_ADDRESS_MAX 256
int oto_ask_pick_address(const char *addresses, const char *role, unsigned skip,
                         char address[OTO_ASK_ADDRESS_MAX]);
// The first that a URL can name, as the URL that clients on this machine can use. 0: there is none.
#define OTO_ASK_URL_MAX (OTO_ASK_ADDRESS_MAX + 16)
int oto_ask_pick_url(const char *addresses, const char *role, char url[OTO_ASK_URL_MAX]);
// That of the server that holds a data folder. OTO_NOT_FOUND: no server runs; OTO_UNSUPPORTED: none
// of its addresses will do; OTO_DENIED: that cannot be told.
OTO_MUST_CHECK enum oto_status oto_ask_url(const char *data, const char *role,
                                           char url[OTO_ASK_URL_MAX], struct oto_error *err);

struct oto_ask;
// Opens the folder: OTO_NOT_FOUND when it is none. What a crashed server left in its log is put
// into files first. While another command reads the folder, this says so on standard error and
// waits.
OTO_MUST_CHECK enum oto_status oto_ask_open(const char *data, struct oto_ask **ret_ask,
                                            struct oto_error *err);
void oto_ask_close(struct oto_ask *ask); // NULL is legal

// Runs one query; data gets the answer's bytes piece by piece, perhaps on another thread, while
// this waits. err: line and column of the SQL where known; what data returned when it failed.
OTO_MUST_CHECK enum oto_status
oto_ask_run(struct oto_ask *ask, struct oto_bytes sql, enum oto_query_format format,
            enum oto_status (*data)(void *state, struct oto_bytes bytes), void *state,
            struct oto_error *err);

#endif
