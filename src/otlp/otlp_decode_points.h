// Data points: what otlp_decode_metrics.c (metrics, series) and otlp_decode_points.c (rows) ask of
// each other.
#ifndef OTO_OTLP_OTLP_DECODE_POINTS_H
#define OTO_OTLP_OTLP_DECODE_POINTS_H

#include "otlp/otlp_decode_internal.h"

// The series of a metric with these attributes: whole fields, tags included. tag: that of an
// attribute.
OTO_MUST_CHECK enum oto_status
oto_otlp_series_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t, uint32_t metric_index,
                      struct oto_bytes attributes, uint32_t tag, uint32_t *ret_index);

// Senders repeat their series in the same order: the attributes of the one after the last, when it
// is of this metric.
static inline struct oto_bytes oto_otlp_series_expected(const struct oto_otlp_table *t,
                                                        uint32_t metric_index)
{
    const struct oto_level *level = &t->builder->levels[1];
    if (t->series_hint >= level->count || level->link[t->series_hint] != metric_index)
        return (struct oto_bytes){NULL, 0};
    struct oto_bytes id = level->identity.entries[t->series_hint];
    return oto_bytes(id.data + sizeof metric_index, id.size - sizeof metric_index);
}

// One point of a metric of a kind (its field in Metric) into a row. c: the point.
OTO_MUST_CHECK enum oto_status oto_otlp_point_read(struct oto_otlp_decoder *d,
                                                   struct oto_otlp_table *t, uint32_t kind,
                                                   uint32_t metric_index, struct oto_pb_cursor *c);

#endif
