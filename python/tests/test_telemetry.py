"""reknock.telemetry: spans and metrics as the SDK's own exporters in memory have them, and what the server sees of them."""

from __future__ import annotations

import asyncio
import socket
import sys
from types import SimpleNamespace

import httpx
import pytest
import reknock
import reknock.telemetry
import requests
import trio
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

from .conftest import FAST, LOOPS, arrived, child, instrumented, status

NO, DONE, HANG = status(503, "no"), status(200, "done"), {"do": "hang"}
COUNTED = {**FAST, "budget": {"ratio": 0, "min_per_second": 1, "ttl": "5s"}}


@pytest.fixture
def seen():
    """Telemetry that is on, and what it has to show."""
    with instrumented() as (tracers, exporter, reader):

        def points():
            data = reader.get_metrics_data()
            scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
            assert {scope.scope.name for scope in scopes} <= {"reknock"}
            return {metric.name: metric for scope in scopes for metric in scope.metrics}

        yield SimpleNamespace(spans=exporter.get_finished_spans, metrics=points, tracer=tracers.get_tracer("test"), tracers=tracers)


def sync_call(url, **options):
    with reknock.Client(policy=FAST) as client:
        return client.get(url, **options).content


def sync_stream(url, **options):
    with reknock.Client(policy=FAST) as client, client.stream("GET", url, **options) as response:
        return response.read()


async def async_call(url, **options):
    async with reknock.AsyncClient(policy=FAST) as client:
        return (await client.get(url, **options)).content


async def async_stream(url, **options):
    async with reknock.AsyncClient(policy=FAST) as client, client.stream("GET", url, **options) as response:
        return await response.aread()


def in_loop(kind, function):
    def run(url, **options):
        with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
            return runner.run(function(url, **options))

    return run


def in_trio(function):
    return lambda url, **options: trio.run(lambda: function(url, **options))


WAYS = {
    "sync": sync_call,
    "sync streamed": sync_stream,
    **{kind: in_loop(kind, async_call) for kind in LOOPS},
    **{f"{kind} streamed": in_loop(kind, async_stream) for kind in LOOPS},
    "trio": in_trio(async_call),
    "trio streamed": in_trio(async_stream),
}


def traceparents(log):
    return [{name.lower(): value for name, value in request["headers"]}.get("traceparent") for request in log]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_attempt_is_a_span_whose_traceparent_arrives(serve, seen, way):
    script = serve(NO, {"do": "reset"}, DONE)
    with seen.tracer.start_as_current_span("parent") as parent:
        assert way(f"{script.url}/orders?token=1", name="orders.get") == b"done"
    *spans, _ = seen.spans()
    about = parent.get_span_context()
    assert {(span.context.trace_id, span.parent.span_id) for span in spans} == {(about.trace_id, about.span_id)}
    assert traceparents(script.log()) == [f"00-{about.trace_id:032x}-{span.context.span_id:016x}-03" for span in spans]
    same = {
        "http.request.method": "GET", "server.address": "127.0.0.1", "server.port": script.port, "url.full": f"{script.url}/orders?token=...",
        "url.template": "orders.get",
    }
    peer = {"network.peer.address": "127.0.0.1", "network.peer.port": script.port}
    answered = {"network.protocol.version": "1.1", **peer}
    assert [dict(span.attributes) for span in spans] == [
        {**same, **answered, "http.response.status_code": 503, "error.type": "503"},
        {**same, **peer, "http.request.resend_count": 1, "error.type": "reset", **({} if "network.protocol.version" not in spans[1].attributes else answered)},
        {**same, **answered, "http.request.resend_count": 2, "http.response.status_code": 200},
    ]
    assert {(span.name, span.kind) for span in spans} == {("GET orders.get", SpanKind.CLIENT)}
    assert [span.status.status_code for span in spans] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]
    assert all(before.start_time < before.end_time <= after.start_time for before, after in zip(spans, spans[1:], strict=False))


def test_what_is_counted(serve, seen):
    script = serve(NO, status(429), DONE, NO)
    with reknock.Client(policy=COUNTED) as client:
        client.get(script.url, name="orders.get")
        client.get(script.url, name="orders.get")
        client.get(script.url, name="orders.get")
        balance = client.budget(script.url).balance
        metrics = seen.metrics()
    labels = {"server.address": "127.0.0.1", "server.port": script.port, "url.template": "orders.get"}

    def points(name):
        return {frozenset(point.attributes.items()): point for point in metrics[name].data.data_points}

    def key(**more):
        return frozenset({**labels, **{name.replace("_", "."): value for name, value in more.items()}}.items())

    assert set(metrics) == {
        "http.client.request.duration", "reknock.retries", "reknock.wait.duration", "reknock.budget.balance", "reknock.budget.refused",
    }
    assert {key: point.value for key, point in points("reknock.retries").items()} == {key(reason="503"): 4, key(reason="429"): 1}
    (waits,) = points("reknock.wait.duration").values()
    assert waits.count == 5 and dict(waits.attributes) == labels and 0 < waits.sum <= 5 * 0.01
    assert {key: point.value for key, point in points("reknock.budget.refused").items()} == {key(): 1}
    assert {key: point.value for key, point in points("reknock.budget.balance").items()} == {key(): balance}
    durations = metrics["http.client.request.duration"]
    assert (durations.unit, metrics["reknock.wait.duration"].unit) == ("s", "s")
    about = {"http.request.method": "GET", "network.protocol.version": "1.1", **labels}
    counts = {(point.attributes["http.response.status_code"], point.attributes.get("error.type")): point for point in durations.data.data_points}
    assert {key: point.count for key, point in counts.items()} == {(503, "503"): 6, (429, "429"): 1, (200, None): 1}
    assert dict(counts[200, None].attributes) == {**about, "http.response.status_code": 200}
    assert counts[200, None].explicit_bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


@pytest.mark.parametrize("way", ["sync", "sync streamed", "asyncio", "asyncio streamed"])
def test_failures_have_their_kind(seen, way):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(reknock.ConnectError):
            WAYS[way]("http://127.0.0.1:%d/" % nobody.getsockname()[1])
    spans = seen.spans()
    assert [span.attributes["error.type"] for span in spans] == ["connect"] * 3
    assert all("http.response.status_code" not in span.attributes and span.status.status_code is StatusCode.ERROR for span in spans)
    assert {span.name for span in spans} == {"GET"} and all("url.template" not in span.attributes for span in spans)


def test_a_redirect_is_an_attempt(serve, seen):
    there = serve(DONE)
    script = serve({"do": "redirect", "status": 302, "location": f"{there.url}/there?token=1"})
    sync_call(script.url)
    first, second = seen.spans()
    assert second.attributes["http.request.resend_count"] == 1 and second.attributes["url.full"] == f"{there.url}/there?token=..."
    assert (first.attributes["server.port"], second.attributes["server.port"]) == (script.port, there.port)
    assert traceparents(script.log())[0].split("-")[2] == f"{first.context.span_id:016x}"
    assert traceparents(there.log())[0].split("-")[2] == f"{second.context.span_id:016x}"


def test_http2(serve, seen):
    script = serve(NO, DONE, http2=True)
    with reknock.Client(policy=FAST, http2="only") as client:
        client.get(script.url)
    assert [span.attributes["network.protocol.version"] for span in seen.spans()] == ["2", "2"]
    assert [parent.split("-")[2] for parent in traceparents(script.log())] == [f"{span.context.span_id:016x}" for span in seen.spans()]


def test_methods_that_the_conventions_do_not_know(serve, seen):
    with reknock.Client() as client:
        client.request("PURGE", serve(DONE).url)
    (span,) = seen.spans()
    assert (span.name, span.attributes["http.request.method"], span.attributes["http.request.method_original"]) == ("HTTP", "_OTHER", "PURGE")


def test_a_secret_is_in_no_span(serve, seen):
    script = serve(NO, DONE)
    sync_call(script.url.replace("http://", "http://me:s3cret@") + "/?key=s3cret", headers={"x-key": "s3cret"}, auth=("me", "s3cret"))
    assert len(seen.spans()) == 2 and "s3cret" not in "".join(span.to_json() for span in seen.spans())


def test_parents_are_those_of_their_tasks(serve, seen):
    """Calls that go on at the same time in one loop."""
    script = serve(NO, NO, NO, DONE)

    async def one(client, number):
        with seen.tracer.start_as_current_span(f"parent {number}"):
            await client.get(f"{script.url}/{number}")

    async def main():
        async with reknock.AsyncClient(policy={**FAST, "max_retries": 4}) as client:
            await asyncio.gather(*(one(client, number) for number in range(8)))

    asyncio.run(main())
    parents = {span.context.span_id: span.name for span in seen.spans() if span.parent is None}
    attempts = [span for span in seen.spans() if span.parent is not None]
    assert len(parents) == 8 and len(attempts) == len(script.log())
    assert all(parents[span.parent.span_id] == f"parent {span.attributes['url.full'].rpartition('/')[2]}" for span in attempts)


def test_a_call_that_is_cancelled_ends_its_span(serve, seen):
    script = serve(HANG)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            task = asyncio.create_task(client.get(script.url))
            await arrived(script)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    (span,) = seen.spans()
    assert span.attributes["error.type"] == "cancelled" and span.status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("way", ["sync", "asyncio"])
def test_a_call_past_its_deadline_ends_its_span(serve, seen, way):
    with pytest.raises(reknock.DeadlineExceeded):
        WAYS[way](serve(HANG).url, timeout=0.05)
    assert [span.attributes["error.type"] for span in seen.spans()] == ["deadline"]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_off_is_off(serve, seen, way):
    reknock.telemetry.uninstrument()
    script = serve(NO, DONE)
    way(script.url)
    assert seen.spans() == () and seen.metrics() == {} and traceparents(script.log()) == [None, None]


def test_the_callers_own_callbacks_go_on(serve, seen):
    events, script = [], serve(NO, status(404), DONE)
    content = sync_call(
        script.url, on_event=events.append, retry_if=lambda attempt: attempt.status_code == 404,
        before_retry=lambda attempt, request: request.headers.__setitem__("x-retry", str(attempt.number)),
    )
    assert content == b"done" and [event.kind for event in events if event.kind in ("retry", "end")] == ["retry", "retry", "end"]
    assert [dict(map(tuple, request["headers"])).get("x-retry") for request in script.log()] == [None, "1", "2"]
    assert None not in traceparents(script.log()) and len(seen.spans()) == 3


def test_telemetry_that_fails_fails_no_call(serve, monkeypatch):
    hooked = []
    monkeypatch.setattr("sys.unraisablehook", lambda told: hooked.append(str(told.exc_value)))

    class Broken(TracerProvider):
        def get_tracer(self, *_args, **_options):
            def start_span(*_args, **_options):
                raise LookupError("mine")

            return SimpleNamespace(start_span=start_span)

    reknock.telemetry.instrument(Broken(), MeterProvider([InMemoryMetricReader()]))
    try:
        assert sync_call(serve(NO, DONE).url) == b"done"
        assert in_loop("asyncio", async_call)(serve(NO, DONE).url) == b"done"
    finally:
        reknock.telemetry.uninstrument()
    assert hooked == ["mine"] * 4


def of_requests(url, budgets):
    from reknock.requests import RetryAdapter

    with requests.Session() as session:
        session.mount("http://", RetryAdapter(COUNTED, budgets=budgets))
        session.get(url)


def of_httpx(url, budgets):
    from reknock.httpx import RetryTransport

    with httpx.Client(transport=RetryTransport(policy=COUNTED, budgets=budgets)) as client:
        client.get(url, extensions={"reknock": {"name": "orders.get"}})


@pytest.mark.parametrize(("way", "name"), [(of_requests, {}), (of_httpx, {"url.template": "orders.get"})])
def test_retries_of_adapters_are_counted(serve, seen, way, name):
    script, budgets = serve(NO, {"do": "reset"}, DONE), reknock.Budgets()
    way(f"{script.url}/orders?token=1", budgets)
    metrics = seen.metrics()
    labels = {"server.address": "127.0.0.1", "server.port": script.port, **name}
    retries = {point.attributes["reason"]: (point.value, dict(point.attributes)) for point in metrics["reknock.retries"].data.data_points}
    assert retries == {reason: (1, {**labels, "reason": reason}) for reason in ("503", "reset")}
    (waits,) = metrics["reknock.wait.duration"].data.data_points
    (balance,) = metrics["reknock.budget.balance"].data.data_points
    assert (waits.count, dict(waits.attributes)) == (2, labels)
    assert balance.value == budgets.reading(reknock.Policy(**COUNTED), script.url).balance and dict(balance.attributes) == labels
    assert seen.spans() == ()


def test_others_spans_say_how_often_it_was_sent_before(serve, seen):
    """What sends has instrumentation of its own: below an adapter it makes a span per attempt."""
    from reknock.httpx import AsyncRetryTransport, RetryTransport

    hooks = {"request_hook": reknock.telemetry.request_hook, "async_request_hook": reknock.telemetry.async_request_hook}
    HTTPXClientInstrumentor().instrument(tracer_provider=seen.tracers, **hooks)
    try:
        with httpx.Client(transport=RetryTransport(policy=FAST)) as client:
            client.get(serve(NO, NO, DONE).url)

        async def main():
            async with httpx.AsyncClient(transport=AsyncRetryTransport(policy=FAST)) as client:
                await client.get(serve(NO, NO, DONE).url)

        asyncio.run(main())
    finally:
        HTTPXClientInstrumentor().uninstrument()
    assert [span.attributes.get("http.request.resend_count") for span in seen.spans()] == [None, 1, 2] * 2


def test_retries_of_functions_are_counted(seen):
    def fetch():
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        reknock.retrying({**FAST, "budget": {}}, idempotent=True, name="fetch", budgets=reknock.Budgets())(fetch)()
    (retries,) = seen.metrics()["reknock.retries"].data.data_points
    assert (retries.value, dict(retries.attributes)) == (2, {"code.function.name": "fetch", "reason": "connect"})
    assert seen.spans() == ()


def test_without_opentelemetry(serve):
    """The error says what to install; nothing else needs it."""
    code = """
sys.modules['opentelemetry'] = None
assert reknock.get(URL).status_code == 200 and not any(name.startswith('opentelemetry.') for name in sys.modules)
import reknock.telemetry
"""
    with child(code, serve(DONE).url) as process:
        _, complained = process.communicate(timeout=30)
    assert "ImportError: reknock.telemetry needs the package opentelemetry-api: pip install 'reknock[otel]'" in complained
    assert sys.modules["opentelemetry"] is not None
