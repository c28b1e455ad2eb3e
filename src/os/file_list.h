// The files below a folder, depth without recursion.
#ifndef OTO_OS_FILE_LIST_H
#define OTO_OS_FILE_LIST_H

#include "base/bytes.h"

// Calls visit for every regular file below, in no order, with its path (folder's in front) and
// size; hidden names and links are passed over, and folders that go meanwhile. Negative answers end
// it. OTO_NOT_FOUND: no such folder.
OTO_MUST_CHECK enum oto_status
oto_files_below(const char *folder,
                enum oto_status (*visit)(void *state, const char *path, uint64_t size_bytes,
                                         struct oto_error *err),
                void *state, struct oto_error *err);

// A list of paths.
struct oto_file_list {
    char **paths;
    size_t count, capacity;
};
// Copies the path. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_file_list_add(struct oto_file_list *list, const char *path,
                                                 struct oto_error *err);
// The files below a folder whose names (without their folder) are wanted, in the order of their
// paths. As oto_files_below, but that links to files are followed.
OTO_MUST_CHECK enum oto_status oto_file_list_add_below(struct oto_file_list *list,
                                                       const char *folder,
                                                       int (*is_wanted)(const char *name),
                                                       struct oto_error *err);
void oto_file_list_release(struct oto_file_list *list); // legal on a zeroed one

#endif
