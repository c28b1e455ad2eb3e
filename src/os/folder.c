// Folders and paths: create, list, rename, remove, free space.
#define _GNU_SOURCE
#include "os/errno_status.h"
#include "os/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum oto_status create_one(const char *path, struct oto_error *err)
{
    struct stat status;
    if (mkdir(path, 0750) == 0) {
        enum oto_status synced = oto_parent_sync(path, err);
        return synced == OTO_DENIED ? OTO_OK : synced; // one may write to a folder and not read it
    }
    if (errno != EEXIST || stat(path, &status) != 0)
        return oto_error_of_errno(err, "create folder", path);
    if (!S_ISDIR(status.st_mode)) // not OTO_EXISTS, as what is asked for is not there
        return oto_error_set(err, OTO_INVALID, "create folder %s: it is there, and is no folder",
                             path);
    return OTO_OK;
}

enum oto_status oto_folder_create(const char *path, struct oto_error *err)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    struct stat status;
    if (size == 0 || size >= sizeof part)
        return oto_error_set(err, OTO_INVALID, "create folder: the path has %zu bytes", size);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return OTO_OK;
    memcpy(part, path, size + 1);
    for (size_t i = 1; i < size; i++) {
        if (part[i] != '/')
            continue;
        part[i] = 0;
        OTO_TRY(create_one(part, err));
        part[i] = '/';
    }
    return create_one(part, err);
}

enum oto_status oto_folder_sync(const char *path, struct oto_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return oto_error_of_errno(err, "open folder", path);
    int result;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    // A file system without such a call keeps nothing back. (EROFS is ext4's word for a broken
    // one.)
    enum oto_status status =
        result == 0 || errno == EINVAL ? OTO_OK : oto_error_of_errno(err, "sync folder", path);
    close(fd);
    return status;
}

enum oto_status oto_parent_sync(const char *path, struct oto_error *err)
{
    char parent[PATH_MAX];
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        size--;
    while (size > 0 && path[size - 1] != '/')
        size--;
    if (size >= sizeof parent)
        return oto_error_set(err, OTO_INVALID, "sync folder: the path has %zu bytes", size);
    memcpy(parent, path, size);
    parent[size] = 0;
    return oto_folder_sync(size > 0 ? parent : ".", err);
}

enum oto_status oto_path_rename(const char *from, const char *to, struct oto_error *err)
{
    if (rename(from, to) == 0)
        return OTO_OK;
    enum oto_status status = oto_error_of_errno(err, "rename", from);
    oto_error_context(err, "to %s", to);
    return status;
}

enum oto_status oto_path_remove(const char *path, struct oto_error *err)
{
    return remove(path) == 0 ? OTO_OK : oto_error_of_errno(err, "remove", path);
}

enum oto_status oto_path_exists(const char *path, int *ret_exists, struct oto_error *err)
{
    struct stat status;
    int found = lstat(path, &status) == 0;
    if (!found && errno != ENOENT && errno != ENOTDIR)
        return oto_error_of_errno(err, "stat", path);
    *ret_exists = found;
    return OTO_OK;
}

static enum oto_status visit_entry(DIR *folder, const char *name, oto_folder_visit visit,
                                   void *state, struct oto_error *err)
{
    struct stat status;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return OTO_OK;
    if (fstatat(dirfd(folder), name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        // Removed by somebody else since it was read: as if it had never been listed.
        return errno == ENOENT ? OTO_OK : oto_error_of_errno(err, "stat", name);
    }
    struct oto_folder_entry entry = {
        .name = name,
        .is_folder = S_ISDIR(status.st_mode),
        .is_file = S_ISREG(status.st_mode),
        .size_bytes = (uint64_t)status.st_size,
    };
    return visit(state, &entry, err);
}

enum oto_status oto_folder_list(const char *path, oto_folder_visit visit, void *state,
                                struct oto_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return oto_error_of_errno(err, "open folder", path);
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return oto_error_of_errno(err, "open folder", path);
    }
    enum oto_status status = OTO_OK;
    while (status >= 0) {
        errno = 0;
        struct dirent *entry = readdir(folder);
        if (!entry) {
            if (errno != 0)
                status = oto_error_of_errno(err, "list folder", path);
            break;
        }
        status = visit_entry(folder, entry->d_name, visit, state, err);
    }
    closedir(folder);
    return status < 0 ? status : OTO_OK;
}

enum oto_status oto_disk_free(const char *path, uint64_t *ret_bytes, struct oto_error *err)
{
    struct statvfs status;
    if (statvfs(path, &status) != 0)
        return oto_error_of_errno(err, "free space of", path);
    *ret_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return OTO_OK;
}
