"""Traces and metrics of OpenTelemetry, for programs that have it.

    reknock.telemetry.instrument()

Each attempt of `Client`, `AsyncClient` and the module's functions is a CLIENT span by the stable conventions of HTTP, a child of the span that is
current where the call is made, and has a `traceparent` of its own. Calls that go through adapters and `retrying` are sent by others, whose own
instrumentation makes the spans; `request_hook` tells it how often they were sent before. Retries, waits and budgets are counted of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from . import _watch
from ._native import __version__, known_methods, unraisable
from ._nesting import current_attempt

try:
    from opentelemetry import metrics, propagate, trace
except ImportError as error:
    raise ImportError("reknock.telemetry needs the package opentelemetry-api: pip install 'reknock[otel]'", name="opentelemetry") from error

if TYPE_CHECKING:
    from ._native import AttemptRecord, BudgetReading, Budgets, Client, Event, Policy
    from ._retrying import Call

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
# What the conventions advise, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
WAITS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

Labels = tuple[tuple[str, str | int], ...]
_lock = Lock()
_made: Telemetry | None = None


def instrument(tracer_provider: trace.TracerProvider | None = None, meter_provider: metrics.MeterProvider | None = None) -> None:
    """Makes spans and counts from now on, of calls that begin later. Called again, with other providers.

        reknock.telemetry.instrument()

    Default: the global providers, whether they are set before or after.
    """
    global _made
    with _lock:
        # Instruments are made once: a meter keeps them for ever.
        if _made is None or _made.providers != (tracer_provider, meter_provider):
            _made = Telemetry(tracer_provider, meter_provider)
        _watch.watcher = _made


def uninstrument() -> None:
    """Ends it: calls that begin later cost nothing more. Calls in flight keep their spans."""
    _watch.watcher = None


def request_hook(span: trace.Span, *_: object) -> None:
    """Tells spans that others make of an adapter's attempts how often the request was sent before. Of OpenTelemetry's instrumentations:

        HTTPXClientInstrumentor().instrument(request_hook=reknock.telemetry.request_hook)
    """
    attempt = current_attempt()
    if attempt is not None and attempt.number > 1:
        span.set_attribute("http.request.resend_count", attempt.number - 1)


async def async_request_hook(span: trace.Span, *rest: object) -> None:
    """The same, for those who want a coroutine function: `async_request_hook=`."""
    request_hook(span, *rest)


class Telemetry:
    """What spans and counts are made with. Made by `instrument`."""

    def __init__(self, tracer_provider: trace.TracerProvider | None, meter_provider: metrics.MeterProvider | None) -> None:
        self.providers = tracer_provider, meter_provider
        self.known_methods = frozenset(known_methods())
        self.tracer = trace.get_tracer("reknock", __version__, tracer_provider, SCHEMA)
        meter = metrics.get_meter("reknock", __version__, meter_provider, SCHEMA)
        self.duration = meter.create_histogram(
            "http.client.request.duration", "s", "Duration of HTTP client requests.", explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self.retries = meter.create_counter("reknock.retries", "{retry}", "Retries, by what they were made for.")
        self.waits = meter.create_histogram("reknock.wait.duration", "s", "Waits before retries.", explicit_bucket_boundaries_advisory=WAITS)
        self.refused = meter.create_counter("reknock.budget.refused", "{retry}", "Calls whose retry a budget refused.")
        meter.create_observable_gauge("reknock.budget.balance", [self._balances], "{retry}", "Retries that a budget would grant now; the least, where there are several.")
        self._purses: WeakKeyDictionary[object, dict[Labels, Callable[[Any], BudgetReading | None]]] = WeakKeyDictionary()

    def begin(self, client: Client) -> Watched:
        """Watches a call of a client."""
        return Watched(self, client)

    def told(self, call: Call, event: Event) -> None:
        """Counts what an adapter tells."""
        assert event.call is not None, "adapters tell of calls"
        labels = _labels(event.call.origin if event.call.url else "", event.call.name)
        self.keep(call.options.budgets, labels, partial(_of_budgets, call.options.policy, call.origin))
        self.count(event, labels)

    def count(self, event: Event, labels: Labels) -> None:
        """Counts a retry, or a refusal."""
        if event.kind == "retry" and event.attempt is not None:
            attempt, attributes = event.attempt, dict(labels)
            self.waits.record(attempt.wait or 0, attributes)
            self.retries.add(1, {**attributes, "reason": event.reason or ""})
        elif event.stop_reason == "budget_exhausted":
            self.refused.add(1, dict(labels))

    def keep(self, holder: object, labels: Labels, reading: Callable[[Any], BudgetReading | None]) -> None:
        """From now on the balance is told of what the holder has for these."""
        known = self._purses.get(holder)
        if known is None or (labels not in known and len(known) < 1000):
            with _lock:
                self._purses.setdefault(holder, {})[labels] = reading

    def _balances(self, _: object) -> Iterator[metrics.Observation]:
        if _watch.watcher is not self:
            return
        with _lock:
            asked = [(holder, labels, reading) for holder, known in self._purses.items() for labels, reading in known.items()]
        least: dict[Labels, int] = {}
        for holder, labels, reading in asked:
            has = reading(holder)
            if has is not None:
                least[labels] = min(has.balance, least.get(labels, has.balance))
        for labels, balance in least.items():
            yield metrics.Observation(balance, dict(labels))


class Watched:
    """One call of a client: the span of its attempt, and what is counted of it."""

    __slots__ = ("_began", "_client", "_labels", "_method", "_span", "_telemetry")

    def __init__(self, telemetry: Telemetry, client: Client) -> None:
        self._telemetry, self._client = telemetry, client
        self._span: trace.Span | None = None
        self._labels: Labels = ()
        self._method, self._began = "", 0

    def before_attempt(self, event: Event) -> dict[str, str]:
        """Begins the span of an attempt, here, where its parent is current; gives the header fields that lead on from it."""
        fields: dict[str, str] = {}
        try:
            propagate.inject(fields, trace.set_span_in_context(self._begin(event)))
        except Exception as error:
            unraisable(error, self.before_attempt)
        return fields

    def event(self, event: Event) -> None:
        """Ends the span with its attempt, and counts."""
        if event.kind == "attempt_end" and event.attempt is not None:
            self._end(event.attempt)
        else:
            self._telemetry.count(event, self._labels)
            if event.kind == "end":
                self.abandon(event.stop_reason or "")

    def abandon(self, why: str) -> None:
        """Ends the span of an attempt that never ended: the call was cancelled, for example."""
        span, self._span = self._span, None
        if span is not None:
            span.set_attribute("error.type", why)
            span.set_status(trace.StatusCode.ERROR)
            span.end()

    def _begin(self, event: Event) -> trace.Span:
        call, method, target, number = event.call, event.method, event.target, event.number
        assert call is not None and method is not None and target is not None and number is not None, "an attempt begins"
        labels = self._labels = _labels(_origin(target), call.name)
        self._telemetry.keep(self._client, labels, partial(_of_client, target))
        known = method in self._telemetry.known_methods
        self._method = method if known else "_OTHER"
        attributes: dict[str, Any] = {"http.request.method": self._method, "url.full": target, **dict(labels)}
        if not known:
            attributes["http.request.method_original"] = method
        if number > 1:
            attributes["http.request.resend_count"] = number - 1
        name = method if known else "HTTP"
        self._began = time.time_ns()
        self._span = self._telemetry.tracer.start_span(
            f"{name} {call.name}" if call.name else name, kind=trace.SpanKind.CLIENT, attributes=attributes, start_time=self._began,
        )
        return self._span

    def _end(self, attempt: AttemptRecord) -> None:
        span, self._span = self._span, None
        if span is None:
            return
        failed = attempt.error_type
        told: dict[str, Any] = {}
        if attempt.status is not None:
            told["http.response.status_code"] = attempt.status
        if failed is not None:
            told["error.type"] = failed
            span.set_status(trace.StatusCode.ERROR)
        if attempt.http_version is not None:
            told["network.protocol.version"] = attempt.http_version.removeprefix("HTTP/")
        measured = {"http.request.method": self._method, **dict(self._labels), **told}
        self._telemetry.duration.record(attempt.duration, measured, trace.set_span_in_context(span))
        if attempt.peer is not None:
            address, _, port = attempt.peer.rpartition(":")
            told["network.peer.address"], told["network.peer.port"] = address.strip("[]"), int(port)
        span.set_attributes(told)
        span.end(self._began + int(attempt.duration * 1e9))


@lru_cache(1000)
def _labels(origin: str, name: str | None) -> Labels:
    """Whom a request goes to, and what it is called: the attributes that are in everything."""
    parts = urlsplit(origin)
    labels: dict[str, str | int] = {}
    if parts.hostname:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        labels = {"server.address": parts.hostname, **({"server.port": port} if port else {})}
    if name is not None:
        labels["url.template" if parts.hostname else "code.function.name"] = name
    return tuple(labels.items())


def _origin(url: str) -> str:
    """The URL up to its path."""
    end = url.find("/", url.find("//") + 2)
    return url if end < 0 else url[:end]


def _of_client(url: str, client: Client) -> BudgetReading | None:
    return client.budget(url)


def _of_budgets(policy: Policy, origin: str, budgets: Budgets) -> BudgetReading | None:
    return budgets.reading(policy, origin)


__all__ = ["async_request_hook", "instrument", "request_hook", "uninstrument"]
