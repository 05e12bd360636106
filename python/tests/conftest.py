"""The scripted server, as a fixture."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop

ROOT = Path(__file__).resolve().parents[2]
FAST = {"backoff": "10ms", "budget": "none"}


def pytest_collection_finish() -> None:
    """All that the tests import is there: no collection looks at it again. `serve` collects after each test, which else took most of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def frozen() -> Iterator[None]:
    """Likewise what a file's tests had imported, and keep."""
    yield
    gc.collect()
    gc.freeze()


@dataclass
class Script:
    """A port that does what it is told."""

    control: str
    id: str
    url: str
    port: int
    ca: str | None

    def _ask(self, method: str, path: str) -> Any:
        return ask(self.control, method, f"/scripts/{self.id}{path}")

    def _state(self, after: int | None = None) -> Any:
        """The log and what is open, at once or as soon as it changed more often than that."""
        return self._ask("GET", "/log" if after is None else f"/log?after={after}")

    def log(self) -> list[dict[str, Any]]:
        """The requests that arrived."""
        arrivals: list[dict[str, Any]] = self._state()["arrivals"]
        return arrivals

    def open(self) -> int:
        """Connections that are open."""
        return int(self._state()["open"])

    def connections(self) -> int:
        """Connections that were opened so far."""
        return int(self._state()["connections"])

    def advance(self) -> None:
        """Moves on to the next outcome."""
        self._ask("POST", "/advance")

    def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The log once it fulfils a condition: the server tells of each change, or that there was none for ten seconds."""
        state = self._state()
        while not condition(state["arrivals"]):
            before, state = state["changes"], self._state(state["changes"])
            assert state["changes"] != before, state
        arrivals: list[dict[str, Any]] = state["arrivals"]
        return arrivals


def ask(control: str, method: str, path: str, body: object = None) -> Any:
    """Talks to the server's control port."""
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(control + path, data, method=method)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@pytest.fixture(scope="session")
def control() -> Iterator[str]:
    """The server's control URL."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    program = os.environ.get("REKNOCK_TEST_SERVER") or str(target / "debug" / "reknock-test-server")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[1]
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def serve(control: str) -> Iterator[Callable[..., Script]]:
    """Starts a script: `serve(outcome, ..., tls="trusted")`."""
    scripts: list[Script] = []

    def start(*outcomes: dict[str, Any], **document: Any) -> Script:
        made = ask(control, "POST", "/scripts", {"script": list(outcomes), **document})
        script = Script(control, made["id"], made["url"], made["port"], made.get("ca"))
        scripts.append(script)
        return script

    yield start
    gc.collect()
    for script in scripts:
        ask(control, "DELETE", f"/scripts/{script.id}")


def status(code: int, body: str = "", **rest: Any) -> dict[str, Any]:
    """The outcome of a plain response."""
    return {"do": "status", "status": code, "body": body, **rest}


@contextmanager
def instrumented() -> Iterator[tuple[Any, Any, Any]]:
    """Telemetry is on: its tracer provider, the exporter of its spans and the reader of its metrics."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from reknock import telemetry

    exporter, reader, tracers = InMemorySpanExporter(), InMemoryMetricReader(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry.instrument(tracers, MeterProvider([reader]))
    yield tracers, exporter, reader
    telemetry.uninstrument()


@contextmanager
def peer(handle: Callable[[socket.socket], object]) -> Iterator[str]:
    """A server for tests that decide when it does what: `handle` has each connection to itself, in a thread. Gives its URL."""

    def run(connection: socket.socket) -> None:
        with connection:
            handle(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=run, args=server.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield "http://127.0.0.1:%d/" % server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


def received(connection: socket.socket, end: bytes) -> bytes:
    """What has come on a connection, up to a mark or to its end."""
    data = b""
    with suppress(ConnectionError):
        while end not in data and (piece := connection.recv(65536)):
            data += piece
    return data


async def arrived(script: Script) -> None:
    """Waits for a first request, in asyncio."""
    await asyncio.to_thread(script.until, bool)


class Child(subprocess.Popen[str]):
    """A Python process of its own."""

    def interrupt(self) -> float:
        """Sends a Ctrl-C; returns when."""
        begun = time.monotonic()
        self.send_signal(signal.SIGINT)
        return begun


def child(code: str, url: str, **environment: str) -> Child:
    """Starts a Python process that knows `URL` and `FAST`."""
    # A test run in the background inherits an interrupt that is ignored, and so would its children.
    interrupt = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    prelude = f"{interrupt}import os, sys, time, threading, asyncio, signal, reknock\nURL, FAST = os.environ['URL'], {FAST}\n"
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return Child([sys.executable, "-X", "faulthandler", "-c", prelude + code], env={**os.environ, "URL": url, **environment}, text=True, **pipes)


class Sockets(asyncio.SelectorEventLoop):
    """A loop that watches sockets while it reads them, and nothing else: what Windows has."""

    def add_reader(self, *_: Any) -> Any:
        raise NotImplementedError


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop, "sockets": Sockets}


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    """Every kind of event loop."""
    return LOOPS[request.param]


@pytest.fixture
def run(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine in every kind of event loop."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)

    return run


class Either:
    """One way to write a test for both clients."""

    def __init__(self, asynchronous: bool) -> None:
        self.asynchronous = asynchronous

    def __call__(self, method: str, url: str, client: dict[str, Any] | None = None, **options: Any) -> Any:
        """One call on a client of its own."""
        import reknock

        settings: Any = {"policy": FAST, **(client or {})}
        if not self.asynchronous:
            with reknock.Client(**settings) as blocking:
                return blocking.request(method, url, **options)

        async def main() -> Any:
            async with reknock.AsyncClient(**settings) as concurrent:
                return await concurrent.request(method, url, **options)

        return asyncio.run(main())


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Either:
    """A call, once through `Client` and once through `AsyncClient`."""
    return Either(request.param == "async")
