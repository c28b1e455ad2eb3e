// Every path that Otolith answers, once.
#include "api/api.h"

#define COLLECTOR "/opentelemetry.proto.collector."

const struct oto_route oto_routes[] = {
    {"POST", "/v1/logs", OTO_ROLE_INGEST, 0, SIZE_MAX, OTO_SIGNAL_LOGS, oto_otlp_begin,
     oto_otlp_handle},
    {"POST", "/v1/traces", OTO_ROLE_INGEST, 0, SIZE_MAX, OTO_SIGNAL_TRACES, oto_otlp_begin,
     oto_otlp_handle},
    {"POST", "/v1/metrics", OTO_ROLE_INGEST, 0, SIZE_MAX, OTO_SIGNAL_METRICS, oto_otlp_begin,
     oto_otlp_handle},
    {"POST", COLLECTOR "logs.v1.LogsService/Export", OTO_ROLE_INGEST, 1, SIZE_MAX, OTO_SIGNAL_LOGS,
     oto_otlp_begin, oto_otlp_handle},
    {"POST", COLLECTOR "trace.v1.TraceService/Export", OTO_ROLE_INGEST, 1, SIZE_MAX,
     OTO_SIGNAL_TRACES, oto_otlp_begin, oto_otlp_handle},
    {"POST", COLLECTOR "metrics.v1.MetricsService/Export", OTO_ROLE_INGEST, 1, SIZE_MAX,
     OTO_SIGNAL_METRICS, oto_otlp_begin, oto_otlp_handle},
    {"POST", "/grpc.health.v1.Health/Check", OTO_ROLE_ALL, 1, 4096, OTO_SIGNAL_COUNT, NULL,
     oto_health_check},
    {"POST", "/grpc.health.v1.Health/Watch", OTO_ROLE_ALL, 1, 4096, OTO_SIGNAL_COUNT, NULL,
     oto_health_watch},
    {"POST", "/api/v1/sql", OTO_ROLE_QUERY, 0, 1 << 20, OTO_SIGNAL_COUNT, oto_rest_begin,
     oto_rest_sql},
    {"GET", "/spans", OTO_ROLE_QUERY, 0, 0, OTO_SIGNAL_COUNT, NULL, oto_rest_spans},
    {"GET", "/health", OTO_ROLE_ALL, 0, 0, OTO_SIGNAL_COUNT, NULL, oto_admin_health},
    {"GET", "/ready", OTO_ROLE_ALL, 0, 0, OTO_SIGNAL_COUNT, NULL, oto_admin_ready},
    {"GET", "/metrics", OTO_ROLE_ADMIN, 0, 0, OTO_SIGNAL_COUNT, NULL, oto_admin_metrics},
    {"GET", "/", OTO_ROLE_ALL, 0, 0, OTO_SIGNAL_COUNT, NULL, oto_admin_index},
};
const size_t oto_route_count = sizeof(oto_routes) / sizeof(oto_routes[0]);
