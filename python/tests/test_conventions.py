"""Spans and metrics against the constants that OpenTelemetry generates from its conventions for HTTP clients."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
import reknock
from opentelemetry.semconv._incubating.attributes.url_attributes import URL_TEMPLATE
from opentelemetry.semconv.attributes import error_attributes, http_attributes, network_attributes, server_attributes, url_attributes
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import (
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
    HttpRequestMethodValues,
)
from opentelemetry.semconv.attributes.network_attributes import NETWORK_PEER_ADDRESS, NETWORK_PEER_PORT, NETWORK_PROTOCOL_VERSION
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.semconv.attributes.url_attributes import URL_FULL
from opentelemetry.semconv.metrics.http_metrics import HTTP_CLIENT_REQUEST_DURATION
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode

from .conftest import FAST, child, instrumented, status

STABLE = {
    value
    for module in (error_attributes, http_attributes, network_attributes, server_attributes, url_attributes)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
}
OF_METRICS = {HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, ERROR_TYPE, HTTP_RESPONSE_STATUS_CODE, NETWORK_PROTOCOL_VERSION, URL_TEMPLATE}
# As the text of the metric advises.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


@pytest.fixture
def seen():
    """Telemetry that is on: its spans, and the points of durations."""
    with instrumented() as (_, exporter, reader):

        def durations():
            (resource,) = reader.get_metrics_data().resource_metrics
            (scope,) = resource.scope_metrics
            assert scope.schema_url == Schemas.V1_44_0.value
            return next(metric for metric in scope.metrics if metric.name == HTTP_CLIENT_REQUEST_DURATION)

        yield SimpleNamespace(spans=exporter.get_finished_spans, durations=durations)


def test_every_attribute_is_one_of_theirs_and_what_they_require_is_there(serve, seen):
    there = serve(status(200))
    script = serve(status(503), {"do": "reset"}, {"do": "redirect", "status": 307, "location": f"{there.url}/?sig=s3cret"}, status(404))
    with reknock.Client(policy=FAST) as client:
        client.get(script.url.replace("://", "://me:s3cret@") + "/a?X-Amz-Signature=s3cret&b#s3cret", name="/a")
        client.request("PURGE", script.url)
    with reknock.Client(policy=FAST, http2="only") as client:
        client.get(serve(status(200), http2=True).url)
    with socket.socket() as nobody, pytest.raises(reknock.ConnectError):
        nobody.bind(("127.0.0.1", 0))
        reknock.get("http://127.0.0.1:%d/" % nobody.getsockname()[1], policy={"max_retries": 0})
    spans = seen.spans()
    assert len(spans) == 7
    for span in spans:
        about = dict(span.attributes)
        assert span.kind is SpanKind.CLIENT and span.instrumentation_scope.schema_url == Schemas.V1_44_0.value
        assert about.keys() <= STABLE | {URL_TEMPLATE}
        assert {HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT, URL_FULL} <= about.keys()
        assert {name: type(about[name]) for name in about} == {
            name: int if name in (SERVER_PORT, NETWORK_PEER_PORT, HTTP_RESPONSE_STATUS_CODE, HTTP_REQUEST_RESEND_COUNT) else str for name in about
        }
        # "Set to ERROR for 4xx and 5xx, and where no answer came"; then there is an error.type, which is the status if there is one.
        code = about.get(HTTP_RESPONSE_STATUS_CODE)
        failed = code is None or code >= 400
        assert (span.status.status_code is StatusCode.ERROR, ERROR_TYPE in about) == (failed, failed)
        assert code is None or not failed or about[ERROR_TYPE] == str(code)
        assert span.status.description is None
        # "Names are {method} {url.template}, or {method}"; HTTP where the method is not known.
        verb = {"_OTHER": "HTTP"}.get(about[HTTP_REQUEST_METHOD], about[HTTP_REQUEST_METHOD])
        assert span.name == (f"{verb} {about[URL_TEMPLATE]}" if URL_TEMPLATE in about else verb)
        assert "s3cret" not in span.to_json()
    first, reset, redirected, followed, purged, second, refused = (dict(span.attributes) for span in spans)
    assert [about.get(HTTP_REQUEST_RESEND_COUNT) for about in (first, reset, redirected, followed, purged)] == [None, 1, 2, 3, None]
    assert (first[URL_FULL], followed[URL_FULL]) == (f"{script.url}/a?X-Amz-Signature=...&...", f"{there.url}/?sig=...")
    assert (followed[SERVER_PORT], followed[NETWORK_PEER_ADDRESS]) == (there.port, "127.0.0.1")
    assert (purged[HTTP_REQUEST_METHOD], purged[HTTP_REQUEST_METHOD_ORIGINAL]) == (HttpRequestMethodValues.OTHER.value, "PURGE")
    assert (first[NETWORK_PROTOCOL_VERSION], second[NETWORK_PROTOCOL_VERSION]) == ("1.1", "2")
    assert (reset[ERROR_TYPE], refused[ERROR_TYPE]) == ("reset", "connect") and NETWORK_PROTOCOL_VERSION not in refused

    durations = seen.durations()
    assert (durations.unit, durations.description) == ("s", "Duration of HTTP client requests.")
    points = durations.data.data_points
    assert sum(point.count for point in points) == len(spans)
    for point in points:
        assert {HTTP_REQUEST_METHOD, SERVER_ADDRESS, SERVER_PORT} <= point.attributes.keys() <= OF_METRICS
        assert point.explicit_bounds == BUCKETS


def test_known_methods():
    """The values of the attribute, and QUERY, which its text names; a variable of the environment says otherwise."""
    theirs = {method.value for method in HttpRequestMethodValues} - {HttpRequestMethodValues.OTHER.value}
    from reknock._native import known_methods

    assert set(known_methods()) == theirs | {"QUERY"}
    code = "from reknock._native import known_methods; print(known_methods())"
    with child(code, "", OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS="GET,PURGE") as process:
        assert process.communicate(timeout=30)[0].strip() == "['GET', 'PURGE']"
