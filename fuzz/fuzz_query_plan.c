// folders: query_plan
// Any text as the plan of a query: no scan of a table that is not there, no empty range, no
// condition without a column or a value; after a refusal no scan at all.
#include "query_plan.h"
#include <stdlib.h>

static volatile unsigned char seen;

static void must(int condition)
{
    if (!condition)
        abort();
}

static void look_at(struct oto_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        seen ^= bytes.data[i];
}

static void look_at_condition(const struct query_condition *c)
{
    must(c->column.size != 0);
    look_at(c->column);
    look_at(c->key);
    must(c->is_range ? c->min <= c->max : c->value_count != 0);
    for (size_t i = 0; !c->is_range && i < c->value_count; i++)
        look_at(c->values[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t table_count = 7;
    struct query_plan plan;
    query_plan_init(&plan);
    enum oto_status status = query_plan_read(&plan, oto_bytes(data, size), table_count);
    must(status >= 0 || !plan.scans);
    for (const struct query_scan *scan = plan.scans; scan; scan = scan->next) {
        must(scan->table < table_count);
        for (size_t i = 0; i < scan->count; i++)
            look_at_condition(&scan->conditions[i]);
        for (size_t i = 0; i < scan->word_count; i++) {
            must(scan->words[i].size != 0);
            look_at(scan->words[i]);
        }
    }
    query_plan_release(&plan);
    return 0;
}
