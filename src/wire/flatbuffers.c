#include "wire/flatbuffers.h"

// Appends zeros up to the alignment, then `size` zeros more. Returns the position of these.
static size_t put_zeros(struct oto_flat_writer *w, size_t alignment, size_t size)
{
    if (w->status != OTO_OK)
        return 0;
    size_t position = w->output->size - w->start;
    size_t aligned = (position + alignment - 1) & ~(alignment - 1);
    size_t more = aligned - position + size;
    if (aligned > UINT32_MAX / 2 || size > UINT32_MAX / 2 - aligned) {
        w->status = OTO_TOO_LARGE;
        return 0;
    }
    w->status = oto_buffer_reserve(w->output, more);
    if (w->status != OTO_OK)
        return 0;
    memset(w->output->data + w->output->size, 0, more);
    w->output->size += more;
    return aligned;
}

static uint8_t *at(const struct oto_flat_writer *w, size_t position)
{
    return w->output->data + w->start + position;
}

static void point(struct oto_flat_writer *w, size_t reference, size_t target)
{
    if (w->status == OTO_OK)
        oto_store32(at(w, reference), (uint32_t)(target - reference));
}

size_t oto_flat_begin(struct oto_flat_writer *w, struct oto_buffer *output)
{
    *w = (struct oto_flat_writer){.output = output, .start = output->size};
    return put_zeros(w, 4, 4);
}

// Field offsets inside the table: larger fields first, so that no padding stands between them.
// Returns the size.
static size_t lay_out(const struct oto_flat_slot *slots, size_t count, uint16_t *offsets,
                      size_t *alignment)
{
    size_t size = 4; // the offset of the vtable
    for (unsigned width = 8; width; width /= 2) {
        for (size_t i = 0; i < count; i++) {
            if (slots[i].size_bytes != width)
                continue;
            size = (size + width - 1) & ~(size_t)(width - 1);
            offsets[i] = (uint16_t)size;
            size += width;
            *alignment = width > *alignment ? width : *alignment;
        }
    }
    return size;
}

size_t oto_flat_table(struct oto_flat_writer *w, size_t reference,
                      const struct oto_flat_slot *slots, size_t count)
{
    uint16_t offsets[OTO_FLAT_SLOTS_MAX] = {0};
    size_t alignment = 4;
    if (count > OTO_FLAT_SLOTS_MAX)
        w->status = OTO_INTERNAL;
    if (w->status != OTO_OK)
        return 0;
    size_t size = lay_out(slots, count, offsets, &alignment);
    size_t vtable = put_zeros(w, 2, 4 + 2 * count);
    size_t table = put_zeros(w, alignment, size);
    if (w->status != OTO_OK)
        return 0;
    oto_store16(at(w, vtable), (uint16_t)(4 + 2 * count));
    oto_store16(at(w, vtable + 2), (uint16_t)size);
    oto_store32(at(w, table), (uint32_t)(table - vtable));
    for (size_t i = 0; i < count; i++) {
        oto_store16(at(w, vtable + 4 + 2 * i), offsets[i]);
        memcpy(at(w, table + offsets[i]), &slots[i].value, offsets[i] ? slots[i].size_bytes : 0);
    }
    point(w, reference, table);
    return table;
}

size_t oto_flat_reference(const struct oto_flat_writer *w, size_t table, size_t slot)
{
    if (w->status != OTO_OK)
        return 0;
    size_t vtable = table - oto_load32(at(w, table));
    return table + oto_load16(at(w, vtable + 4 + 2 * slot));
}

void oto_flat_string(struct oto_flat_writer *w, size_t reference, struct oto_bytes text)
{
    size_t first = oto_flat_vector(w, reference, 1, text.size, 1);
    oto_flat_store(w, first, text.data, text.size);
    put_zeros(w, 1, 1);
}

size_t oto_flat_vector(struct oto_flat_writer *w, size_t reference, size_t element_size,
                       size_t count, size_t alignment)
{
    if (count > UINT32_MAX / 16)
        w->status = OTO_TOO_LARGE;
    if (alignment == 8) { // the elements are aligned, not the count that stands before them
        size_t end = put_zeros(w, 4, 0);
        if (end % 8 == 0)
            put_zeros(w, 4, 4);
    }
    size_t length = put_zeros(w, 4, 4);
    size_t first = put_zeros(w, 1, element_size * count);
    if (w->status != OTO_OK)
        return 0;
    oto_store32(at(w, length), (uint32_t)count);
    point(w, reference, length);
    return first;
}

void oto_flat_store(struct oto_flat_writer *w, size_t position, const void *data, size_t size)
{
    if (w->status == OTO_OK && size)
        memcpy(at(w, position), data, size);
}

enum oto_status oto_flat_finish(struct oto_flat_writer *w)
{
    put_zeros(w, 8, 0);
    return w->status;
}
