// Values of large dictionaries, looked up some at a time. A look-up misses the cache three times,
// each time knowing where only when the one before has arrived: the slot, the entry, its text. Put
// off until there are several, they wait together, and the slots have been fetched meanwhile.
#include "otlp/otlp_decode_internal.h"

// Where the value's code is missing in a promoted column: there it is appended as 0. 1: done. In a
// column without an array there would be nothing to put the code into once its window has moved on.
static int promote(struct oto_otlp_sink *s, uint32_t index, uint8_t letter,
                   struct oto_otlp_later *later)
{
    struct oto_otlp_promoted *p = &s->promoted[index];
    if (p->column->window || !p->column->capacity)
        return 0;
    if (!p->is_lazy || p->takes != OTO_OTLP_ANY_STRING || letter != 's' || p->stamp == s->stamp)
        return 0;
    p->column_code = 0;
    if (oto_otlp_append_lazy(s, p, &later->promoted_index) < 0)
        return 0;
    p->stamp = s->stamp;
    p->kind = OTO_OTLP_ANY_STRING;
    later->promoted = p->column;
    return 1;
}

int oto_otlp_later(struct oto_otlp_decoder *d, struct oto_otlp_sink *s, uint32_t key_code,
                   struct oto_bytes message, struct oto_bytes text, uint8_t letter,
                   uint32_t value_index)
{
    const struct oto_dictionary *dictionary = s->values->dictionary;
    struct oto_otlp_key *key = &s->known[key_code];
    if (dictionary->slot_count < OTO_OTLP_LATER_SLOTS || !dictionary->slots ||
        oto_otlp_is_blind(&key->news))
        return 0;
    if (d->later_count == OTO_OTLP_LATER_MAX && oto_otlp_later_settle(d) < 0)
        d->later_failed = 1;
    struct oto_otlp_later *later = &d->later[d->later_count];
    later->promoted = NULL;
    if (key->promoted && !promote(s, key->promoted - 1, letter, later))
        return 0;
    later->sink = s;
    later->key_code = key_code;
    later->value_index = value_index;
    later->message = message;
    later->text = text;
    later->hash = oto_dictionary_hash(dictionary, text);
    if (letter != 's') {
        memcpy(later->digits, text.data, sizeof later->digits); // of the writer's scalar: as long
        later->text.data = (const uint8_t *)later->digits;
    }
    oto_dictionary_fetch_slot(dictionary, later->hash);
    if (later->promoted)
        oto_dictionary_fetch_slot(later->promoted->dictionary, later->hash);
    key->news.blind = 0; // the next of its values need not be looked up, too
    d->later_count++;
    return 1;
}

static enum oto_status settle(struct oto_otlp_decoder *d, const struct oto_otlp_later *later)
{
    struct oto_otlp_sink *s = later->sink;
    struct oto_dictionary *dictionary = s->values->dictionary;
    uint32_t count = dictionary->count, code;
    uint64_t repaired = d->result.utf8_repaired;
    OTO_TRY(oto_otlp_code_fetched(d, dictionary, later->text, later->hash, later->code, &code));
    ((uint32_t *)s->values->values)[later->value_index] = code;
    oto_otlp_looked_up(&s->known[later->key_code].news, dictionary->count != count);
    if (dictionary->count == count && d->result.utf8_repaired == repaired)
        oto_otlp_value_keep(d, s, later->message, later->key_code, code);
    if (!later->promoted)
        return OTO_OK;
    struct oto_bytes text = dictionary->entries[code];
    if (d->result.utf8_repaired != repaired)
        OTO_TRY(oto_otlp_code_lookup(d, later->promoted->dictionary, text, &code));
    else
        OTO_TRY(oto_otlp_code_fetched(d, later->promoted->dictionary, text, later->hash,
                                      later->promoted_code, &code));
    ((uint32_t *)later->promoted->values)[later->promoted_index] = code;
    return OTO_OK;
}

enum oto_status oto_otlp_later_settle(struct oto_otlp_decoder *d)
{
    struct oto_otlp_later *end = d->later + d->later_count;
    for (struct oto_otlp_later *l = d->later; l < end; l++) {
        l->code = oto_dictionary_fetch_entry(l->sink->values->dictionary, l->hash);
        if (l->promoted)
            l->promoted_code = oto_dictionary_fetch_entry(l->promoted->dictionary, l->hash);
    }
    for (const struct oto_otlp_later *l = d->later; l < end; l++) {
        oto_dictionary_fetch_bytes(l->sink->values->dictionary, l->code);
        if (l->promoted)
            oto_dictionary_fetch_bytes(l->promoted->dictionary, l->promoted_code);
    }
    d->later_count = 0;
    for (const struct oto_otlp_later *l = d->later; l < end; l++)
        OTO_TRY(settle(d, l));
    return d->later_failed ? OTO_NO_MEMORY : OTO_OK;
}
