"""What is promised of HTTP/2 connections and of early answers, one by one."""

import asyncio
import time

import reknock

ONCE = reknock.Policy(max_retries=0, timeout="60s")


def client(server, http2=True, policy=ONCE, **options):
    return reknock.AsyncClient(policy=policy, proxy=None, verify=server.certificate, http2="auto" if http2 else None, cookies=False, **options)


async def at_once(server, calls=100):
    """A hundred calls at once, whatever number of streams the server takes: no failure, no retry. A first call has opened a connection."""
    async with client(server) as http:
        await http.get(f"{server.url(True)}/small")
        began = time.perf_counter()
        got = await asyncio.gather(*(http.get(f"{server.url(True)}/small") for _ in range(calls)), return_exceptions=True)
        took = time.perf_counter() - began
    good = sum(not isinstance(response, BaseException) and response.status_code == 200 for response in got)
    opened = sum(not isinstance(response, BaseException) and response.attempts[0].reused is False for response in got)
    return f"{good} of {calls} in {took * 1000:.0f} ms, {1 + opened} connections", good == calls


async def unread(server):
    """Three responses of 2 MB that nobody reads, and a GET beside them."""
    async with client(server) as http:
        streams = [http.stream("GET", f"{server.url(True)}/large") for _ in range(3)]
        responses = [await stream.__aenter__() for stream in streams]
        # Until the windows are full.
        await asyncio.sleep(0.5)
        began = time.perf_counter()
        response = await http.get(f"{server.url(True)}/small")
        took = (time.perf_counter() - began) * 1000
        opened = sum(r.attempts[0].reused is False for r in [*responses, response])
        sizes = [len(await r.aread()) for r in responses]
        for stream in streams:
            await stream.__aexit__(None, None, None)
    return f"{took:.0f} ms, {opened} connections", response.status_code == 200 and took < 1000 and sizes == [2_000_000] * 3


class Relay:
    """Hands bytes on, until it is told to leave the connections that it has in silence."""

    def __init__(self, port):
        self.to, self.ways, self.silent = port, [], False

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        for way in self.ways:
            way.cancel()

    def silence(self):
        for way in self.ways:
            way.cancel()

    async def accept(self, reader, writer):
        there, back = await asyncio.open_connection("127.0.0.1", self.to)
        # Cancelled, they keep their sockets open and hand nothing on.
        self.kept = [*getattr(self, "kept", []), writer, back]
        self.ways += [asyncio.ensure_future(self.hand_on(reader, back)), asyncio.ensure_future(self.hand_on(there, writer))]

    async def hand_on(self, reader, writer):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()


async def silence(server, limit):
    """A connection that falls silent: the attempt ends by its limit, or by the pings; the next one goes down a new connection."""
    if limit:
        policy, ping = reknock.Policy(max_retries=1, backoff=False, per_try_timeout="500ms"), 60
    else:
        policy, ping = reknock.Policy(max_retries=1, backoff=False), 0.5
    async with Relay(server.secure) as relay, client(server, policy=policy, http2_ping=ping) as http:
        url = f"https://127.0.0.1:{relay.port}/small"
        await http.get(url)
        relay.silence()
        response = await http.get(url)
        after = await http.get(url)
    first, *others = response.attempts
    good = len(others) == 1 and first.reused and others[0].reused is False and len(after.attempts) == 1
    return f"attempt {1 + len(others)} after {first.error}: {response.status_code}", good and response.status_code == after.status_code == 200


async def early(server, http2, size, calls=50):
    """A 413 that comes while the body goes up."""
    content, answers = b"x" * size, 0
    policy = reknock.Policy(max_retries=server.retries, timeout="60s", budget=None)
    async with client(server, http2, policy) as http:
        for _ in range(calls):
            try:
                response = await asyncio.wait_for(http.put(f"{server.url(http2)}/early", content=content), 30)
            except (reknock.RequestError, TimeoutError):
                continue
            answers += response.status_code == 413
    return f"{answers} of {calls}", answers == calls
