// otolith connect: configuration for clients, ready to be pasted.
#include "ask.h"
#include "options.h"

#include <stdio.h>
#include <string.h>

// In a text: @URL@ is the endpoint (http://127.0.0.1:4318), @ADDRESS@ its host and port, @INSECURE@
// "true" without TLS; the others are in insertions[].
#define VARIABLES                                                                                  \
    "export OTEL_SERVICE_NAME=my-service\n"                                                        \
    "export OTEL_EXPORTER_OTLP_ENDPOINT=@URL@\n"                                                   \
    "export OTEL_EXPORTER_OTLP_PROTOCOL=@PROTOCOL@\n"
#define EXPORTERS                                                                                  \
    "export OTEL_TRACES_EXPORTER=otlp\n"                                                           \
    "export OTEL_METRICS_EXPORTER=otlp\n"                                                          \
    "export OTEL_LOGS_EXPORTER=otlp\n"

static const char collector_text[] =
    "# OpenTelemetry Collector: takes OTLP on 14317 (gRPC) and 14318 (HTTP) and passes it on.\n"
    "# In a configuration of your own: the exporter, and its name in the pipelines.\n"
    "receivers:\n"
    "  otlp:\n"
    "    protocols:\n"
    "      grpc:\n"
    "        endpoint: 127.0.0.1:14317\n"
    "      http:\n"
    "        endpoint: 127.0.0.1:14318\n"
    "exporters:\n"
    "  # Since 0.144.0 the Collector's name for @NAME@ is @NEW_NAME@; it takes both, and logs that "
    "@NAME@ is\n"
    "  # deprecated. Older ones know @NAME@ only.\n"
    "@EXPORTER@"
    "    compression: zstd\n"
    "    retry_on_failure:\n"
    "      max_elapsed_time: 0s # tries until it is taken\n"
    "service:\n"
    "  pipelines:\n"
    "    traces:\n"
    "      receivers: [otlp]\n"
    "      exporters: [@NAME@/otolith]\n"
    "    metrics:\n"
    "      receivers: [otlp]\n"
    "      exporters: [@NAME@/otolith]\n"
    "    logs:\n"
    "      receivers: [otlp]\n"
    "      exporters: [@NAME@/otolith]\n";
static const char collector_grpc[] = "  otlp/otolith:\n"
                                     "    endpoint: \"@ADDRESS@\"\n"
                                     "    tls:\n"
                                     "      insecure: @INSECURE@\n";
static const char collector_http[] = "  otlphttp/otolith:\n"
                                     "    endpoint: \"@URL@\"\n";

static const char python_text[] =
    "# Python, without a change of the program:\n"
    "#   pip install opentelemetry-distro opentelemetry-exporter-otlp-proto-@TRANSPORT@ \\\n"
    "#       opentelemetry-instrumentation-logging  # sends logs from 0.61b0 on\n"
    "#   opentelemetry-bootstrap -a install         # for the libraries that the program "
    "uses\n" VARIABLES EXPORTERS "export OTEL_PYTHON_LOG_CODE_ATTRIBUTES=true\n"
    "#   opentelemetry-instrument python app.py\n";

static const char node_text[] =
    "# Node.js, without a change of the program:\n"
    "#   npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\n" VARIABLES
        EXPORTERS
    "export NODE_OPTIONS=\"--require @opentelemetry/auto-instrumentations-node/register\"\n"
    "#   node app.js\n";

static const char java_text[] =
    "# Java, without a change of the program: opentelemetry-javaagent.jar is published by\n"
    "# opentelemetry-java-instrumentation and as "
    "io.opentelemetry.javaagent:opentelemetry-javaagent\n" VARIABLES
    "export JAVA_TOOL_OPTIONS=\"-javaagent:opentelemetry-javaagent.jar\"\n"
    "#   java -jar app.jar\n";

static const char go_text[] =
    "// Go: telemetry.go. In main: stop, err := startTelemetry(ctx); defer stop(ctx). Then go mod "
    "tidy.\n"
    "package main\n"
    "\n"
    "import (\n"
    "\t\"context\"\n"
    "\t\"errors\"\n"
    "\n"
    "\t\"go.opentelemetry.io/otel\"\n"
    "\t\"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlplog@TRANSPORT@\"\n"
    "\t\"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetric@TRANSPORT@\"\n"
    "\t\"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptrace@TRANSPORT@\"\n"
    "\t\"go.opentelemetry.io/otel/log/global\"\n"
    "\t\"go.opentelemetry.io/otel/sdk/log\"\n"
    "\t\"go.opentelemetry.io/otel/sdk/metric\"\n"
    "\t\"go.opentelemetry.io/otel/sdk/resource\"\n"
    "\t\"go.opentelemetry.io/otel/sdk/trace\"\n"
    ")\n"
    "\n"
    "const telemetryEndpoint = \"@URL@\"\n"
    "\n"
    "// The service's name comes from OTEL_SERVICE_NAME.\n"
    "func startTelemetry(ctx context.Context) (func(context.Context) error, error) {\n"
    "\tspans, err := otlptrace@TRANSPORT@.New(ctx, "
    "otlptrace@TRANSPORT@.WithEndpointURL(telemetryEndpoint@TRACES@))\n"
    "\tif err != nil {\n"
    "\t\treturn nil, err\n"
    "\t}\n"
    "\tpoints, err := otlpmetric@TRANSPORT@.New(ctx, "
    "otlpmetric@TRANSPORT@.WithEndpointURL(telemetryEndpoint@METRICS@))\n"
    "\tif err != nil {\n"
    "\t\treturn nil, err\n"
    "\t}\n"
    "\trecords, err := otlplog@TRANSPORT@.New(ctx, "
    "otlplog@TRANSPORT@.WithEndpointURL(telemetryEndpoint@LOGS@))\n"
    "\tif err != nil {\n"
    "\t\treturn nil, err\n"
    "\t}\n"
    "\tattributes := resource.Default()\n"
    "\ttraces := trace.NewTracerProvider(trace.WithBatcher(spans), "
    "trace.WithResource(attributes))\n"
    "\tmetrics := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(points)), "
    "metric.WithResource(attributes))\n"
    "\tlogs := log.NewLoggerProvider(log.WithProcessor(log.NewBatchProcessor(records)), "
    "log.WithResource(attributes))\n"
    "\totel.SetTracerProvider(traces)\n"
    "\totel.SetMeterProvider(metrics)\n"
    "\tglobal.SetLoggerProvider(logs)\n"
    "\treturn func(ctx context.Context) error {\n"
    "\t\treturn errors.Join(traces.Shutdown(ctx), metrics.Shutdown(ctx), logs.Shutdown(ctx))\n"
    "\t}, nil\n"
    "}\n";

static const char grafana_text[] =
    "# Grafana: provisioning/datasources/otolith.yaml, for the Infinity plugin\n"
    "# (grafana cli plugins install yesoreyeram-infinity-datasource). Data sources for "
    "Prometheus,\n"
    "# Loki, Tempo and Jaeger do not work with Otolith yet.\n"
    "#\n"
    "# A query: type JSON, parser backend, source URL, method POST, URL @URL@/api/v1/sql,\n"
    "# body raw text with the SQL, header Content-Type: application/sql. For example\n"
    "#   SELECT time_bucket(INTERVAL 1 MINUTE, Timestamp) AS time, count(*) AS errors FROM logs\n"
    "#   WHERE SeverityNumber >= 17 GROUP BY 1 ORDER BY 1\n"
    "apiVersion: 1\n"
    "datasources:\n"
    "  - name: Otolith\n"
    "    type: yesoreyeram-infinity-datasource\n"
    "    access: proxy\n"
    "    url: @URL@\n"
    "    jsonData:\n"
    "      allowedHosts:\n"
    "        - @URL@\n";

static const char claude_code_text[] =
    "# Claude Code: metrics, and events as logs. Spans are a beta of it: add\n"
    "#   export CLAUDE_CODE_ENHANCED_TELEMETRY_BETA=1 OTEL_TRACES_EXPORTER=otlp\n"
    "# Prompts are left out unless OTEL_LOG_USER_PROMPTS=1 is set.\n"
    "export CLAUDE_CODE_ENABLE_TELEMETRY=1\n"
    "export OTEL_METRICS_EXPORTER=otlp\n"
    "export OTEL_LOGS_EXPORTER=otlp\n"
    "export OTEL_EXPORTER_OTLP_ENDPOINT=@URL@\n"
    "export OTEL_EXPORTER_OTLP_PROTOCOL=@PROTOCOL@\n"
    "#   claude\n";

static const char codex_text[] =
    "# Codex: for ~/.codex/config.toml. Prompts are left out unless log_user_prompt is true.\n"
    "[otel]\n"
    "environment = \"dev\"\n"
    "log_user_prompt = false\n"
    "exporter = { @CODEX_LOGS@ }\n"
    "trace_exporter = { @CODEX_TRACES@ }\n"
    "metrics_exporter = { @CODEX_METRICS@ }\n";

struct client {
    const char *name;
    const char *protocol; // where none is asked for
    const char *role;     // what it needs of the server
    const char *text;
};
static const struct client clients[] = {
    {"collector", "grpc", "ingest", collector_text},
    {"python", "http", "ingest", python_text},
    {"node", "http", "ingest", node_text},
    {"java", "http", "ingest", java_text},
    {"go", "http", "ingest", go_text},
    {"grafana", "http", "query", grafana_text},
    {"claude-code", "http", "ingest", claude_code_text},
    {"codex", "http", "ingest", codex_text},
};

// --- filling in ---

struct connection {
    char url[OTO_ASK_URL_MAX]; // without a slash at its end
    int is_grpc;
};

struct insertion {
    const char *name;
    const char *grpc, *http; // what stands for it; may hold other insertions
};
static const struct insertion insertions[] = {
    {"@PROTOCOL@", "grpc", "http/protobuf"},
    {"@TRANSPORT@", "grpc", "http"},
    {"@TRACES@", "", "+\"/v1/traces\""},
    {"@METRICS@", "", "+\"/v1/metrics\""},
    {"@LOGS@", "", "+\"/v1/logs\""},
    {"@EXPORTER@", collector_grpc, collector_http},
    {"@NAME@", "otlp", "otlphttp"},
    {"@NEW_NAME@", "otlp_grpc", "otlp_http"},
    {"@CODEX_TRACES@", "otlp-grpc = { endpoint = \"@URL@\" }",
     "otlp-http = { endpoint = \"@URL@/v1/traces\", protocol = \"binary\" }"},
    {"@CODEX_METRICS@", "otlp-grpc = { endpoint = \"@URL@\" }",
     "otlp-http = { endpoint = \"@URL@/v1/metrics\", protocol = \"binary\" }"},
    {"@CODEX_LOGS@", "otlp-grpc = { endpoint = \"@URL@\" }",
     "otlp-http = { endpoint = \"@URL@/v1/logs\", protocol = \"binary\" }"},
    {NULL, NULL, NULL}};

// What stands for the name at text, and the name's length; NULL: none begins there.
static const char *find_insertion(const struct connection *connection, const char *text,
                                  size_t *ret_size)
{
    const char *value = NULL;
    if (oto_text_begins_with(text, "@URL@"))
        value = connection->url;
    else if (oto_text_begins_with(text, "@ADDRESS@"))
        value = strstr(connection->url, "://") + 3;
    else if (oto_text_begins_with(text, "@INSECURE@"))
        value = oto_text_begins_with(connection->url, "https://") ? "false" : "true";
    for (const struct insertion *i = insertions; !value && i->name; i++)
        if (oto_text_begins_with(text, i->name))
            value = connection->is_grpc ? i->grpc : i->http;
    if (value)
        *ret_size = strcspn(text + 1, "@") + 2;
    return value;
}

static void print_filled(const struct connection *connection, const char *text)
{
    size_t size;
    for (; *text; text += size) {
        const char *value = find_insertion(connection, text, &size);
        if (!value) {
            size = 1;
            (void)putchar(*text);
        } else if (value == connection->url)
            (void)fputs(value, stdout);
        else
            print_filled(connection, value);
    }
}

// --- where to ---

static enum oto_status default_url(const char *data, const char *role,
                                   struct connection *connection, struct oto_error *err)
{
    enum oto_status status = oto_ask_url(data, role, connection->url, err);
    if (status != OTO_NOT_FOUND)
        return status;
    (void)snprintf(connection->url, sizeof(connection->url), "http://127.0.0.1:%d",
                   connection->is_grpc ? 4317 : 4318);
    return OTO_OK;
}

static int set_url(const char *endpoint, struct connection *connection)
{
    const char *host = oto_text_begins_with(endpoint, "http://")    ? endpoint + 7
                       : oto_text_begins_with(endpoint, "https://") ? endpoint + 8
                                                                    : "";
    size_t size = strlen(endpoint);
    while (size && endpoint[size - 1] == '/')
        size--;
    if (!*host || *host == '/' || size >= sizeof(connection->url) ||
        strcspn(endpoint, "\"'\\@ \n\t$`;&|()<>*?#~{}!") < size)
        return 0;
    (void)snprintf(connection->url, sizeof(connection->url), "%.*s", (int)size, endpoint);
    return 1;
}

// --- the command ---

struct values {
    const char *data, *endpoint, *protocol;
};

static const struct oto_option options[] = {
    {"endpoint", 0, OTO_OPTION_TEXT, offsetof(struct values, endpoint), "URL", NULL,
     "Where the clients reach the server: http://HOST:PORT or https://HOST:PORT. Default: the "
     "address of the server that runs on the data folder, where it serves what the client needs, "
     "else http://127.0.0.1:4317 for grpc and "
     "http://127.0.0.1:4318 for http."},
    {"protocol", 0, OTO_OPTION_CHOICE, offsetof(struct values, protocol), "PROTOCOL", "grpc|http",
     "OTLP over gRPC or over HTTP. Default: grpc for the collector, http for the others. Every "
     "port of Otolith takes both."},
    {"data", 0, OTO_OPTION_FOLDER, offsetof(struct values, data), "DIR", NULL,
     "The data folder. Default: OTOLITH_DATA, else ./otolith-data."},
    {0}};

static int wrong_use(const char *what)
{
    (void)fprintf(stderr, "otolith: %s\n", what);
    return 2;
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct values values = {0};
    struct connection connection;
    int count, status = oto_options_start(&oto_command_connect, argc, argv, &values, &count);
    if (status >= 0)
        return status;
    const struct client *client = NULL;
    for (size_t i = 0; count == 1 && i < sizeof(clients) / sizeof(clients[0]); i++)
        if (strcmp(clients[i].name, argv[0]) == 0)
            client = &clients[i];
    if (!client)
        return wrong_use("name one client: collector, python, node, java, go, grafana, "
                         "claude-code or codex");
    connection.is_grpc = strcmp(values.protocol ? values.protocol : client->protocol, "grpc") == 0;
    struct oto_error err;
    oto_error_init(&err);
    if (!values.endpoint &&
        default_url(oto_ask_folder(values.data), client->role, &connection, &err) < 0) {
        (void)fprintf(stderr, "otolith: %s; name its address with --endpoint\n", err.message);
        return 1;
    }
    if (values.endpoint && !set_url(values.endpoint, &connection))
        return wrong_use("--endpoint: http://HOST:PORT or https://HOST:PORT is expected, without "
                         "characters that a shell has a meaning for");
    print_filled(&connection, client->text);
    return oto_options_end_output();
}

const struct oto_command oto_command_connect = {
    .name = "connect",
    .arguments = "collector|python|node|java|go|grafana|claude-code|codex",
    .argument = OTO_ARGUMENT_CHOICE,
    .argument_choices = "collector|python|node|java|go|grafana|claude-code|codex",
    .help = "Print configuration that connects a client.",
    .text = "Prints what a client needs to send to the server, ready to be pasted: a configuration "
            "file for collector, grafana and codex, shell variables for python, node, java and "
            "claude-code, a source file for go.",
    .examples = "otolith connect collector > collector.yaml\n"
                "eval \"$(otolith connect python)\"\n"
                "otolith connect codex --protocol grpc >> ~/.codex/config.toml\n",
    .options = options,
    .run = run,
};
