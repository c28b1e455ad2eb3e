"""A small shop to try Otolith with: it takes forty orders from itself and ends. It knows OpenTelemetry's API, not Otolith."""

import logging
import random
import threading
import time

import requests
from flask import Flask
from opentelemetry import metrics, trace
from werkzeug.serving import make_server

app = Flask(__name__)
log = logging.getLogger("shop")
tracer = trace.get_tracer("shop")
orders = metrics.get_meter("shop").create_counter("shop.orders", unit="{order}")


@app.get("/order/<int:number>")
def order(number):
    with tracer.start_as_current_span("price", attributes={"order.id": number, "order.items": ["pear", "nut"]}):
        time.sleep(random.random() / 100)
    orders.add(1, {"order.kind": "gift" if number % 3 == 0 else "sale"})
    if number % 7 == 0:
        raise ValueError("no pears left")
    log.info("order %d paid", number)
    return {"order": number}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for number in range(40):
        requests.get(f"http://127.0.0.1:{server.port}/order/{number}", timeout=10)
    server.shutdown()
