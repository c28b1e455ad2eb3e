// The files below a folder, depth without recursion.
#ifndef OTO_INSPECT_FILE_LIST_H
#define OTO_INSPECT_FILE_LIST_H

#include "base/bytes.h"

// Calls visit for every regular file below, in no order, with its path (folder's in front) and
// size; hidden names and links are passed over, and folders that go meanwhile. Negative answers end
// it. OTO_NOT_FOUND: no such folder.
OTO_MUST_CHECK enum oto_status
oto_files_below(const char *folder,
                enum oto_status (*visit)(void *state, const char *path, uint64_t size_bytes,
                                         struct oto_error *err),
                void *state, struct oto_error *err);

#endif
