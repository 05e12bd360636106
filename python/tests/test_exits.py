"""The end of an interpreter while daemon threads are in calls: in every state, in callbacks and producers of every kind, in every loop.

`REKNOCK_EXITS=1000` makes so many runs, spread over all of them, `REKNOCK_EXITS_PYTHON` names another interpreter for these.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import cycle, islice

import pytest

from .conftest import status

RUNS = int(os.environ.get("REKNOCK_EXITS", "0"))
PYTHON = os.environ.get("REKNOCK_EXITS_PYTHON", sys.executable)

# What daemon threads do. `busy` says that the state is there, and never ends: it gives the interpreter up, and asks for it, all the time.
STATES = {
    "retry_if": "get(retry_if=busy)",
    "delay": "get(delay=busy)",
    "before_retry": "get(before_retry=busy)",
    "on_event": "get(on_event=busy)",
    "auth": "get(auth=busy)",
    "log": "reknock.get(NO, policy=FAST)",
    "generator": "reknock.post(URL, content=producer())",
    "function": "reknock.post(URL, content=busy)",
    "file": "reknock.post(URL, content=File())",
    "file of a form": "reknock.post(URL, files={'a': producer()})",
    "streamed, generator": "stream('POST', content=producer())",
    "pieces": "stream('GET')",
    "headers": "get(headers=Fields())",
    "parameters": "get(params={'a': Text()})",
    "address": "reknock.get(Text())",
    "policy": "get(policy=Fields())",
    "options": "reknock.Client(headers=Fields())",
    "bare driver": "reknock.Retry().classify(status_code=503, headers=Fields())",
    "finalizer": "get(retry_if=lambda attempt: Garbage())",
    "script": "reknock.Client(transport=reknock.testing.Script([503])).get('http://a.test/', retry_if=busy)",
    "waiting": "go() or reknock.get(HANG)",
    "pausing": "go() or reknock.get(NO, policy={'backoff': '1h', 'timeout': 'none', 'budget': 'none'})",
    "one after another": "forever(lambda: reknock.get(NO, policy={**FAST, 'max_retries': 1}))",
    "clients": "forever(lambda: reknock.Client(policy=FAST).get(URL))",
    "failures": "forever(lambda: reknock.get('http://127.0.0.1:1/', policy=FAST))",
    "policies": "forever(lambda: reknock.Policy(timeout=1.0).to_dict())",
    "a loop": "loop(lambda: client.get(URL))",
    "a loop, failures": "loop(lambda: client.get('http://127.0.0.1:1/', on_event=print_nothing))",
    "a loop, callback": "loop(lambda: client.get(NO, retry_if=busy))",
    "a loop, coroutine": "loop(lambda: client.get(NO, retry_if=asynchronous))",
    "a loop, observer": "loop(lambda: client.get(NO, on_event=busy))",
    "a loop, auth": "loop(lambda: client.get(NO, auth=busy))",
    "a loop, generator": "loop(lambda: client.post(URL, content=producer()))",
    "a loop, asynchronous generator": "loop(lambda: client.post(URL, content=asynchronous_producer()))",
    "a loop, streams": "loop(streamed)",
    "a loop, streamed upload": "loop(lambda: streamed(content=asynchronous_producer()))",
}

LOOPS = {
    "asyncio": "asyncio.run({0})",
    "debug": "asyncio.run({0}, debug=True)",
    "uvloop": "uvloop.run({0})",
    "sockets": "asyncio.Runner(loop_factory=Sockets).run({0})",
    "trio": "trio.run({1})",
}

PRELUDE = """
import asyncio, logging, os, sys, threading, time, reknock, reknock.testing
(URL, NO, HANG, LARGE), FAST = os.environ['URLS'].split(), {'backoff': '1ms', 'budget': 'none', 'max_retries': 1000, 'methods': 'any'}
here = threading.Event()
def go(): here.set()
def busy(*_):
    while True:
        go()
        for _ in range(200): pass
        time.sleep(0.0002)
def print_nothing(event): pass
def producer():
    for _ in range(5): yield b'x'
    busy()
async def asynchronous(*_):
    go()
    return 0.001
async def asynchronous_producer():
    while True:
        go()
        yield b'x'
class File:
    def read(self, size): return busy() if size else b''
    def seek(self, *_): return 10
    def tell(self): return 0
    def seekable(self): return True
class Fields:
    def __len__(self): return 1
    def __iter__(self): busy()
    def items(self): busy()
    def __getitem__(self, name): busy()
class Text:
    scheme = 'http'
    def __str__(self): busy()
class Garbage:
    def __bool__(self): return True
    def __del__(self): busy()
class Handler(logging.Handler):
    def handle(self, record): busy()
if LOG:
    logging.getLogger('reknock').setLevel(10)
    logging.getLogger('reknock').addHandler(Handler())
def get(**options): reknock.get(NO, **{'policy': FAST, **options})
def stream(method, **options):
    with reknock.stream(method, LARGE, **options) as response:
        for _ in response.iter_bytes(): go()
def forever(what):
    while True:
        go()
        try: what()
        except reknock.HTTPError: pass
client = reknock.AsyncClient(policy=FAST)
async def streamed(**options):
    async with client.stream('POST' if options else 'GET', LARGE, **options) as response:
        async for _ in response.aiter_bytes(): go()
async def calls(what):
    while True:
        go()
        try: await what()
        except reknock.HTTPError: pass
class Sockets(asyncio.SelectorEventLoop):
    def add_reader(self, *_): raise NotImplementedError
class Last:
    # The end of the interpreter takes as long as it does in large programs.
    def __del__(self): sleep(0.02)
sleep, last = time.sleep, Last()
def work():
    try: WORK
    except reknock.HTTPError: pass
for _ in range(2): threading.Thread(target=work, daemon=True).start()
assert here.wait(60)
time.sleep(DELAY)
"""


def run(server: str, name: str, loop: str, dev: bool, delay: float) -> subprocess.Popen[str]:
    work = STATES[name]
    if work.startswith("loop("):
        what = work.removeprefix("loop(").removesuffix(")")
        work = LOOPS[loop].format(f"calls({what})", f"calls, {what}")
    code = PRELUDE.replace("WORK", work).replace("DELAY", str(delay)).replace("if LOG", f"if {name == 'log'}")
    if "oop." in work or "trio" in work:
        code = f"import {loop}\n" + code
    arguments = [PYTHON, *(["-X", "dev"] if dev else []), "-W", "ignore", "-c", code]
    return subprocess.Popen(arguments, env={**os.environ, "URLS": server}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def server(serve):
    """What answers, what does not want to, what does not answer, and what answers at length."""
    return " ".join(serve(outcome).url for outcome in (status(200, "done"), status(503), {"do": "hang"}, status(200, "x" * 10**6)))


def failures(processes):
    """Those that did not end as Python does. What a program says of itself is its own; that of its end is not."""
    for case, process in processes:
        with process:
            out, err = process.communicate(timeout=120)
        if (process.returncode, out) != (0, "") or "Fatal" in err or "FATAL" in err or "panicked" in err:
            yield case, process.returncode, err


@pytest.mark.parametrize("name", STATES)
def test_an_end_of_the_interpreter(server, name):
    loops = list(LOOPS) if STATES[name].startswith("loop(") else ["asyncio"]
    assert not list(failures([((name, loop, dev), run(server, name, loop, dev, 0)) for loop in loops for dev in (False, True)]))


@pytest.mark.skipif(not RUNS, reason="only when asked for")
@pytest.mark.timeout(7200)
def test_many(server):
    cases = [(name, loop, dev, delay) for delay in (0, 0.003, 0.011) for name in STATES for loop in (LOOPS if STATES[name].startswith("loop(") else ["asyncio"]) for dev in (False, True)]
    chosen, failed = islice(cycle(cases), RUNS), []
    for done in range(0, RUNS, 4):
        failed += failures([(case, run(server, *case)) for case in islice(chosen, 4)])
        print(f"{done + 4} runs, failed: {failed}", flush=True)
    assert not failed
