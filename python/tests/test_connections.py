"""How many connections a client has, and what they begin and end at."""

from __future__ import annotations

import asyncio
import pickle
import socket
import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import reknock

from .conftest import Either, peer, received, status


def test_calls_beyond_max_connections_wait(serve: Any) -> None:
    script = serve(status(200, delay="20ms"))
    # Their wait is no attempt's time.
    policy = {"per_try_timeout": "2s", "connect_timeout": "2s", "max_retries": 0}
    with reknock.Client(max_connections=2, policy=policy) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda _: client.get(script.url), range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert script.connections() == 2
    waited = [answer.attempts[0].waited for answer in answers]
    assert waited.count(None) == 2 and all(time is None or time >= 0 for time in waited)
    restored = pickle.loads(pickle.dumps(answers[-1].attempts[0]))
    assert restored.waited == answers[-1].attempts[0].waited


def test_likewise_in_an_event_loop_and_to_one_origin(serve: Any) -> None:
    script = serve(status(200, delay="20ms"))

    async def main() -> None:
        async with reknock.AsyncClient(max_connections_per_origin=2, policy=False) as client:
            await asyncio.gather(*(client.get(script.url) for _ in range(20)))

    asyncio.run(main())
    assert script.connections() == 2


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("closed", [False, True])
def test_connections_go_with_their_client(serve: Any, http2: bool, closed: bool) -> None:
    script = serve(status(200, "done"), tls="trusted", http2=http2)

    async def main() -> None:
        client = reknock.AsyncClient(ca_bundle=script.ca)
        assert (await client.get(script.url)).text == "done"
        if closed:
            await client.aclose()

    client = reknock.Client(ca_bundle=script.ca)
    assert client.get(script.url).text == "done"
    if closed:
        client.close()
    del client
    script.until(lambda _: script.open() == 0)
    asyncio.run(main())
    script.until(lambda _: script.open() == 0)


def test_their_wait_is_the_calls(serve: Any) -> None:
    script = serve({"do": "hang"})
    with reknock.Client(max_connections=1, policy=False) as client, ThreadPoolExecutor() as threads:
        first = threads.submit(client.get, script.url, timeout=30)
        script.until(bool)
        with pytest.raises(reknock.RequestError) as caught:
            client.get(script.url, timeout=0.05)
        attempt = caught.value.attempts[0]
        assert (caught.value.kind, attempt.evidence) == ("deadline", "not_sent")
        assert attempt.waited is not None and 0 < attempt.waited <= attempt.duration
        client.close()
        with pytest.raises(reknock.RequestError):
            first.result()


class Host(BaseHTTPRequestHandler):
    """Answers with the host that was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.headers["host"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("of", [str, Path])
def test_a_unix_socket_stands_for_every_host(call: Either, tmp_path: Path, of: Any) -> None:
    path = tmp_path / "http.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Host) as server:
        threading.Thread(target=server.serve_forever).start()
        answer = call("GET", "http://docker/version", {"unix_socket": of(path)})
        server.shutdown()
    assert (answer.text, answer.attempts[0].peer) == ("docker", None)


def test_the_server_sees_the_local_address(call: Either) -> None:
    def tell(connection: socket.socket) -> None:
        host = connection.getpeername()[0].encode()
        received(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + host)

    with peer(tell) as url:
        assert call("GET", url, {"local_address": "127.0.0.2"}).text == "127.0.0.2"
        assert call("GET", url, {"local_address": "127.0.0.3", "interface": "lo"}).text == "127.0.0.3"
        with pytest.raises(reknock.RequestError, match="from interface nowhere0: No such device"):
            call("GET", url, {"interface": "nowhere0", "policy": False})


@pytest.mark.parametrize(("options", "message"), [
    ({"max_connections": 0}, "max_connections: must be a whole number from 1 to 100000, got 0"),
    ({"max_connections_per_origin": "two"}, 'max_connections_per_origin: must be a whole number from 1 to 100000, got "two"'),
    ({"unix_socket": ""}, "unix_socket: must be a path that fits into a socket's address: not empty, below 108 bytes, without NUL, got \"\""),
    ({"unix_socket": "/run/x.sock", "proxy": "http://p"}, "proxy: cannot be where unix_socket says what to connect to; leave one of them out"),
    ({"interface": "not one"}, "interface: must be the name of a network interface: 1 to 15 bytes without spaces and slashes, such as eth0, got \"not one\""),
    ({"local_address": "127.0.0.1:80"}, 'local_address: must be an IP address, got "127.0.0.1:80"'),
])
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(reknock.ConfigError) as caught:
        reknock.Client(**options)
    assert str(caught.value) == message
