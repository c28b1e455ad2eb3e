// Files and standard streams from front to back, for tools: what is read may be a pipe; what is
// written appears whole under its name or not at all. Errors as os/file.h says; paths are followed
// where they are links.
#ifndef OTO_OS_STREAM_H
#define OTO_OS_STREAM_H

#include "base/bytes.h"

struct oto_input {
    int fd; // -1 when closed
    int is_owned;
    int is_regular;      // a file with a size, that can be read at any place
    uint64_t size_bytes; // 0 unless regular
    const char *name;    // for messages: the path, or "standard input"; borrowed
};

// path: "-" is standard input.
OTO_MUST_CHECK enum oto_status oto_input_open(struct oto_input *input, const char *path,
                                              struct oto_error *err);
// Its size, without opening it (which whoever writes to a pipe would notice); 0: no regular file.
int oto_input_size(const char *path, uint64_t *ret_size);
void oto_input_close(struct oto_input *input);
// The next bytes, at least one. OTO_END.
OTO_MUST_CHECK enum oto_status oto_input_read(struct oto_input *input, void *data, size_t size,
                                              size_t *ret_size, struct oto_error *err);
// Exactly size bytes at a place of a regular file; OTO_IO when it has become shorter.
OTO_MUST_CHECK enum oto_status oto_input_read_at(struct oto_input *input, uint64_t offset,
                                                 void *data, size_t size, struct oto_error *err);
// Copies the rest into a file without a name in the folder of temporary files (TMPDIR, else /tmp),
// which the input then is. For formats that begin at their end, from a pipe.
OTO_MUST_CHECK enum oto_status oto_input_spool(struct oto_input *input, struct oto_error *err);

struct oto_output {
    int fd; // -1 when closed
    int is_owned;
    const char *name; // for messages; borrowed
    char *path;       // NULL: standard output, or no regular file: written directly
    char *temporary;
};

// path: "-" is standard output. A regular file is written beside its place, as PATH.<pid>.part; of
// these there are OTO_OUTPUTS_MAX at a time, OTO_TOO_LARGE beyond. /dev/stdout and /dev/fd/N are
// written as they are open.
#define OTO_OUTPUTS_MAX 16
OTO_MUST_CHECK enum oto_status oto_output_open(struct oto_output *output, const char *path,
                                               struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_output_write(struct oto_output *output, const void *data,
                                                size_t size, struct oto_error *err);
// Durable, and under its name in place of what was there. Closes, also on failure.
OTO_MUST_CHECK enum oto_status oto_output_publish(struct oto_output *output, struct oto_error *err);
// Removes what was written. Legal on a closed one.
void oto_output_drop(struct oto_output *output);
// From now on a signal that ends the process first removes what was written of outputs that are not
// published. Signals that are ignored stay so.
void oto_outputs_drop_on_signals(void);

int oto_path_is_folder(const char *path);

#endif
