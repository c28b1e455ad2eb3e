#include "otlp/otlp_schema.h"
#include "wire/protobuf.h"

// clang-format off
#define NAMED(number_, name_, type_, flags_, oneof_) \
    .name = #name_ "\"", .name_size = sizeof #name_ - 1, .number = number_, \
    .type = OTO_OTLP_##type_, .flags = flags_, .oneof = oneof_
#define FIELD(number, name, type) {NAMED(number, name, type, 0, 0), .message = 0}
#define OPTIONAL(number, name, type) {NAMED(number, name, type, OTO_OTLP_PRESENCE, 0), .message = 0}
#define ONEOF(number, name, type) {NAMED(number, name, type, OTO_OTLP_PRESENCE, 1), .message = 0}
#define REPEATED(number, name, type) {NAMED(number, name, type, OTO_OTLP_REPEATED, 0), .message = 0}
#define PACKED(number, name, type) \
    {NAMED(number, name, type, OTO_OTLP_REPEATED | OTO_OTLP_PACKED, 0), .message = 0}
#define ENUM(number, name, of) {NAMED(number, name, ENUM, 0, 0), .names = &of}
#define MESSAGE(number, name, of) {NAMED(number, name, MESSAGE, OTO_OTLP_PRESENCE, 0), .message = &of}
#define ONEOF_MESSAGE(number, name, of) {NAMED(number, name, MESSAGE, OTO_OTLP_PRESENCE, 1), .message = &of}
#define MANY(number, name, of) {NAMED(number, name, MESSAGE, OTO_OTLP_REPEATED, 0), .message = &of}
// clang-format on

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DEFINE(id, title, index_)                                                                  \
    _Static_assert(COUNT(id##_fields) <= OTO_OTLP_FIELDS_MAX, "raise OTO_OTLP_FIELDS_MAX");        \
    _Static_assert(index_ < OTO_OTLP_MESSAGE_COUNT, "raise OTO_OTLP_MESSAGE_COUNT");               \
    static const struct oto_otlp_message id = {                                                    \
        .name = title, .fields = id##_fields, .field_count = COUNT(id##_fields), .index = index_}

#define SEVERITY(name)                                                                             \
    "SEVERITY_NUMBER_" name, "SEVERITY_NUMBER_" name "2", "SEVERITY_NUMBER_" name "3",             \
        "SEVERITY_NUMBER_" name "4"

static const char *const severity_number_names[] = {
    "SEVERITY_NUMBER_UNSPECIFIED",
    SEVERITY("TRACE"),
    SEVERITY("DEBUG"),
    SEVERITY("INFO"),
    SEVERITY("WARN"),
    SEVERITY("ERROR"),
    SEVERITY("FATAL"),
};
static const struct oto_otlp_enum severity_number = {severity_number_names,
                                                     COUNT(severity_number_names)};

static const char *const span_kind_names[] = {
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
};
static const struct oto_otlp_enum span_kind = {span_kind_names, COUNT(span_kind_names)};

static const char *const status_code_names[] = {
    "STATUS_CODE_UNSET",
    "STATUS_CODE_OK",
    "STATUS_CODE_ERROR",
};
static const struct oto_otlp_enum status_code = {status_code_names, COUNT(status_code_names)};

static const char *const aggregation_temporality_names[] = {
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
};
static const struct oto_otlp_enum aggregation_temporality = {aggregation_temporality_names,
                                                             COUNT(aggregation_temporality_names)};

// Messages that hold each other.
static const struct oto_otlp_message any_value, key_value;

static const struct oto_otlp_field array_value_fields[] = {
    MANY(1, values, any_value),
};
DEFINE(array_value, "ArrayValue", 0);

static const struct oto_otlp_field key_value_list_fields[] = {
    MANY(1, values, key_value),
};
DEFINE(key_value_list, "KeyValueList", 1);

static const struct oto_otlp_field any_value_fields[] = {
    ONEOF(1, stringValue, STRING),
    ONEOF(2, boolValue, BOOL),
    ONEOF(3, intValue, INT64),
    ONEOF(4, doubleValue, DOUBLE),
    ONEOF_MESSAGE(5, arrayValue, array_value),
    ONEOF_MESSAGE(6, kvlistValue, key_value_list),
    ONEOF(7, bytesValue, BYTES),
    ONEOF(8, stringValueStrindex, INT32),
};
DEFINE(any_value, "AnyValue", OTO_OTLP_ANY_VALUE);

static const struct oto_otlp_field key_value_fields[] = {
    FIELD(1, key, STRING),
    MESSAGE(2, value, any_value),
    FIELD(3, keyStrindex, INT32),
};
DEFINE(key_value, "KeyValue", OTO_OTLP_KEY_VALUE);

static const struct oto_otlp_field entity_ref_fields[] = {
    FIELD(1, schemaUrl, STRING),
    FIELD(2, type, STRING),
    REPEATED(3, idKeys, STRING),
    REPEATED(4, descriptionKeys, STRING),
};
DEFINE(entity_ref, "EntityRef", 4);

static const struct oto_otlp_field resource_fields[] = {
    MANY(1, attributes, key_value),
    FIELD(2, droppedAttributesCount, UINT32),
    MANY(3, entityRefs, entity_ref),
};
DEFINE(resource, "Resource", 5);

static const struct oto_otlp_field instrumentation_scope_fields[] = {
    FIELD(1, name, STRING),
    FIELD(2, version, STRING),
    MANY(3, attributes, key_value),
    FIELD(4, droppedAttributesCount, UINT32),
};
DEFINE(instrumentation_scope, "InstrumentationScope", 6);

static const struct oto_otlp_field log_record_fields[] = {
    FIELD(1, timeUnixNano, FIXED64),
    FIELD(11, observedTimeUnixNano, FIXED64),
    ENUM(2, severityNumber, severity_number),
    FIELD(3, severityText, STRING),
    MESSAGE(5, body, any_value),
    MANY(6, attributes, key_value),
    FIELD(7, droppedAttributesCount, UINT32),
    FIELD(8, flags, FIXED32),
    FIELD(9, traceId, ID),
    FIELD(10, spanId, ID),
    FIELD(12, eventName, STRING),
};
DEFINE(log_record, "LogRecord", 7);

static const struct oto_otlp_field scope_logs_fields[] = {
    MESSAGE(1, scope, instrumentation_scope),
    MANY(2, logRecords, log_record),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(scope_logs, "ScopeLogs", 8);

static const struct oto_otlp_field resource_logs_fields[] = {
    MESSAGE(1, resource, resource),
    MANY(2, scopeLogs, scope_logs),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(resource_logs, "ResourceLogs", 9);

static const struct oto_otlp_field export_logs_service_request_fields[] = {
    MANY(1, resourceLogs, resource_logs),
};
DEFINE(export_logs_service_request, "ExportLogsServiceRequest", 10);

static const struct oto_otlp_field span_event_fields[] = {
    FIELD(1, timeUnixNano, FIXED64),
    FIELD(2, name, STRING),
    MANY(3, attributes, key_value),
    FIELD(4, droppedAttributesCount, UINT32),
};
DEFINE(span_event, "Span.Event", 11);

static const struct oto_otlp_field span_link_fields[] = {
    FIELD(1, traceId, ID),
    FIELD(2, spanId, ID),
    FIELD(3, traceState, STRING),
    MANY(4, attributes, key_value),
    FIELD(5, droppedAttributesCount, UINT32),
    FIELD(6, flags, FIXED32),
};
DEFINE(span_link, "Span.Link", 12);

static const struct oto_otlp_field status_fields[] = {
    FIELD(2, message, STRING),
    ENUM(3, code, status_code),
};
DEFINE(status, "Status", 13);

static const struct oto_otlp_field span_fields[] = {
    FIELD(1, traceId, ID),
    FIELD(2, spanId, ID),
    FIELD(3, traceState, STRING),
    FIELD(4, parentSpanId, ID),
    FIELD(16, flags, FIXED32),
    FIELD(5, name, STRING),
    ENUM(6, kind, span_kind),
    FIELD(7, startTimeUnixNano, FIXED64),
    FIELD(8, endTimeUnixNano, FIXED64),
    MANY(9, attributes, key_value),
    FIELD(10, droppedAttributesCount, UINT32),
    MANY(11, events, span_event),
    FIELD(12, droppedEventsCount, UINT32),
    MANY(13, links, span_link),
    FIELD(14, droppedLinksCount, UINT32),
    MESSAGE(15, status, status),
};
DEFINE(span, "Span", 14);

static const struct oto_otlp_field scope_spans_fields[] = {
    MESSAGE(1, scope, instrumentation_scope),
    MANY(2, spans, span),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(scope_spans, "ScopeSpans", 15);

static const struct oto_otlp_field resource_spans_fields[] = {
    MESSAGE(1, resource, resource),
    MANY(2, scopeSpans, scope_spans),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(resource_spans, "ResourceSpans", 16);

static const struct oto_otlp_field export_trace_service_request_fields[] = {
    MANY(1, resourceSpans, resource_spans),
};
DEFINE(export_trace_service_request, "ExportTraceServiceRequest", 17);

static const struct oto_otlp_field exemplar_fields[] = {
    MANY(7, filteredAttributes, key_value),
    FIELD(2, timeUnixNano, FIXED64),
    ONEOF(3, asDouble, DOUBLE),
    ONEOF(6, asInt, SFIXED64),
    FIELD(4, spanId, ID),
    FIELD(5, traceId, ID),
};
DEFINE(exemplar, "Exemplar", 18);

static const struct oto_otlp_field number_data_point_fields[] = {
    MANY(7, attributes, key_value),  FIELD(2, startTimeUnixNano, FIXED64),
    FIELD(3, timeUnixNano, FIXED64), ONEOF(4, asDouble, DOUBLE),
    ONEOF(6, asInt, SFIXED64),       MANY(5, exemplars, exemplar),
    FIELD(8, flags, UINT32),
};
DEFINE(number_data_point, "NumberDataPoint", 19);

static const struct oto_otlp_field gauge_fields[] = {
    MANY(1, dataPoints, number_data_point),
};
DEFINE(gauge, "Gauge", 20);

static const struct oto_otlp_field sum_fields[] = {
    MANY(1, dataPoints, number_data_point),
    ENUM(2, aggregationTemporality, aggregation_temporality),
    FIELD(3, isMonotonic, BOOL),
};
DEFINE(sum, "Sum", 21);

static const struct oto_otlp_field histogram_data_point_fields[] = {
    MANY(9, attributes, key_value),    FIELD(2, startTimeUnixNano, FIXED64),
    FIELD(3, timeUnixNano, FIXED64),   FIELD(4, count, FIXED64),
    OPTIONAL(5, sum, DOUBLE),          PACKED(6, bucketCounts, FIXED64),
    PACKED(7, explicitBounds, DOUBLE), MANY(8, exemplars, exemplar),
    FIELD(10, flags, UINT32),          OPTIONAL(11, min, DOUBLE),
    OPTIONAL(12, max, DOUBLE),
};
DEFINE(histogram_data_point, "HistogramDataPoint", 22);

static const struct oto_otlp_field histogram_fields[] = {
    MANY(1, dataPoints, histogram_data_point),
    ENUM(2, aggregationTemporality, aggregation_temporality),
};
DEFINE(histogram, "Histogram", 23);

static const struct oto_otlp_field exponential_histogram_data_point_buckets_fields[] = {
    FIELD(1, offset, SINT32),
    PACKED(2, bucketCounts, UINT64),
};
DEFINE(exponential_histogram_data_point_buckets, "ExponentialHistogramDataPoint.Buckets", 24);

static const struct oto_otlp_field exponential_histogram_data_point_fields[] = {
    MANY(1, attributes, key_value),
    FIELD(2, startTimeUnixNano, FIXED64),
    FIELD(3, timeUnixNano, FIXED64),
    FIELD(4, count, FIXED64),
    OPTIONAL(5, sum, DOUBLE),
    FIELD(6, scale, SINT32),
    FIELD(7, zeroCount, FIXED64),
    MESSAGE(8, positive, exponential_histogram_data_point_buckets),
    MESSAGE(9, negative, exponential_histogram_data_point_buckets),
    FIELD(10, flags, UINT32),
    MANY(11, exemplars, exemplar),
    OPTIONAL(12, min, DOUBLE),
    OPTIONAL(13, max, DOUBLE),
    FIELD(14, zeroThreshold, DOUBLE),
};
DEFINE(exponential_histogram_data_point, "ExponentialHistogramDataPoint", 25);

static const struct oto_otlp_field exponential_histogram_fields[] = {
    MANY(1, dataPoints, exponential_histogram_data_point),
    ENUM(2, aggregationTemporality, aggregation_temporality),
};
DEFINE(exponential_histogram, "ExponentialHistogram", 26);

static const struct oto_otlp_field summary_data_point_value_at_quantile_fields[] = {
    FIELD(1, quantile, DOUBLE),
    FIELD(2, value, DOUBLE),
};
DEFINE(summary_data_point_value_at_quantile, "SummaryDataPoint.ValueAtQuantile", 27);

static const struct oto_otlp_field summary_data_point_fields[] = {
    MANY(7, attributes, key_value),  FIELD(2, startTimeUnixNano, FIXED64),
    FIELD(3, timeUnixNano, FIXED64), FIELD(4, count, FIXED64),
    FIELD(5, sum, DOUBLE),           MANY(6, quantileValues, summary_data_point_value_at_quantile),
    FIELD(8, flags, UINT32),
};
DEFINE(summary_data_point, "SummaryDataPoint", 28);

static const struct oto_otlp_field summary_fields[] = {
    MANY(1, dataPoints, summary_data_point),
};
DEFINE(summary, "Summary", 29);

static const struct oto_otlp_field metric_fields[] = {
    FIELD(1, name, STRING),
    FIELD(2, description, STRING),
    FIELD(3, unit, STRING),
    ONEOF_MESSAGE(5, gauge, gauge),
    ONEOF_MESSAGE(7, sum, sum),
    ONEOF_MESSAGE(9, histogram, histogram),
    ONEOF_MESSAGE(10, exponentialHistogram, exponential_histogram),
    ONEOF_MESSAGE(11, summary, summary),
    MANY(12, metadata, key_value),
};
DEFINE(metric, "Metric", 30);

static const struct oto_otlp_field scope_metrics_fields[] = {
    MESSAGE(1, scope, instrumentation_scope),
    MANY(2, metrics, metric),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(scope_metrics, "ScopeMetrics", 31);

static const struct oto_otlp_field resource_metrics_fields[] = {
    MESSAGE(1, resource, resource),
    MANY(2, scopeMetrics, scope_metrics),
    FIELD(3, schemaUrl, STRING),
};
DEFINE(resource_metrics, "ResourceMetrics", 32);

static const struct oto_otlp_field export_metrics_service_request_fields[] = {
    MANY(1, resourceMetrics, resource_metrics),
};
DEFINE(export_metrics_service_request, "ExportMetricsServiceRequest", 33);

const struct oto_otlp_message *oto_otlp_request(enum oto_signal signal)
{
    static const struct oto_otlp_message *const requests[OTO_SIGNAL_COUNT] = {
        [OTO_SIGNAL_LOGS] = &export_logs_service_request,
        [OTO_SIGNAL_TRACES] = &export_trace_service_request,
        [OTO_SIGNAL_METRICS] = &export_metrics_service_request,
    };
    return requests[signal];
}

uint32_t oto_otlp_wire(enum oto_otlp_type type)
{
    switch (type) {
    case OTO_OTLP_STRING:
    case OTO_OTLP_BYTES:
    case OTO_OTLP_ID:
    case OTO_OTLP_MESSAGE:
        return OTO_PB_BYTES;
    case OTO_OTLP_FIXED32:
        return OTO_PB_FIXED32;
    case OTO_OTLP_FIXED64:
    case OTO_OTLP_SFIXED64:
    case OTO_OTLP_DOUBLE:
        return OTO_PB_FIXED64;
    case OTO_OTLP_BOOL:
    case OTO_OTLP_INT32:
    case OTO_OTLP_UINT32:
    case OTO_OTLP_INT64:
    case OTO_OTLP_UINT64:
    case OTO_OTLP_SINT32:
    case OTO_OTLP_ENUM:
        break;
    }
    return OTO_PB_VARINT;
}
