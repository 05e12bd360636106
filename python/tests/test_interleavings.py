"""What a call's coroutine does when several things happen to it at once: pieces of its body, questions, its end, and a cancel."""

from __future__ import annotations

import asyncio
import threading

import pytest
import reknock
import trio
from reknock import _trio
from reknock._loop import bridge

from .conftest import FAST, peer, received, status

NO = b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"
POLICY = {**FAST, "methods": "any", "timeout": "2s"}


class Drains:
    """Shows a test each time that the loop's bridge has handed out what had come."""

    def __init__(self):
        self.own = bridge()
        self.steps = [self.own.drain]
        self.event = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.own.fileno(), self.drain)

    def drain(self):
        for step in self.steps:
            step()
        self.event.set()

    async def next(self):
        self.event.clear()
        await self.event.wait()


class TrioDrains:
    """The same in trio."""

    def __init__(self):
        self.held = False
        self.waiting = []

    async def drain(self, own):
        while True:
            await trio.lowlevel.wait_readable(own.fileno())
            if not self.held:
                own.drain()
            while self.waiting:
                self.waiting.pop().set()

    async def next(self):
        self.waiting.append(trio.Event())
        await self.waiting[-1].wait()


@pytest.fixture
def drained_trio(monkeypatch):
    drains = TrioDrains()
    monkeypatch.setattr(_trio, "_drain", drains.drain)
    return drains


class Early:
    """Answers 503 to a request whose body is still coming, once it is told to."""

    def __init__(self):
        self.told = threading.Event()

    def __call__(self, connection):
        received(connection, b"\r\n\r\n")
        self.told.wait()
        connection.sendall(NO)
        received(connection, b"0\r\n\r\n")


def test_a_cancel_while_a_question_waits():
    """The question has come while the body was produced, which it does not interrupt; that cancel is the user's."""
    early = Early()

    async def main(url):
        drains, stuck = Drains(), asyncio.Event()

        async def pieces():
            yield b"first"
            early.told.set()
            await drains.next()
            stuck.set()
            await asyncio.Event().wait()

        async with reknock.AsyncClient(policy=POLICY, retry_if=lambda attempt: False) as client:
            task = asyncio.create_task(client.post(url, content=pieces()))
            await stuck.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert drains.own.in_flight == 0

    with peer(early) as url:
        asyncio.run(main(url))


@pytest.mark.parametrize("user_first", [False, True], ids=["the bridge first", "the user first"])
def test_a_cancel_together_with_the_end(serve, user_first):
    script = serve(status(503))

    async def main():
        drains, running = Drains(), asyncio.Event()

        async def retry_if(attempt):
            running.set()
            await asyncio.Event().wait()

        async with reknock.AsyncClient(policy=POLICY) as client:
            task = asyncio.create_task(client.get(script.url, retry_if=retry_if, timeout=0.1))
            await running.wait()
            drains.steps.insert(0 if user_first else 1, task.cancel)
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())


def test_a_callback_that_keeps_its_cancel(serve):
    """The call has ended all the same, and the task is left as it was."""
    script = serve(status(503))

    async def retry_if(attempt):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return True

    async def main():
        async with reknock.AsyncClient(policy=POLICY) as client:
            with pytest.raises(reknock.DeadlineExceeded):
                await client.get(script.url, retry_if=retry_if, timeout=0.1)
            assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


class Waiting(Early):
    """Its answer ends when it has got the whole request."""

    def __call__(self, connection):
        received(connection, b"\r\n\r\n")
        self.told.wait()
        connection.sendall(NO.replace(b"length: 0", b"length: 2"))
        received(connection, b"0\r\n\r\n")
        connection.sendall(b"no")


class Meeting:
    """An upload whose second piece is made while its early answer comes in, and a question that runs while the third is asked for."""

    def __init__(self, early, drained):
        self.early, self.drained = early, drained
        self.asked = []

    async def pieces(self):
        yield b"first"
        self.early.told.set()
        await self.drained()
        yield b"second"
        yield b"third"

    async def retry_if(self, attempt):
        self.asked.append(attempt.number)
        await self.drained()
        self.asked.append("answered")
        return reknock.STOP


def test_a_piece_waits_for_the_answer():
    early = Waiting()

    async def main(url):
        meeting = Meeting(early, Drains().next)
        async with reknock.AsyncClient(policy=POLICY) as client:
            response = await client.post(url, content=meeting.pieces(), retry_if=meeting.retry_if)
        assert (response.status_code, meeting.asked) == (503, [1, "answered"])

    with peer(early) as url:
        asyncio.run(main(url))


def test_a_piece_waits_for_the_answer_in_trio(drained_trio):
    early = Waiting()

    async def main(url):
        meeting = Meeting(early, drained_trio.next)
        async with reknock.AsyncClient(policy=POLICY) as client:
            response = await client.post(url, content=meeting.pieces(), retry_if=meeting.retry_if)
        assert (response.status_code, meeting.asked) == (503, [1, "answered"])

    with peer(early) as url:
        trio.run(main, url)


class Overtaken:
    """A call whose second attempt is answered while its body is stuck: the question waits for the body, and the deadline overtakes it."""

    def __init__(self):
        self.told = threading.Event()
        self.attempts, self.passes = 0, 0
        self.asked, self.events = [], []

    def __call__(self, connection):
        self.attempts += 1
        if self.attempts == 1:
            received(connection, b"0\r\n\r\n")
            connection.sendall(NO.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            return
        received(connection, b"\r\n\r\n")
        self.told.wait()
        connection.sendall(NO)
        received(connection, b"nothing more")

    async def pieces(self, drained, forever):
        self.passes += 1
        yield b"first"
        if self.passes == 1:
            return
        self.told.set()
        await drained()
        await forever()

    async def retry_if(self, attempt):
        self.asked.append(attempt.number)

    async def call(self, url, drained, forever):
        async with reknock.AsyncClient(policy=POLICY, retry_if=self.retry_if, on_event=lambda event: self.events.append(event.kind)) as client:
            with pytest.raises(reknock.DeadlineExceeded):
                await client.post(url, content=lambda: self.pieces(drained, forever), timeout=0.3)
            assert (self.asked, self.events, bridge().in_flight) == ([1], ["attempt_start", "attempt_end", "retry", "attempt_start", "attempt_end", "end"], 0)


def test_the_end_overtakes_a_question():
    overtaken = Overtaken()

    async def main(url):
        async with asyncio.timeout(5):
            await overtaken.call(url, Drains().next, asyncio.Event().wait)

    with peer(overtaken) as url:
        asyncio.run(main(url))


def test_the_end_overtakes_a_question_in_trio(drained_trio):
    overtaken = Overtaken()

    async def main(url):
        with trio.fail_after(5):
            await overtaken.call(url, drained_trio.next, trio.sleep_forever)

    with peer(overtaken) as url:
        trio.run(main, url)


def test_a_question_and_the_end_at_once(serve):
    """They are handed out in one go: the end is there before the task runs that the question wakes."""
    script = serve(status(503, "x" * 10, body_mode="stall"))

    async def retry_if(attempt):
        await asyncio.Event().wait()

    async def main():
        drains = Drains()
        drains.steps.clear()
        async with reknock.AsyncClient(policy=POLICY) as client, asyncio.timeout(5):
            task = asyncio.create_task(client.get(script.url, retry_if=retry_if, timeout=0.1))
            await asyncio.to_thread(script.until, lambda log: log and "client_gone_ms" in log[0])
            drains.steps.append(drains.own.drain)
            with pytest.raises(reknock.DeadlineExceeded):
                await task
        assert drains.own.in_flight == 0

    asyncio.run(main())


def test_a_question_and_the_end_at_once_in_trio(serve, drained_trio):
    script = serve(status(503, "x" * 10, body_mode="stall"))

    async def retry_if(attempt):
        await trio.sleep_forever()

    async def main():
        drained_trio.held = True
        async with reknock.AsyncClient(policy=POLICY) as client, trio.open_nursery() as nursery:

            async def call():
                with pytest.raises(reknock.DeadlineExceeded), trio.fail_after(5):
                    await client.get(script.url, retry_if=retry_if, timeout=0.1)

            nursery.start_soon(call)
            await trio.to_thread.run_sync(script.until, lambda log: log and "client_gone_ms" in log[0])
            drained_trio.held = False
        assert bridge().in_flight == 0

    trio.run(main)
