#include "inspect/inspect_internal.h"

static enum oto_status read_at(void *state, uint64_t offset, void *output, size_t size,
                               struct oto_error *err)
{
    struct oto_file_source *source = state;
    enum oto_status status = oto_file_read_at(&source->file, offset, output, size, NULL, err);
    return status == OTO_END
               ? oto_error_at(err, OTO_CORRUPT, offset, "the file became shorter while it was read")
               : status;
}

enum oto_status oto_file_source_open(struct oto_file_source *source, const char *path,
                                     struct oto_error *err)
{
    OTO_TRY(oto_file_open(&source->file, path, OTO_FILE_READ, err));
    source->source = (struct oto_source){.read = read_at, .state = source};
    enum oto_status status = oto_file_size(&source->file, &source->source.size_bytes, err);
    if (status < 0)
        oto_file_source_close(source);
    return status;
}

void oto_file_source_close(struct oto_file_source *source)
{
    oto_file_close(&source->file, NULL);
}
