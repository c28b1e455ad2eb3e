// Who has a data folder: the lock file and what its holder writes into it, "pid\naddresses" or, for
// a tool, "pid name\n".
#include "engine/engine_internal.h"

#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

static void lock_path(const char *data_path, char path[OTO_ENGINE_PATH_MAX])
{
    (void)snprintf(path, OTO_ENGINE_PATH_MAX, "%s/lock", data_path);
}

enum oto_status oto_engine_announce(struct oto_engine *engine, const char *addresses,
                                    struct oto_error *err)
{
    char text[2048];
    const char *tool = engine->options.tool;
    int size = snprintf(text, sizeof text, "%ld%s%s\n%s%s", (long)getpid(), tool ? " " : "",
                        tool ? tool : "", addresses,
                        addresses[0] && addresses[strlen(addresses) - 1] != '\n' ? "\n" : "");
    if (size < 0 || (size_t)size >= sizeof text)
        return oto_error_set(err, OTO_TOO_LARGE, "too many addresses for the lock file");
    OTO_TRY(oto_file_write_at(&engine->lock_file, 0, text, (size_t)size, err));
    return oto_file_truncate(&engine->lock_file, (uint64_t)size, err);
}

enum oto_status oto_engine_find_holder(const char *data_path, struct oto_engine_holder *ret_holder,
                                       struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_engine_holder *h = ret_holder;
    lock_path(data_path, path);
    OTO_TRY(oto_file_lock_holder(path, h->text, sizeof h->text, err));
    size_t first = strcspn(h->text, "\n"), digits = strspn(h->text, "0123456789");
    h->addresses = h->text + first + (h->text[first] == '\n');
    h->tool = digits < first && h->text[digits] == ' ' ? h->text + digits + 1 : NULL;
    h->pid = h->text;
    h->text[first] = 0;
    h->text[digits < first ? digits : first] = 0;
    return OTO_OK;
}

enum oto_status oto_engine_lock_folder(struct oto_engine *engine, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_engine_holder holder;
    lock_path(engine->data_path, path);
    enum oto_status status = oto_file_lock(&engine->lock_file, path, err);
    if (status == OTO_OK)
        return oto_engine_announce(engine, "", err);
    if (status == OTO_EXISTS &&
        oto_engine_find_holder(engine->data_path, &holder, NULL) == OTO_OK && holder.tool)
        oto_error_set(err, status, "%s, process %s, reads %s: wait for it or stop it", holder.tool,
                      holder.pid, engine->data_path);
    return status;
}
