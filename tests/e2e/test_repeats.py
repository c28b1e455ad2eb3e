"""The same bytes from several connections at once: every copy is acknowledged, and the rows are there once."""

import concurrent.futures
import http.client

import otlp


def test_copies_in_flight_share_one_outcome(server):
    one = server("--threads", "2")
    names = [f"copy-{i}" for i in range(40)]
    bodies = {name: otlp.logs(50, name=name).SerializeToString() for name in names}

    def send(name):
        connection = http.client.HTTPConnection(one.grpc, timeout=30)  # each its own: any of the threads
        connection.request("POST", "/v1/logs", bodies[name], {"Content-Type": otlp.PROTOBUF})
        answer = connection.getresponse()
        return answer.status, answer.read()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, [name for name in names for _ in range(8)]))
    assert not [answer for answer in answers if answer[0] != 200]
    rows = one.sql("SELECT LogAttributes['name'] AS name, count(*) AS n FROM otel_logs GROUP BY ALL")
    assert {row["name"]: row["n"] for row in rows} == {name: 50 for name in names}
    assert one.metric("otolith_items_deduplicated_total") == 50 * 7 * len(names)
