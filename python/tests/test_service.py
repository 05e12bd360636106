"""examples/service, as it stands there: scraped, traced, and its policies edited while it runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import ROOT, status

EXAMPLE = ROOT / "python/examples/service"
ROUTES = {"url_template": "/orders/{number}"}, {"url_template": "/stock"}


@contextmanager
def collector():
    """What an OTLP collector is to exporters; gives its URL and the spans that came."""
    spans = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            told = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["content-length"])))
            spans.extend(span for resource in told.resource_spans for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", spans
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def service(upstream, policies, otlp):
    """The service, as a user starts it; gives its URL."""
    command = [sys.executable, "-m", "uvicorn", "service:app", "--app-dir", str(EXAMPLE), "--port", "0", "--no-access-log"]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "python"), "UPSTREAM": upstream, "POLICIES": str(policies), "OTEL_EXPORTER_OTLP_ENDPOINT": otlp,
        "NO_PROXY": "*",
    }
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        said = []
        try:
            for line in process.stderr:
                said.append(line)
                if found := re.search(r"running on (http://\S+)", line):
                    break
            else:
                pytest.fail("".join(said))
            yield found[1]
            process.send_signal(signal.SIGTERM)
            _, rest = process.communicate(timeout=30)
            assert "Traceback" not in rest, rest
        finally:
            process.kill()


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scraped(url):
    """What Prometheus would see: values by name and labels."""
    _, text = get(f"{url}/metrics")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return lambda name, **labels: sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items()) if any(
        s.name == name and labels.items() <= s.labels.items() for s in samples
    ) else None


@pytest.mark.timeout(180)
def test_service(serve, tmp_path):
    policies = tmp_path / "policies.yaml"
    shutil.copy(EXAMPLE / "policies.yaml", policies)
    upstream = serve(status(503), status(503), status(200, "order"), status(429), status(200, "stock"), status(503))
    with collector() as (otlp, spans), service(upstream.url, policies, otlp) as url:
        assert get(f"{url}/orders/1") == (200, "order")
        assert get(f"{url}/stock") == (200, "stock")
        orders, stock = ROUTES
        seen = scraped(url)
        assert (seen("reknock_retries_total", **orders), seen("reknock_retries_total", **stock)) == (2, 1)
        assert seen("reknock_retries_total", reason="503", **orders) == 2 and seen("reknock_retries_total", reason="429", **stock) == 1
        assert seen("reknock_wait_duration_seconds_count", **orders) == 2 and 0 < seen("reknock_wait_duration_seconds_sum", **orders) < 1
        assert seen("reknock_budget_balance", **orders) > 0 and seen("reknock_budget_balance", **stock) > 0
        assert seen("http_client_request_duration_seconds_count", **orders) == 3
        assert seen("http_client_request_duration_seconds_count", http_response_status_code="200", **stock) == 1

        # Now all fail. The file says: no retries any more.
        before = len(upstream.log())
        assert get(f"{url}/orders/2")[0] == 503
        assert len(upstream.log()) - before == 4
        edited = policies.with_suffix(".new")
        edited.write_text(policies.read_text().replace("max_retries: 3", "max_retries: 0"))
        edited.replace(policies)
        until = time.monotonic() + 30
        sends = 4
        while sends != 1:
            assert time.monotonic() < until, f"{sends} sends"
            before = len(upstream.log())
            get(f"{url}/orders/3")
            sends = len(upstream.log()) - before
        retries = scraped(url)("reknock_retries_total", **orders)
        get(f"{url}/orders/4")
        assert scraped(url)("reknock_retries_total", **orders) == retries
        sent = upstream.log()

    # Each attempt at upstream belongs to a span of its own, below that of what was served.
    attempts = [span for span in spans if span.kind == span.SPAN_KIND_CLIENT]
    arrived = [f"00-{span.trace_id.hex()}-{span.span_id.hex()}-03" for span in attempts]
    assert [dict(map(tuple, request["headers"]))["traceparent"] for request in sent] == arrived
    served = min((span for span in spans if span.kind == span.SPAN_KIND_SERVER), key=lambda span: span.start_time_unix_nano)
    of_first = [span for span in attempts if span.trace_id == served.trace_id]
    told = [{attribute.key: attribute.value.int_value for attribute in span.attributes} for span in of_first]
    assert [about["http.response.status_code"] for about in told] == [503, 503, 200]
    assert [about.get("http.request.resend_count") for about in told] == [None, 1, 2]
    assert {span.name for span in of_first} == {"GET /orders/{number}"}
