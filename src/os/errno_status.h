// From errno to our outcomes; for the files of os/ only.
#ifndef OTO_OS_ERRNO_STATUS_H
#define OTO_OS_ERRNO_STATUS_H

#include "base/status.h"

// As the head of os/file.h says.
enum oto_status oto_status_of_errno(int error);

// Sets "what path: reason" from errno and returns the status. err may be NULL.
enum oto_status oto_error_of_errno(struct oto_error *err, const char *what, const char *path);

#endif
