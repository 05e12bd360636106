"""What many calls and large bodies leave behind: nothing, and never much at a time. Each in a process of its own."""

from __future__ import annotations

import re
import socket
import threading

import pytest

from .conftest import child, status

MIB = 1 << 20
GIB = 1 << 30

MEASURE = """
import gc
MIB = 1 << 20
def rss():
    gc.collect()
    return int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
def peak(): return next(int(line.split()[1]) * 1024 for line in open('/proc/self/status') if line.startswith('VmHWM'))
"""


def measured(code, url):
    with child(MEASURE + code, url) as process:
        out, err = process.communicate(timeout=100)
    assert out, err
    return int(out)


# A script keeps what was sent: it is changed for a new one now and then.
SCRIPTED = """
from reknock.testing import Script
client, concurrent = reknock.Client(policy=FAST), reknock.AsyncClient(policy=FAST)
async def ask(attempt): return None
async def main(calls):
    for _ in range(calls // 500):
        with Script([503, 200, 200]):
            for _ in range(10):
                await asyncio.gather(*(concurrent.get(URL, retry_if=ask if number % 10 else None) for number in range(25)))
            for number in range(250): client.get(URL, headers={'x-number': str(number)})
asyncio.run(main(10_000))
before = rss()
asyncio.run(main(90_000))
print(rss() - before)
"""

ON_SOCKETS = """
client, concurrent = reknock.Client(policy=FAST), reknock.AsyncClient(policy=FAST)
async def main(rounds):
    for _ in range(rounds):
        await asyncio.gather(*(concurrent.post(URL, json=[1]) for _ in range(32)))
        for _ in range(8): client.get(URL)
asyncio.run(main(50))
before = rss()
asyncio.run(main(250))
print(rss() - before)
"""


@pytest.mark.timeout(120)
def test_many_calls_leave_nothing():
    assert measured(SCRIPTED, "http://service.test/") < 5 * MIB


def test_calls_on_sockets_leave_nothing(serve):
    assert measured(ON_SOCKETS, serve(status(200, "x" * 1000)).url) < 5 * MIB


# Each failure is an exception whose traceback knows all that the call had. Of objects, not of pages: a few calls show it.
FAILING = """
import gc, logging, weakref
logging.getLogger('reknock').addHandler(logging.NullHandler())
left = []
class Told(Exception): pass
def retry_if(attempt): raise Told
def failed(error): left.append(weakref.ref(error))
ASKED = {}, {'on_event': lambda event: None}, {'retry_if': lambda attempt: None}, {'retry_if': retry_if}, {'policy': False}
def block(client):
    for options in ASKED:
        try: client.get(URL, **options)
        except (reknock.HTTPError, Told) as error: failed(error)
        try:
            with client.stream('GET', URL, **options): pass
        except (reknock.HTTPError, Told) as error: failed(error)
async def wait(client):
    for options in ASKED:
        try: await client.get(URL, **options)
        except (reknock.HTTPError, Told) as error: failed(error)
        try:
            async with client.stream('GET', URL, **options): pass
        except (reknock.HTTPError, Told) as error: failed(error)
block(reknock.Client(policy=FAST))
asyncio.run(wait(reknock.AsyncClient(policy=FAST)))
assert len(left) == 4 * len(ASKED), left
gc.collect()
print(sum(error() is not None for error in left))
"""


def test_failed_calls_leave_nothing():
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        assert measured(FAILING, f"http://127.0.0.1:{refusing.getsockname()[1]}/") == 0


def giant(server):
    """Answers each request with a GiB, after reading its body."""
    piece = bytes(MIB)
    for _ in range(4):
        connection = server.accept()[0]
        with connection, connection.makefile("rb", MIB) as stream:
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = int((re.search(rb"content-length: (\d+)", head) or [b"", b"0"])[1])
            while length:
                length -= len(stream.read(min(length, MIB)))
            if b"x-large" not in head:
                connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")
                continue
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % GIB)
            for _ in range(GIB // MIB):
                connection.sendall(piece)


# What a program has of address space when it asks for more of it: room for the rest of the interpreter.
SHORT = """
import json, mimetypes, resource, urllib.parse
large, array = 'x' * (100 * MIB), bytearray(100 * MIB)
reknock.post(URL, content=b'a')
def attempt(**options):
    try: answer = reknock.post(URL, **options)
    except (MemoryError, reknock.InvalidRequest) as error: return type(error).__name__
    return answer.status_code
used = int(open('/proc/self/statm').read().split()[0]) * os.sysconf('SC_PAGE_SIZE')
resource.setrlimit(resource.RLIMIT_AS, (used + 50 * MIB,) * 2)
"""

REQUESTS = {
    "json={'a': large}": "MemoryError",
    "data={'a': large}": "MemoryError",
    "content=array": "MemoryError",
    "params={'a': large}": "InvalidRequest",
    "headers={'x-a': large}": "InvalidRequest",
    "content=large": "200",
    "data=large": "200",
    "files={'a': large}": "200",
    "data={'a': large}, files={'b': b'1'}": "200",
}


@pytest.mark.parametrize("options", REQUESTS)
def test_a_request_that_memory_has_no_room_for(giants, options):
    with child(MEASURE + SHORT + f"try: said = attempt({options})\nexcept MemoryError as error: said = 'MemoryError'\nprint(said)", giants) as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, out.strip()) == (0, REQUESTS[options]), err


# A streamed body is read whole, and a piece that Python has no room for.
READS = """
import resource
from reknock.testing import Script, Step
script = Script([Step(200, content=b'x' * (100 * MIB))])
client, concurrent = reknock.Client(transport=script), reknock.AsyncClient(transport=script)
def whole(): return client.get(URL).content
def streamed():
    with client.stream('GET', URL) as response: return response.read()
def shown():
    found = []
    client.get(URL, with_body=True, retry_if=lambda attempt: found.append(attempt.content))
    return found
async def loop():
    async with concurrent.stream('GET', URL) as response: return await response.aread()
asyncio.run(asyncio.sleep(0))
used = int(open('/proc/self/statm').read().split()[0]) * os.sysconf('SC_PAGE_SIZE')
resource.setrlimit(resource.RLIMIT_AS, (used + 50 * MIB,) * 2)
"""


@pytest.mark.parametrize("read", ["whole()", "streamed()", "shown()", "asyncio.run(loop())"])
def test_a_response_that_memory_has_no_room_for(read):
    with child(MEASURE + READS + f"try: {read}\nexcept (MemoryError, reknock.ResponseTooLarge): print('said')", "http://a.test/") as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, out.strip()) == (0, "said") and "Panic" not in err, err


@pytest.fixture
def giants():
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=giant, args=(server,), daemon=True)
        thread.start()
        yield "http://127.0.0.1:%d/" % server.getsockname()[1]


LARGE = {
    "download": "with reknock.Client().stream('GET', URL, headers={'x-large': '1'}) as r: size = sum(map(len, r.iter_bytes()))",
    "async download": "async def main():\n    async with reknock.AsyncClient().stream('GET', URL, headers={'x-large': '1'}) as r: return sum([len(p) async for p in r.aiter_bytes()])\nsize = asyncio.run(main())",
    "upload": "size = reknock.put(URL, content=lambda: (bytes(MIB) for _ in range(1024)), headers={'content-length': str(1 << 30)}).elapsed and 1 << 30",
    "upload of a file": "import tempfile\nwith tempfile.TemporaryFile() as file:\n    file.truncate(1 << 30)\n    size = reknock.put(URL, content=file).elapsed and 1 << 30",
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", LARGE)
def test_large_bodies_are_never_in_memory(giants, name):
    assert measured(LARGE[name] + "\nassert size == 1 << 30\nprint(peak())", giants) < 60 * MIB
