"""What `otolith connect` prints, pasted into each client as it stands. Clients that install quickly run in `make test`,
the others (mark clients) by `make test-clients`."""

import os
import pathlib
import re
import subprocess
import textwrap

import httpx
import pytest

from harness import ROOT, binary, plain_environment

PROTOCOLS = pytest.mark.parametrize("protocol", ["grpc", "http"])
SENT = 10


def connect(client, *args, data=None) -> str:
    args = [*args, *(["--data", str(data)] if data else [])]
    done = subprocess.run(
        [binary(), "connect", client, *args], capture_output=True, text=True, check=True, env=plain_environment()
    )
    assert done.stderr == "" and "@" not in re.sub("@opentelemetry|@latest", "", done.stdout)
    return done.stdout


def client_program(name) -> pathlib.Path:
    done = subprocess.run([ROOT / "tools/clients" / name], stdout=subprocess.PIPE, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def paste(script: str, *command, cwd, **environment):
    """Runs a command in a shell into which the script was pasted; nothing of this process's environment steers it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OTOLITH_", "JAVA_", "NODE_"))
    }
    subprocess.run(
        ["bash", "-c", script + '\nexec "$@"', "bash", *command],
        cwd=cwd,
        env=kept | environment,
        check=True,
        timeout=200,
        stdin=subprocess.DEVNULL,
    )


def counts(server, service) -> dict[str, int]:
    return {
        view: server.sql(f"SELECT count(*) AS n FROM {view} WHERE ServiceName = $service", {"service": service})[0]["n"]
        for view in ("logs", "traces", "metrics")
    }


# The text


def test_the_address_is_that_of_the_running_server(server, tmp_path):
    one = server()
    for address in (
        connect("python", data=one.data),
        connect("codex", data=one.data),
        connect("claude-code", data=one.data),
    ):
        assert "http://" + one.addresses[0] in address
    one.stop()
    assert "ENDPOINT=http://127.0.0.1:4318\n" in connect("python", data=one.data)
    assert "ENDPOINT=http://127.0.0.1:4317\n" in connect("python", "--protocol", "grpc", data=one.data)
    ports = server(listen=("0.0.0.0:0,query", "0.0.0.0:0,ingest"))
    port = ports.addresses[1].rsplit(":", 1)[1]
    assert f"ENDPOINT=http://127.0.0.1:{port}\n" in connect(
        "node", data=ports.data
    ), "where ingest is served, by loopback"
    port = ports.addresses[0].rsplit(":", 1)[1]
    assert f"    url: http://127.0.0.1:{port}\n" in connect("grafana", data=ports.data), "where queries are answered"


def test_a_server_without_what_the_client_needs_is_no_address(server, tmp_path):
    one = server("--listen", f"unix:{tmp_path}/s", listen=("127.0.0.1:0,query",))
    for client, status in (("python", 1), ("grafana", 0)):
        done = subprocess.run(
            [binary(), "connect", client, "--data", one.data],
            capture_output=True,
            text=True,
            check=False,
            env=plain_environment(),
        )
        assert done.returncode == status and bool(done.stdout) == (status == 0)
        assert ("with the role ingest; name its address with --endpoint" in done.stderr) == (status == 1)


def test_an_endpoint_of_ones_own():
    assert 'endpoint: "otel.example.com:443"\n    tls:\n      insecure: false' in connect(
        "collector", "--endpoint", "https://otel.example.com:443/"
    )
    assert 'endpoint: "https://otel.example.com/otlp"' in connect(
        "collector", "--protocol", "http", "--endpoint", "https://otel.example.com/otlp/"
    )
    for wrong in ("otel:4317", "ftp://x", "http://", "http://a b", 'http://a"b', "http://$(id)", "http://a/b;id", "http://a?b=1&c"):
        done = subprocess.run(
            [binary(), "connect", "python", "--endpoint", wrong], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2 and done.stdout == "" and "--endpoint" in done.stderr
    assert subprocess.run([binary(), "connect", "perl"], capture_output=True, check=False).returncode == 2


# The clients


@PROTOCOLS
def test_a_collector_takes_both_names_of_the_exporter(judge, tmp_path, protocol):
    text = connect("collector", "--protocol", protocol, data=tmp_path)
    old, new = re.search(r"# Since 0\.144\.0 the Collector's name for (\w+) is (\w+);", text).groups()
    assert f"[{old}/otolith]" in text and (old, new) == {
        "grpc": ("otlp", "otlp_grpc"),
        "http": ("otlphttp", "otlp_http"),
    }[protocol]
    for name in (old, new):
        config = tmp_path / f"{name}.yaml"
        config.write_text(text.replace(f"{old}/otolith", f"{name}/otolith"))
        done = subprocess.run(
            [judge("otelcol"), "validate", "--config", config], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr


@PROTOCOLS
def test_collector(server, judge, tmp_path, protocol):
    one = server()
    collector, telemetrygen = judge("otelcol"), judge("telemetrygen")
    config = tmp_path / "collector.yaml"
    config.write_text(connect("collector", "--protocol", protocol, data=one.data))
    with open(tmp_path / "collector.log", "wb") as log:
        process = subprocess.Popen([collector, "--config", config], stdout=log, stderr=log)
    try:
        one.wait_for(lambda: b"Everything is ready" in (tmp_path / "collector.log").read_bytes(), what="the collector")
        for signal in ("logs", "traces", "metrics"):
            subprocess.run(
                [
                    telemetrygen,
                    signal,
                    "--otlp-insecure",
                    "--otlp-endpoint",
                    "127.0.0.1:14317",
                    f"--{signal}",
                    str(SENT),
                    "--workers",
                    "1",
                    "--rate",
                    "0",
                    "--service",
                    "gen",
                ],
                check=True,
                timeout=120,
                capture_output=True,
            )
        one.wait_for(
            lambda: counts(one, "gen") == {"logs": SENT, "traces": 2 * SENT, "metrics": SENT}, what="all that was sent"
        )
    finally:
        process.terminate()
        process.wait(30)


PYTHON = """
import logging
from opentelemetry import metrics, trace
counter = metrics.get_meter("app").create_counter("orders")
for i in range(10):
    with trace.get_tracer("app").start_as_current_span("work"):
        counter.add(1)
        logging.getLogger("app").warning("order %d", i)
"""


@PROTOCOLS
def test_python(server, judge, tmp_path, protocol):
    one = server()
    environment = judge("python-distro")
    (tmp_path / "app.py").write_text(PYTHON)
    paste(
        connect("python", "--protocol", protocol, data=one.data),
        environment / "bin/opentelemetry-instrument",
        environment / "bin/python",
        "app.py",
        cwd=tmp_path,
    )
    # Nothing but the program's own: the packages have no word to say about the variables.
    assert counts(one, "my-service") == {"logs": SENT, "traces": SENT, "metrics": 1}
    assert one.sql("SELECT DISTINCT LogAttributes['code.file.path'] AS file FROM logs") == [
        {"file": str(tmp_path / "app.py")}
    ]


NODE = """
const { trace, metrics } = require('@opentelemetry/api');
const { logs } = require('@opentelemetry/api-logs');
const counter = metrics.getMeter('app').createCounter('orders');
for (let i = 0; i < 10; i++) {
  const span = trace.getTracer('app').startSpan('work');
  counter.add(1);
  logs.getLogger('app').emit({ body: `order ${i}` });
  span.end();
}
"""


@PROTOCOLS
def test_node(server, judge, tmp_path, protocol):
    one = server()
    (tmp_path / "app.js").write_text(NODE)
    paste(
        connect("node", "--protocol", protocol, data=one.data),
        judge("node-sdk") / "run",
        "app.js",
        cwd=tmp_path,
        OTEL_NODE_RESOURCE_DETECTORS="env,host,os",
    )  # the default asks the clouds' metadata services
    found = counts(one, "my-service")
    assert found["logs"] == found["traces"] == SENT
    assert one.sql("SELECT Value AS v FROM otel_metrics_sum WHERE MetricName = 'orders'") == [{"v": 10.0}]


def test_grafana(server):
    """Grafana itself cannot be had here: the request that its plugin is told to make is made."""
    one = server()
    text = connect("grafana", data=one.data)
    source = "http://" + one.addresses[0]
    assert [line.strip() for line in text.splitlines() if not line.startswith("#")] == [
        "apiVersion: 1",
        "datasources:",
        "- name: Otolith",
        "type: yesoreyeram-infinity-datasource",
        "access: proxy",
        f"url: {source}",
        "jsonData:",
        "allowedHosts:",
        f"- {source}",
    ]
    comment = "\n".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    url = re.search(r"method POST, URL (\S+),", comment).group(1)
    sql = comment[comment.index("SELECT") :]
    answer = httpx.post(url, content=sql, headers={"Content-Type": "application/sql"}, timeout=60)
    assert answer.status_code == 200 and answer.json() == []


JAVA = """
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.logging.Logger;

public class App {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 10; i++) {
            client.send(HttpRequest.newBuilder(URI.create(arguments[0])).build(), HttpResponse.BodyHandlers.ofString());
            Logger.getLogger("app").warning("order " + i);
        }
    }
}
"""


@pytest.mark.clients
@PROTOCOLS
def test_java(server, tmp_path, protocol):
    one = server()
    (tmp_path / "App.java").write_text(JAVA)
    (tmp_path / "opentelemetry-javaagent.jar").symlink_to(client_program("java") / "opentelemetry-javaagent.jar")
    subprocess.run(["javac", "App.java"], cwd=tmp_path, check=True)
    paste(
        connect("java", "--protocol", protocol, data=one.data),
        "java",
        "-cp",
        ".",
        "App",
        one.http + "/health",
        cwd=tmp_path,
    )
    found = counts(one, "my-service")
    assert found["logs"] == found["traces"] == SENT and found["metrics"] > 0


GO = """
package main

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/global"
)

func main() {
	ctx := context.Background()
	stop, err := startTelemetry(ctx)
	if err != nil {
		panic(err)
	}
	counter, _ := otel.Meter("app").Int64Counter("orders")
	for i := 0; i < 10; i++ {
		inner, span := otel.Tracer("app").Start(ctx, "work")
		counter.Add(inner, 1)
		var record log.Record
		record.SetBody(attribute.StringValue(fmt.Sprint("order ", i)))
		global.GetLoggerProvider().Logger("app").Emit(inner, record)
		span.End()
	}
	if err := stop(ctx); err != nil {
		panic(err)
	}
}
"""


@pytest.mark.clients
@PROTOCOLS
def test_go(server, tmp_path, protocol):
    one = server()
    go = client_program("go")
    (tmp_path / "main.go").write_text(GO)
    (tmp_path / "telemetry.go").write_text(connect("go", "--protocol", protocol, data=one.data))
    for command in (["mod", "init", "app"], ["mod", "tidy"], ["vet", "."], ["build", "-o", "app", "."]):
        subprocess.run([go, *command], cwd=tmp_path, check=True, timeout=280)
    paste("export OTEL_SERVICE_NAME=go", "./app", cwd=tmp_path)
    assert counts(one, "go") == {"logs": SENT, "traces": SENT, "metrics": 1}


@pytest.mark.clients
@PROTOCOLS
def test_claude_code(server, tmp_path, protocol):
    """Without a model behind it: the session is counted, the prompt and the failed call are logged."""
    one = server()
    subprocess.run(
        [
            "env",
            "-i",
            f"PATH={os.environ['PATH']}",
            f"HOME={tmp_path}",
            "ANTHROPIC_API_KEY=none",
            "ANTHROPIC_BASE_URL=http://127.0.0.1:9",
            "CLAUDE_CODE_MAX_RETRIES=0",
            "DISABLE_AUTOUPDATER=1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1",
            "bash",
            "-c",
            connect("claude-code", "--protocol", protocol, data=one.data) + '\nexec "$1" -p hello',
            "bash",
            client_program("claude-code"),
        ],
        cwd=tmp_path,
        check=False,
        timeout=200,
        stdin=subprocess.DEVNULL,
    )
    events = {row["b"] for row in one.sql("SELECT DISTINCT Body AS b FROM logs WHERE ServiceName = 'claude-code'")}
    assert {"claude_code.api_error", "claude_code.user_prompt"} <= events
    assert one.sql("SELECT sum(Value) AS v FROM metrics WHERE MetricName = 'claude_code.session.count'") == [{"v": 1.0}]


@pytest.mark.clients
@PROTOCOLS
def test_codex(server, tmp_path, protocol):
    """Without a model behind it: it tries to reach one and tells what it does meanwhile. This Codex exports no metrics
    in such a run, so nothing is asserted about them."""
    one = server()
    config = textwrap.dedent("""\
        model = "none"
        model_provider = "nowhere"
        [model_providers.nowhere]
        name = "nowhere"
        base_url = "http://127.0.0.1:9/v1"
        """)
    (tmp_path / "config.toml").write_text(config + connect("codex", "--protocol", protocol, data=one.data))
    wanted = {"codex.conversation_starts", "codex.user_prompt", "codex.api_request"}
    process = subprocess.Popen(
        [
            "env",
            "-i",
            f"PATH={os.environ['PATH']}",
            f"HOME={tmp_path}",
            f"CODEX_HOME={tmp_path}",
            client_program("codex"),
            "exec",
            "--skip-git-repo-check",
            "hello",
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
    )
    try:
        one.wait_for(
            lambda: wanted
            <= {row["e"] for row in one.sql("SELECT DISTINCT LogAttributes['event.name'] AS e FROM logs")},
            what="its events",
            timeout=100,
        )
        one.wait_for(
            lambda: one.sql("SELECT count(*) AS n FROM traces WHERE ServiceName LIKE 'codex%'")[0]["n"],
            what="its spans",
        )
    finally:
        process.terminate()
        process.wait(30)
