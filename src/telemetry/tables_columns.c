// Every column of every table. Field ids never change and are never reused; a new column takes a
// new id. Ids in a table: 1-19 resource, 20-49 scope, 50-99 the record, 100-199 lists of structs
// and their parts, 500-999 promoted attributes; configured promotions come from 10000 on.
// clang-format off: one column a line reads as the table it is.
#include "telemetry/tables_columns.h"

#define N OTO_FIELD_NULLABLE
#define COUNT_OF(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

// A column, or a part of one (its level is then 0 and means nothing).
#define FIELD(id_, level_, type_, flags_, name_, doc_)                                             \
    {                                                                                              \
        .name = (name_), .id = (id_), .type = OTO_TYPE_##type_, .level = (level_),                 \
        .flags = (flags_), .doc = (doc_)                                                           \
    }
#define NESTED(id_, level_, type_, flags_, name_, parts_, doc_)                                    \
    {                                                                                              \
        .name = (name_), .id = (id_), .type = OTO_TYPE_##type_, .level = (level_),                 \
        .flags = (flags_), .child_count = COUNT_OF(parts_), .children = (parts_), .doc = (doc_)    \
    }
// From an attribute: null where that is absent or has another type.
#define PROMOTED_AS(id_, level_, type_, flags_, name_, attribute_)                                 \
    {                                                                                              \
        .name = (name_), .id = (id_), .type = OTO_TYPE_##type_, .level = (level_),                 \
        .flags = N | OTO_FIELD_PROMOTED | (flags_), .attribute = (attribute_),                     \
        .doc = "Attribute " attribute_ "."                                                         \
    }
#define PROMOTED(id_, level_, type_, name_, attribute_)                                            \
    PROMOTED_AS(id_, level_, type_, 0, name_, attribute_)
#define REST(id_, level_, name_)                                                                   \
    FIELD(id_, level_, INT32, N, name_ "NanoOfMicro",                                              \
          "Nanoseconds 0-999 past " name_ "; null: OTLP had no time there.")
#define TYPES(id_, level_, flags_, name_)                                                          \
    FIELD(id_, level_, STRING, flags_, name_ "Types",                                              \
          "What the text in " name_ " was: letters, an attribute after the other.")

// --- resource and scope: all tables, at different levels ---

#define RESOURCE_COLUMNS(at)                                                                       \
    {.name = "ServiceName",                                                                        \
     .id = 1,                                                                                      \
     .type = OTO_TYPE_STRING,                                                                      \
     .level = (at),                                                                                \
     .flags = OTO_FIELD_PROMOTED | OTO_FIELD_SORTED,                                               \
     .attribute = "service.name",                                                                  \
     .doc = "Resource attribute service.name; empty when absent or no string."},                   \
        FIELD(2, at, STRING, 0, "ResourceSchemaUrl", "Schema URL beside the resource."),           \
        FIELD(3, at, MAP, OTO_FIELD_BLOOM, "ResourceAttributes",                                   \
              "Attributes of the resource, as text."),                                             \
        FIELD(6, at, STRING, N, "ResourceAttributesTypes",                                         \
              "What the text in ResourceAttributes was; null: there was no resource."),            \
        FIELD(7, at, INT64, 0, "ResourceDroppedAttrCount",                                         \
              "Resource attributes that the sender dropped."),                                     \
        FIELD(8, at, STRING, N, "ResourceEntityRefs",                                              \
              "Entity references of the resource, as a JSON array; null: none.")

#define SCOPE_COLUMNS(at)                                                                          \
    FIELD(20, at, STRING, 0, "ScopeSchemaUrl", "Schema URL beside the scope."),                    \
        FIELD(21, at, STRING, 0, "ScopeName", "Name of the instrumentation scope."),               \
        FIELD(22, at, STRING, 0, "ScopeVersion", "Version of the instrumentation scope."),         \
        FIELD(23, at, MAP, 0, "ScopeAttributes", "Attributes of the scope, as text."),             \
        FIELD(26, at, STRING, N, "ScopeAttributesTypes",                                           \
              "What the text in ScopeAttributes was; null: there was no scope."),                  \
        FIELD(27, at, INT64, 0, "ScopeDroppedAttrCount",                                           \
              "Scope attributes that the sender dropped.")

#define RESOURCE_PROMOTED(at)                                                                      \
    PROMOTED(500, at, STRING, "ServiceNamespace", "service.namespace"),                            \
        PROMOTED_AS(501, at, STRING, OTO_FIELD_SORTED, "ServiceInstanceId",                        \
                    "service.instance.id"),                                                        \
        PROMOTED(502, at, STRING, "ServiceVersion", "service.version"),                            \
        PROMOTED(503, at, STRING, "DeploymentEnvironmentName", "deployment.environment.name"),     \
        PROMOTED(504, at, STRING, "HostName", "host.name"),                                        \
        PROMOTED(505, at, STRING, "K8sNamespaceName", "k8s.namespace.name"),                       \
        PROMOTED(506, at, STRING, "K8sPodName", "k8s.pod.name"),                                   \
        PROMOTED(507, at, STRING, "K8sDeploymentName", "k8s.deployment.name"),                     \
        PROMOTED(508, at, STRING, "K8sNodeName", "k8s.node.name")

static const struct oto_field row_resource[] = {RESOURCE_COLUMNS(2), SCOPE_COLUMNS(1)};
static const struct oto_field row_resource_promoted[] = {RESOURCE_PROMOTED(2)};
static const struct oto_field point_resource[] = {RESOURCE_COLUMNS(4), SCOPE_COLUMNS(3)};
static const struct oto_field point_resource_promoted[] = {RESOURCE_PROMOTED(4)};

// --- logs ---

static const struct oto_field log_columns[] = {
    FIELD(50, 0, TIME, OTO_FIELD_SORTED, "Timestamp",
          "When it happened; without that, when it was observed or received."),
    REST(51, 0, "Timestamp"),
    FIELD(52, 0, TIME, OTO_FIELD_SORTED, "ObservedTimestamp",
          "When it was observed; without that, when it was received."),
    REST(53, 0, "ObservedTimestamp"),
    FIELD(54, 0, ID16, OTO_FIELD_BLOOM, "TraceId", "Trace it belongs to; empty: none."),
    FIELD(55, 0, ID8, OTO_FIELD_BLOOM, "SpanId", "Span it belongs to; empty: none."),
    FIELD(56, 0, INT64, 0, "TraceFlags", "LogRecord.flags, 32 bits."),
    FIELD(57, 0, STRING, 0, "SeverityText", "Severity as its source names it."),
    FIELD(58, 0, INT32, 0, "SeverityNumber", "Severity 1-24; 0: unspecified."),
    FIELD(59, 0, STRING, 0, "Body", "The body, as text."),
    FIELD(60, 0, STRING, N, "BodyType", "What the text in Body was; null: there was no body."),
    FIELD(61, 0, MAP, OTO_FIELD_BLOOM, "LogAttributes", "Attributes of the record, as text."),
    TYPES(64, 0, 0, "LogAttributes"),
    FIELD(65, 0, INT64, 0, "LogDroppedAttrCount", "Attributes that the sender dropped."),
    FIELD(66, 0, STRING, 0, "EventName", "Name of the event; empty: the record is none."),
};
static const struct oto_field log_promoted[] = {
    PROMOTED(520, 0, STRING, "ExceptionType", "exception.type"),
    PROMOTED(521, 0, STRING, "ErrorType", "error.type"),
};

// --- traces ---

static const struct oto_field event_parts[] = {
    FIELD(102, 0, TIME, 0, "Timestamp", "When it happened."),
    REST(103, 0, "Timestamp"),
    FIELD(104, 0, STRING, 0, "Name", "Name of the event."),
    FIELD(105, 0, MAP, 0, "Attributes", "Attributes of the event, as text."),
    TYPES(108, 0, 0, "Attributes"),
    FIELD(109, 0, INT64, 0, "DroppedAttrCount", "Attributes that the sender dropped."),
};
static const struct oto_field link_parts[] = {
    FIELD(122, 0, ID16, 0, "TraceId", "Trace of the linked span."),
    FIELD(123, 0, ID8, 0, "SpanId", "The linked span."),
    FIELD(124, 0, STRING, 0, "TraceState", "W3C trace state of the link."),
    FIELD(125, 0, MAP, 0, "Attributes", "Attributes of the link, as text."),
    TYPES(128, 0, 0, "Attributes"),
    FIELD(129, 0, INT64, 0, "DroppedAttrCount", "Attributes that the sender dropped."),
    FIELD(130, 0, INT64, 0, "Flags", "Link.flags, 32 bits."),
};
static const struct oto_field span_columns[] = {
    FIELD(50, 0, TIME, OTO_FIELD_SORTED, "Timestamp",
          "When the span began; without that, when it ended or was received."),
    REST(51, 0, "Timestamp"),
    FIELD(52, 0, INT64, N, "Duration",
          "Nanoseconds from start to end, modulo 2^64; null: OTLP had no end."),
    FIELD(53, 0, ID16, OTO_FIELD_BLOOM, "TraceId", "The trace."),
    FIELD(54, 0, ID8, OTO_FIELD_BLOOM, "SpanId", "The span."),
    FIELD(55, 0, ID8, 0, "ParentSpanId", "The span it is a child of; empty: a root."),
    FIELD(56, 0, STRING, 0, "TraceState", "W3C trace state."),
    FIELD(57, 0, STRING, OTO_FIELD_SORTED, "SpanName", "Name of the operation."),
    FIELD(58, 0, STRING, 0, "SpanKind",
          "Unspecified, Internal, Server, Client, Producer, Consumer, or an unknown number."),
    FIELD(59, 0, MAP, OTO_FIELD_BLOOM, "SpanAttributes", "Attributes of the span, as text."),
    TYPES(62, 0, 0, "SpanAttributes"),
    FIELD(63, 0, INT64, 0, "SpanDroppedAttrCount", "Attributes that the sender dropped."),
    FIELD(64, 0, INT64, 0, "SpanFlags", "Span.flags, 32 bits."),
    FIELD(65, 0, STRING, 0, "StatusCode", "Unset, Ok, Error, or an unknown number."),
    FIELD(66, 0, STRING, N, "StatusMessage", "Message of the status; null: there was no status."),
    NESTED(100, 0, STRUCTS, 0, "Events", event_parts, "What happened during the span."),
    FIELD(67, 0, INT64, 0, "EventsDroppedCount", "Events that the sender dropped."),
    NESTED(120, 0, STRUCTS, 0, "Links", link_parts, "Spans it points to."),
    FIELD(68, 0, INT64, 0, "LinksDroppedCount", "Links that the sender dropped."),
};
static const struct oto_field span_promoted[] = {
    PROMOTED(540, 0, STRING, "HttpRequestMethod", "http.request.method"),
    PROMOTED(541, 0, INT64, "HttpResponseStatusCode", "http.response.status_code"),
    PROMOTED(542, 0, STRING, "HttpRoute", "http.route"),
    PROMOTED(543, 0, STRING, "UrlPath", "url.path"),
    PROMOTED(544, 0, STRING, "ServerAddress", "server.address"),
    PROMOTED(545, 0, STRING, "DbSystemName", "db.system.name"),
    PROMOTED(546, 0, STRING, "RpcSystem", "rpc.system"),
    PROMOTED(547, 0, STRING, "MessagingSystem", "messaging.system"),
    PROMOTED(548, 0, STRING, "ErrorType", "error.type"),
};

// --- metrics: the same id for the same column in all five tables ---

static const struct oto_field metric_columns[] = {
    FIELD(50, 2, STRING, OTO_FIELD_SORTED, "MetricName", "Name of the metric."),
    FIELD(51, 2, STRING, 0, "MetricDescription", "What the metric tells."),
    FIELD(52, 2, STRING, 0, "MetricUnit", "Its unit, in UCUM."),
    FIELD(53, 2, MAP, 0, "MetricMetadata", "Metadata of the metric, as text."),
    TYPES(56, 2, 0, "MetricMetadata"),
    FIELD(60, 1, MAP, OTO_FIELD_BLOOM, "Attributes", "Attributes of the series, as text."),
    TYPES(63, 1, 0, "Attributes"),
    FIELD(64, 1, STRING, OTO_FIELD_BLOOM | OTO_FIELD_SORTED, "SeriesId",
          "32 hex digits: hash of resource, scope, metric and attributes."),
    FIELD(70, 0, TIME, OTO_FIELD_SORTED, "StartTimeUnix", "Since when the point counts."),
    REST(71, 0, "StartTimeUnix"),
    FIELD(72, 0, TIME, OTO_FIELD_SORTED, "TimeUnix",
          "When the point was taken; without that, when it was received."),
    REST(73, 0, "TimeUnix"),
    FIELD(74, 0, INT64, 0, "Flags", "DataPoint.flags, 32 bits; 1: no recorded value."),
};
static const struct oto_field metric_promoted[] = {
    PROMOTED(560, 1, STRING, "HttpRequestMethod", "http.request.method"),
    PROMOTED(561, 1, INT64, "HttpResponseStatusCode", "http.response.status_code"),
    PROMOTED(562, 1, STRING, "HttpRoute", "http.route"),
};

static const struct oto_field exemplar_parts[] = {
    FIELD(112, 0, MAP, 0, "FilteredAttributes", "Attributes that the series lacks, as text."),
    TYPES(115, 0, 0, "FilteredAttributes"),
    FIELD(116, 0, TIME, 0, "TimeUnix", "When it was taken."),
    REST(117, 0, "TimeUnix"),
    FIELD(118, 0, DOUBLE, N, "Value", "The value; null: none was set."),
    FIELD(119, 0, INT64, N, "ValueInt", "The value where it was an integer."),
    FIELD(120, 0, ID8, 0, "SpanId", "Span it was taken in; empty: none."),
    FIELD(121, 0, ID16, 0, "TraceId", "Trace it was taken in; empty: none."),
};
static const struct oto_field number_columns[] = {
    FIELD(75, 0, DOUBLE, N, "Value", "The value; null: none was set."),
    FIELD(76, 0, INT64, N, "ValueInt", "The value where it was an integer."),
    NESTED(110, 0, STRUCTS, 0, "Exemplars", exemplar_parts, "Samples with their trace."),
};
static const struct oto_field sum_columns[] = {
    FIELD(57, 2, INT32, 0, "AggregationTemporality", "0 unspecified, 1 delta, 2 cumulative."),
    FIELD(58, 2, BOOL, 0, "IsMonotonic", "The sum never falls."),
};
static const struct oto_field exemplar_and_temporality[] = {
    NESTED(110, 0, STRUCTS, 0, "Exemplars", exemplar_parts, "Samples with their trace."),
    FIELD(57, 2, INT32, 0, "AggregationTemporality", "0 unspecified, 1 delta, 2 cumulative."),
};
static const struct oto_field count_part[] = {FIELD(83, 0, INT64, 0, "element", "A count.")};
static const struct oto_field bound_part[] = {FIELD(85, 0, DOUBLE, 0, "element", "A bound.")};
static const struct oto_field histogram_columns[] = {
    FIELD(80, 0, INT64, 0, "Count", "Number of values."),
    FIELD(81, 0, DOUBLE, N, "Sum", "Sum of values; null: not set."),
    NESTED(82, 0, LIST, 0, "BucketCounts", count_part, "Values in each bucket."),
    NESTED(84, 0, LIST, 0, "ExplicitBounds", bound_part, "Upper bounds of all buckets but one."),
    FIELD(86, 0, DOUBLE, N, "Min", "Least value; null: not set."),
    FIELD(87, 0, DOUBLE, N, "Max", "Greatest value; null: not set."),
};
static const struct oto_field positive_part[] = {FIELD(94, 0, INT64, 0, "element", "A count.")};
static const struct oto_field negative_part[] = {FIELD(97, 0, INT64, 0, "element", "A count.")};
static const struct oto_field exponential_columns[] = {
    FIELD(80, 0, INT64, 0, "Count", "Number of values."),
    FIELD(81, 0, DOUBLE, N, "Sum", "Sum of values; null: not set."),
    FIELD(90, 0, INT32, 0, "Scale", "Bucket boundaries are powers of 2^(2^-Scale)."),
    FIELD(91, 0, INT64, 0, "ZeroCount", "Values within ZeroThreshold of zero."),
    FIELD(92, 0, INT32, N, "PositiveOffset", "Index of the first bucket; null: no buckets."),
    NESTED(93, 0, LIST, 0, "PositiveBucketCounts", positive_part, "Values in each bucket."),
    FIELD(95, 0, INT32, N, "NegativeOffset", "Index of the first bucket; null: no buckets."),
    NESTED(96, 0, LIST, 0, "NegativeBucketCounts", negative_part, "Values in each bucket."),
    FIELD(86, 0, DOUBLE, N, "Min", "Least value; null: not set."),
    FIELD(87, 0, DOUBLE, N, "Max", "Greatest value; null: not set."),
    FIELD(98, 0, DOUBLE, 0, "ZeroThreshold", "Half the width of the zero bucket."),
};
static const struct oto_field quantile_parts[] = {
    FIELD(102, 0, DOUBLE, 0, "Quantile", "From 0.0, the least, to 1.0, the greatest."),
    FIELD(103, 0, DOUBLE, 0, "Value", "The value at that quantile."),
};
static const struct oto_field summary_columns[] = {
    FIELD(80, 0, INT64, 0, "Count", "Number of values."),
    FIELD(81, 0, DOUBLE, 0, "Sum", "Sum of values."),
    NESTED(100, 0, STRUCTS, 0, "ValueAtQuantiles", quantile_parts, "Values at quantiles."),
};

// --- the tables ---

static const char *const log_order[] = {"ServiceName", "ServiceInstanceId", "Timestamp"};
static const char *const span_order[] = {"ServiceName", "SpanName", "ServiceInstanceId",
                                         "Timestamp"};
static const char *const metric_order[] = {"MetricName", "SeriesId", "TimeUnix"};

#define GROUP(array)                                                                               \
    {                                                                                              \
        array, COUNT_OF(array)                                                                     \
    }
#define METRICS(folder_, name_, ...)                                                               \
    {                                                                                              \
        .folder = "metrics/" folder_, .name = "otel_metrics_" name_, .signal = OTO_SIGNAL_METRICS, \
        .level_count = 5, .record_level = 1, .sorted_by = metric_order,                            \
        .sorted_by_count = COUNT_OF(metric_order), .time_column = "TimeUnix", .groups = {          \
            GROUP(point_resource),                                                                 \
            GROUP(metric_columns),                                                                 \
            __VA_ARGS__,                                                                           \
            GROUP(point_resource_promoted),                                                        \
            GROUP(metric_promoted)                                                                 \
        }                                                                                          \
    }

const struct oto_table_definition oto_table_definitions[OTO_TABLE_COUNT] = {
    [OTO_TABLE_LOGS] = {.folder = "logs",
                        .name = "otel_logs",
                        .signal = OTO_SIGNAL_LOGS,
                        .level_count = 3,
                        .record_level = 0,
                        .sorted_by = log_order,
                        .sorted_by_count = COUNT_OF(log_order),
                        .time_column = "Timestamp",
                        .groups = {GROUP(log_columns), GROUP(row_resource),
                                   GROUP(row_resource_promoted), GROUP(log_promoted)}},
    [OTO_TABLE_TRACES] = {.folder = "traces",
                          .name = "otel_traces",
                          .signal = OTO_SIGNAL_TRACES,
                          .level_count = 3,
                          .record_level = 0,
                          .sorted_by = span_order,
                          .sorted_by_count = COUNT_OF(span_order),
                          .time_column = "Timestamp",
                          .groups = {GROUP(span_columns), GROUP(row_resource),
                                     GROUP(row_resource_promoted), GROUP(span_promoted)}},
    [OTO_TABLE_GAUGE] = METRICS("gauge", "gauge", GROUP(number_columns)),
    [OTO_TABLE_SUM] = METRICS("sum", "sum", GROUP(number_columns), GROUP(sum_columns)),
    [OTO_TABLE_HISTOGRAM] = METRICS("histogram", "histogram", GROUP(histogram_columns),
                                    GROUP(exemplar_and_temporality)),
    [OTO_TABLE_EXPONENTIAL_HISTOGRAM] =
        METRICS("exponential_histogram", "exponential_histogram", GROUP(exponential_columns),
                GROUP(exemplar_and_temporality)),
    [OTO_TABLE_SUMMARY] = METRICS("summary", "summary", GROUP(summary_columns)),
};
