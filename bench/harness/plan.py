"""What is compared: the surfaces, the clients on each, and the scenarios that all of them go through."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

BENCH = Path(__file__).resolve().parent.parent

# The one rule: a 503 is sent again at once, this many times at most. High enough that no call ever runs out.
RETRIES = 10
# In the failing scenarios the server answers one of each 10 requests with 503.
EVERY = 10

LOOP = "has no retries of its own; a loop in the caller sends again"
TIMER = "waits at least a millisecond before a retry: its timers know no shorter one"


class Scenario(NamedTuple):
    key: str
    title: str
    path: str
    in_flight: int
    every: int  # one of each so many requests fails; 0: none
    quick: bool
    surfaces: tuple[str, ...] = ()  # on these alone; none: on all

    def is_on(self, surface: Surface) -> bool:
        return not self.surfaces or surface.key in self.surfaces


class Peer(NamedTuple):
    name: str
    command: list[str]  # the orchestrator adds URL IN_FLIGHT WARM SECONDS RETRIES
    packages: list[str]  # in the language's own lock file or environment
    note: str = ""

    @property
    def ours(self) -> bool:
        return self.name.startswith("reknock")


class Surface(NamedTuple):
    key: str
    title: str
    language: str
    warm: float  # seconds before the clock starts: a just-in-time compiler needs thousands of calls
    peers: list[Peer]  # ours first: ratios are to it


SCENARIOS = [
    Scenario("small-1", "1 in flight", "small", 1, 0, True),
    Scenario("small-32", "32 in flight", "small", 32, 0, True),
    Scenario("small-256", "256 in flight", "small", 256, 0, False),
    Scenario("failing-1", "10 % fail, 1 in flight", "small", 1, EVERY, False),
    Scenario("failing-32", "10 % fail, 32 in flight", "small", 32, EVERY, True),
    Scenario("failing-256", "10 % fail, 256 in flight", "small", 256, EVERY, False),
    Scenario("large-1", "100 KiB, 1 in flight", "large", 1, 0, False),
    Scenario("large-32", "100 KiB, 32 in flight", "large", 32, 0, False),
    # Beside what it stood on before; the programs of the other languages send no bodies.
    Scenario("upload-1", "100 KiB up, 1 in flight", "upload", 1, 0, False, ("rust",)),
    Scenario("upload-32", "100 KiB up, 32 in flight", "upload", 32, 0, False, ("rust",)),
]


def surfaces(built: Path) -> list[Surface]:
    """Everything that is measured. `built`: where the programs are."""

    def python(surface: str, name: str, packages: list[str], note: str = "") -> Peer:
        return Peer(name, [sys.executable, str(BENCH / "python/runner.py"), surface, name.split(" ")[0]], packages, note)

    def node(name: str, peer: str, packages: list[str], note: str = "") -> Peer:
        return Peer(name, ["node", str(BENCH / "node/runner.mjs"), peer], packages, note)

    def program(name: str, arguments: list[str], packages: list[str], note: str = "") -> Peer:
        return Peer(name, [str(built / arguments[0]), *arguments[1:]], packages, note)

    def asynchronous(loop: str, *names: str) -> list[Peer]:
        every = [
            python(loop, "reknock", ["reknock"]),
            python(loop, "pyreqwest", ["pyreqwest"], LOOP),
            python(loop, "aiohttp + aiohttp-retry", ["aiohttp", "aiohttp-retry"]),
            python(loop, "primp", ["primp"], LOOP),
            python(loop, "httpx + httpx-retries", ["httpx", "httpx-retries"]),
        ]
        return [peer for peer in every if not names or peer.name.split(" ")[0] in names]

    return [
        Surface("rust", "Rust, tokio", "rust", 0.1, [
            program("reknock", ["bench-rust-reknock"], ["reknock"]),
            program("reqwest alone", ["bench-rust-reqwest"], ["reqwest"], LOOP),
            program("reqwest + reqwest-retry", ["bench-rust-reqwest-retry"], ["reqwest", "reqwest-retry"]),
        ]),
        Surface("python-blocking", "Python, blocking (a thread per call in flight)", "python", 0.1, [
            python("blocking", "reknock", ["reknock"]),
            python("blocking", "pycurl", ["pycurl"], LOOP),
            python("blocking", "pyreqwest", ["pyreqwest"], LOOP),
            python("blocking", "primp", ["primp"], LOOP),
            python("blocking", "urllib3 + Retry", ["urllib3"]),
            python("blocking", "requests + Retry", ["requests"]),
            python("blocking", "httpx + httpx-retries", ["httpx", "httpx-retries"]),
        ]),
        Surface("python-asyncio", "Python, asyncio", "python", 0.1, asynchronous("asyncio")),
        Surface("python-uvloop", "Python, uvloop", "python", 0.1, asynchronous("uvloop", "reknock", "pyreqwest", "aiohttp")),
        Surface("node-request", "Node, request", "node", 2.5, [
            node("reknock request", "reknock-request", ["reknock"]),
            node("undici + RetryAgent", "undici", ["undici"], TIMER),
        ]),
        Surface("node-fetch", "Node, fetch and its like", "node", 2.5, [
            node("reknock fetch", "reknock-fetch", ["reknock"]),
            node("global fetch", "fetch", [], LOOP),
            node("ky", "ky", ["ky"], TIMER),
            node("got", "got", ["got"], TIMER),
            node("axios + axios-retry", "axios-retry", ["axios", "axios-retry"], TIMER),
        ]),
        Surface("c-blocking", "C, blocking (a thread per call in flight)", "c", 0.1, [
            program("reknock send", ["bench-c-reknock", "blocking"], ["reknock"]),
            program("libcurl easy", ["bench-libcurl", "blocking"], ["curl-sys"], LOOP),
        ]),
        Surface("c-async", "C, all calls on one thread", "c", 0.1, [
            program("reknock queue", ["bench-c-reknock", "async"], ["reknock"]),
            program("libcurl multi", ["bench-libcurl", "async"], ["curl-sys"], LOOP),
        ]),
    ]
