"""Rows go from memory into files while queries count them: none is missed on the way, none is met twice."""

import threading

import pytest

from otlp import PROTOBUF, logs

BATCH = 50
BATCHES = 120
DIFFERENT = "(LogAttributes['name'], LogAttributes['number'])"
COUNT = f"SELECT count(*) AS n, count(DISTINCT {DIFFERENT}) AS different FROM otel_logs"
# Reads every row again and again: takes as long as several flushes.
LONG = (f"SELECT count(*) / 2000 AS n, count(DISTINCT LogAttributes['name']) * {BATCH} AS different "
        "FROM otel_logs, range(2000)")


class Sender(threading.Thread):
    """One request after another; sent and acknowledged rows are counted before and after each."""

    def __init__(self, server):
        super().__init__()
        self.server, self.sent, self.acked, self.problem = server, 0, 0, None

    def run(self):
        for i in range(BATCHES):
            self.sent += BATCH
            answer = self.server.post("/v1/logs", logs(BATCH, name=f"b{i}").SerializeToString(), PROTOBUF)
            if answer.status_code != 200:
                self.problem = answer.text
                return
            self.acked += BATCH


def files(server):
    return len(list((server.data / "logs").rglob("*.parquet")))


@pytest.mark.parametrize("sql", [COUNT, LONG], ids=["short", "long"])
def test_rows_are_counted_once_while_they_go_to_files(server, sql):
    one = server("--flush-rows", "200", "--query-timeout", "10m")
    sender, crossed, asked = Sender(one), 0, 0
    sender.start()
    while sender.is_alive() or asked == 0:
        least, before = sender.acked, files(one)
        [row] = one.sql(sql)
        assert least <= row["n"] <= sender.sent, (least, row, sender.sent)
        assert row["n"] == row["different"] and row["n"] % BATCH == 0, row
        crossed += files(one) > before
        asked += 1
    sender.join()
    assert sender.problem is None, sender.problem
    assert one.sql(sql)[0]["n"] == BATCH * BATCHES
    assert files(one) > 5 and crossed, f"{files(one)} files, {crossed} of {asked} queries saw one made"
