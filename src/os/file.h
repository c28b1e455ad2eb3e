// Files and folders. Paths are UTF-8 without NUL. Every call says what failed on which path in err.
// EINTR is handled. ENOSPC, EDQUOT and EFBIG become OTO_NO_SPACE; EMFILE, ENFILE and ENOMEM
// OTO_NO_MEMORY; ENOENT OTO_NOT_FOUND; EEXIST OTO_EXISTS; EACCES, EPERM and EROFS OTO_DENIED; the
// rest OTO_IO.
#ifndef OTO_OS_FILE_H
#define OTO_OS_FILE_H

#include "base/bytes.h"

struct oto_file {
    int fd; // -1 when closed
};

enum oto_file_mode {
    OTO_FILE_READ,       // existing, read only
    OTO_FILE_WRITE,      // created or truncated, read and write
    OTO_FILE_CREATE_NEW, // OTO_EXISTS when there is one
    OTO_FILE_UPDATE,     // created when missing, kept otherwise, read and write
};

// All files are opened O_CLOEXEC | O_NOFOLLOW, mode 0640.
OTO_MUST_CHECK enum oto_status oto_file_open(struct oto_file *f, const char *path,
                                             enum oto_file_mode mode, struct oto_error *err);
// Closing is reported: a failed close may be a failed write.
enum oto_status oto_file_close(struct oto_file *f, struct oto_error *err);
// Exactly size bytes, or an error (OTO_END when the file is shorter; ret_read then says how far it
// got, may be NULL).
OTO_MUST_CHECK enum oto_status oto_file_read_at(struct oto_file *f, uint64_t offset, void *data,
                                                size_t size, size_t *ret_read,
                                                struct oto_error *err);
// These bytes will be read soon: the disk may begin.
void oto_file_read_ahead(struct oto_file *f, uint64_t offset, uint64_t size);
// These bytes will not be written again: the disk may begin. Whether it could is told by
// oto_file_sync.
void oto_file_write_behind(struct oto_file *f, uint64_t offset, uint64_t size);
OTO_MUST_CHECK enum oto_status oto_file_write_at(struct oto_file *f, uint64_t offset,
                                                 const void *data, size_t size,
                                                 struct oto_error *err);
// Writes go to the disk past the page cache from now on, where the file system can: each at a
// multiple of OTO_FILE_DIRECT_BYTES of the file and of memory, and of so many bytes. One that is
// not, or that the file system does not take so, is written as usual and ends it.
#define OTO_FILE_DIRECT_BYTES 4096
void oto_file_set_direct(struct oto_file *f);
OTO_MUST_CHECK enum oto_status oto_file_size(struct oto_file *f, uint64_t *ret_size,
                                             struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_file_truncate(struct oto_file *f, uint64_t size,
                                                 struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_file_sync(struct oto_file *f,
                                             struct oto_error *err); // fdatasync

// An anonymous file in memory (memfd), for handing bytes to another process.
OTO_MUST_CHECK enum oto_status oto_file_open_memory(struct oto_file *f, const char *name,
                                                    struct oto_error *err);
// Makes a file in memory unchangeable for ever and for everybody, whoever holds it. No effect on
// other files.
void oto_file_seal_memory(int fd);

// With parents; fine when there; new names are synced. OTO_INVALID: something else has the name.
OTO_MUST_CHECK enum oto_status oto_folder_create(const char *path, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_folder_sync(const char *path,
                                               struct oto_error *err); // fsync of the folder
// fsync of the folder that holds the name `path`: after it the name survives a power cut.
OTO_MUST_CHECK enum oto_status oto_parent_sync(const char *path, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_path_rename(const char *from, const char *to,
                                               struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_path_remove(const char *path,
                                               struct oto_error *err); // a file or an empty folder
OTO_MUST_CHECK enum oto_status oto_path_exists(const char *path, int *ret_exists,
                                               struct oto_error *err);

// Calls visit for each entry (not "." and ".."), in no order; stops when it returns negative and
// returns that.
struct oto_folder_entry {
    const char *name;
    int is_folder;
    int is_file; // regular; links and devices are neither
    uint64_t size_bytes;
};
typedef enum oto_status (*oto_folder_visit)(void *state, const struct oto_folder_entry *entry,
                                            struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_folder_list(const char *path, oto_folder_visit visit,
                                               void *state, struct oto_error *err);

// Takes the exclusive lock of a data folder by the file `path`; holds it as long as f is open. The
// text of the file is the holder's: pid and addresses. OTO_EXISTS when another process holds it.
OTO_MUST_CHECK enum oto_status oto_file_lock(struct oto_file *f, const char *path,
                                             struct oto_error *err);
// Fills text (NUL-terminated, cut to size) with what the holder of that lock wrote into the file,
// which need only be readable and is not created. OTO_NOT_FOUND: nobody holds it.
OTO_MUST_CHECK enum oto_status oto_file_lock_holder(const char *path, char *text, size_t size,
                                                    struct oto_error *err);

// Bytes that an ordinary user may still write on the file system of path.
OTO_MUST_CHECK enum oto_status oto_disk_free(const char *path, uint64_t *ret_bytes,
                                             struct oto_error *err);

// Allocator whose blocks come from mmap and are given back to the system at once; pages cost
// nothing until touched.
extern const struct oto_allocator oto_allocator_pages;
// Gives the whole pages in a part of such a block back: it reads as zeros then.
void oto_pages_forget(void *data, size_t size);

// Cryptographically random bytes.
void oto_random(void *data, size_t size);
// Resident memory of this process in bytes (VmRSS).
uint64_t oto_memory_resident_bytes(void);

#endif
