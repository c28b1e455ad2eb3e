// Data points: what otlp_decode_metrics.c (metrics, series) and otlp_decode_points.c (rows) ask of each other.
#ifndef OTO_OTLP_OTLP_DECODE_POINTS_H
#define OTO_OTLP_OTLP_DECODE_POINTS_H

#include "otlp/otlp_decode_internal.h"

// The series of a metric with these attributes: whole fields, tags included. tag: that of an attribute.
OTO_MUST_CHECK enum oto_status oto_otlp_series_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                                     uint32_t metric_index, struct oto_bytes attributes, uint32_t tag,
                                                     uint32_t *ret_index);

// One point of a metric of a kind (its field in Metric) into a row. c: the point.
OTO_MUST_CHECK enum oto_status oto_otlp_point_read(struct oto_otlp_decoder *d, struct oto_otlp_table *t, uint32_t kind,
                                                   uint32_t metric_index, struct oto_pb_cursor *c);

#endif
