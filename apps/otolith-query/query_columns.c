// What a query's text names. Planning over forty columns of which five are read is most of what a
// small query takes, so the tables' views have only the columns that are named, where no other can
// count. Whatever stands in the syntax tree between quotes is a name here: too many do no harm.
#include "query_process.h"

#include <ctype.h>

#define TREE_MAX 65536u // of a larger tree everything is wanted

void query_names_init(struct query_names *names)
{
    names->every = 1;
    oto_buffer_init(&names->tree, &oto_allocator_heap, TREE_MAX + 1);
}

void query_names_release(struct query_names *names)
{
    oto_buffer_release(&names->tree);
}

static const char *find(const char *text, const char *word)
{
    return strstr(text, word);
}

// The text up to the quote that ends it.
static struct oto_bytes take_quoted(const char *from)
{
    const char *at = from;
    while (*at && *at != '"')
        at += at[0] == '\\' && at[1] ? 2 : 1;
    return oto_bytes(from, (size_t)(at - from));
}

// Whether some column is referred to by this name, which is a table's: then a whole row is meant.
static int is_column(const char *tree, struct oto_bytes name)
{
    static const char list[] = "\"column_names\":[";
    for (const char *at = tree; (at = find(at, list)) != NULL;) {
        struct oto_bytes last = {0};
        for (at += sizeof(list) - 1; *at == '"' || *at == ','; at++)
            if (*at == '"') {
                last = take_quoted(at + 1);
                at += 1 + last.size;
            }
        if (oto_bytes_equal(last, name))
            return 1;
    }
    return 0;
}

// Tables begin with their type, {"type":"BASE_TABLE","alias":"t"; expressions with their class.
static int has_whole_rows(const char *tree)
{
    static const char type[] = "{\"type\":\"", alias[] = "\",\"alias\":\"",
                      table[] = "\"table_name\":\"";
    for (const char *at = tree; (at = find(at, type)) != NULL;) {
        at += sizeof(type) - 1;
        const char *after = at + strspn(at, "abcdefghijklmnopqrstuvwxyz_");
        if (strncmp(after, alias, sizeof(alias) - 1) == 0 &&
            is_column(tree, take_quoted(after + sizeof(alias) - 1)))
            return 1;
    }
    for (const char *at = tree; (at = find(at, table)) != NULL;) {
        at += sizeof(table) - 1;
        if (is_column(tree, take_quoted(at)))
            return 1;
    }
    return 0;
}

// Stars of all kinds, columns by their place, and functions written behind what may be a table.
static int may_see_others(const char *tree)
{
    static const char *const words[] = {
        "\"star\"",    "\"positional_reference\"", "\"pivot\"",    "\"show_ref\"",
        "\"natural\"", "\"column_name_alias\"",    "\"schema\":\""};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (find(tree, words[i]))
            return 1;
    return has_whole_rows(tree);
}

void query_names_set(struct query_names *names, struct oto_bytes tree)
{
    names->every = 1;
    names->tree.size = 0;
    if (tree.size >= TREE_MAX || oto_buffer_append(&names->tree, tree.data, tree.size) < 0 ||
        oto_buffer_append_byte(&names->tree, 0) < 0)
        return;
    for (size_t i = 0; i < tree.size; i++)
        names->tree.data[i] = (uint8_t)tolower(names->tree.data[i]);
    names->every = may_see_others((const char *)names->tree.data);
}

int query_names_have(const struct query_names *names, const char *name)
{
    char quoted[256] = "\"";
    size_t size = strlen(name);
    if (names->every || size > sizeof(quoted) - 3)
        return 1;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)name[i];
        if (byte < ' ' || byte >= 0x7f || byte == '"' || byte == '\\')
            return 1;
        quoted[1 + i] = (char)tolower(byte);
    }
    quoted[1 + size] = '"';
    return find((const char *)names->tree.data, quoted) != NULL;
}
