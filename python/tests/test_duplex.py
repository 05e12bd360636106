"""Streamed responses whose request is still going out."""

from __future__ import annotations

import asyncio
import threading
import traceback
from itertools import chain, repeat

import pytest
import reknock
import trio
from reknock._loop import bridge

from .conftest import FAST, peer, received

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\ntoo"
POLICY = {**FAST, "timeout": "5s"}


class Asyncio:
    Event = asyncio.Event

    @staticmethod
    def run(main):
        return asyncio.run(main())


class Trio:
    Event = trio.Event
    run = staticmethod(trio.run)


@pytest.fixture(params=[Asyncio, Trio], ids=["asyncio", "trio"])
def library(request):
    return request.param


def head_first(connection):
    """Says its head at once, and how much it got after the whole request."""
    request = received(connection, b"\r\n\r\n")
    connection.sendall(HEAD)
    if b"0\r\n\r\n" not in request:
        request += received(connection, b"0\r\n\r\n")
    said = b"it ended with " + request[-20:]
    connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said))


SAID = b"it ended with ond\r\n5\r\nthird\r\n0\r\n\r\n"


class Refusing:
    """Refuses a request whose body never ends, in two parts."""

    def __init__(self):
        self.told = threading.Event()

    def __call__(self, connection):
        received(connection, b"\r\n\r\n")
        connection.sendall(TOO_LARGE)
        self.told.wait()
        connection.sendall(b" large")
        received(connection, b"nothing more")


def test_the_upload_goes_on(library):
    async def main():
        there = library.Event()

        async def pieces():
            yield b"first"
            await there.wait()
            yield b"second"
            yield b"third"

        async with reknock.AsyncClient(policy=POLICY) as client:
            async with client.stream("POST", url, content=pieces()) as response:
                there.set()
                return response.status_code, await response.aread()

    with peer(head_first) as url:
        assert library.run(main) == (200, SAID)


def test_the_upload_goes_on_in_a_thread():
    there = []

    def pieces():
        yield b"first"
        while not there:
            yield b""
        yield b"second"
        yield b"third"

    with peer(head_first) as url, reknock.Client(policy=POLICY) as client, client.stream("POST", url, content=pieces()) as response:
        there.append(True)
        assert (response.status_code, response.read()) == (200, SAID)


def test_an_early_refusal_can_be_read(library):
    """The producer is stuck, which holds up nothing; leaving the block ends it."""
    refusing, ended = Refusing(), []

    async def pieces():
        try:
            yield b"first"
            await library.Event().wait()
        finally:
            ended.append(True)

    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            async with client.stream("POST", url, content=pieces()) as response:
                refusing.told.set()
                content = await response.aread()
                assert not ended
            assert ended and bridge().in_flight == 0
        return response.status_code, content

    with peer(refusing) as url:
        assert library.run(main) == (413, b"too large")


def test_an_early_refusal_can_be_read_in_a_thread():
    refusing = Refusing()
    with peer(refusing) as url, reknock.Client(policy=POLICY) as client:
        with client.stream("POST", url, content=chain([b"first"], repeat(b""))) as response:
            refusing.told.set()
            assert (response.status_code, response.read()) == (413, b"too large")


def test_a_producer_that_raises_before_the_head(library):
    async def broken():
        yield b"first"
        raise LookupError("mine")

    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            with pytest.raises(LookupError, match="mine") as caught:
                async with client.stream("PUT", url, content=broken):
                    pass
        assert "broken" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert bridge().in_flight == 0

    with peer(lambda connection: received(connection, b"0\r\n\r\n")) as url:
        library.run(main)


class Mine(BaseException):
    """No `Exception`."""


async def raises_mine():
    yield b"first"
    raise Mine


def runs_out():
    return next(iter(()))


@pytest.mark.parametrize(("content", "expected"), [(raises_mine, Mine), (runs_out, RuntimeError)])
def test_whatever_a_producer_raises_is_told(library, content, expected):
    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            with pytest.raises(expected):
                async with client.stream("PUT", url, content=content):
                    pass
        assert bridge().in_flight == 0

    with peer(lambda connection: received(connection, b"0\r\n\r\n")) as url:
        library.run(main)


def test_a_producer_that_raises_after_the_head(library):
    async def main():
        there = library.Event()

        async def broken():
            yield b"first"
            await there.wait()
            raise LookupError("mine")

        async with reknock.AsyncClient(policy=POLICY) as client:
            async with client.stream("POST", url, content=broken()) as response:
                there.set()
                with pytest.raises(LookupError, match="mine") as caught:
                    await response.aread()
        assert "broken" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]

    with peer(head_first) as url:
        library.run(main)


def test_a_producer_that_raises_after_the_head_in_a_thread():
    there = []

    def broken():
        yield b"first"
        while not there:
            yield b""
        raise LookupError("mine")

    with peer(head_first) as url, reknock.Client(policy=POLICY) as client, client.stream("POST", url, content=broken()) as response:
        there.append(True)
        with pytest.raises(LookupError, match="mine"):
            response.read()
        with pytest.raises(reknock.StreamClosed):
            response.read()


def test_the_block_is_left_with_what_it_raises(library):
    async def pieces():
        yield b"first"
        await library.Event().wait()

    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            with pytest.raises(LookupError, match="of the block"):
                async with client.stream("POST", url, content=pieces()):
                    raise LookupError("of the block")
        assert bridge().in_flight == 0

    with peer(head_first) as url:
        library.run(main)


def test_the_deadline_covers_the_producer_of_a_stream(library):
    async def pieces():
        yield b"first"
        await library.Event().wait()

    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            with pytest.raises(reknock.DeadlineExceeded):
                async with client.stream("POST", url, content=pieces(), timeout=0.1):
                    pass
        assert bridge().in_flight == 0

    with peer(lambda connection: received(connection, b"0\r\n\r\n")) as url:
        library.run(main)
