"""Blocking calls run on the calling thread alone."""

from __future__ import annotations

import threading

import pytest
import reknock

from .conftest import FAST, child, status

DONE = status(200, "done")
LARGE = {"do": "status", "status": 200, "body_size": 3_000_000}


def test_a_stream_is_read_by_another_thread(serve):
    script, sizes = serve(LARGE, DONE), []
    with reknock.Client(policy=FAST) as client, client.stream("GET", script.url) as response:
        assert client.get(script.url).text == "done"
        thread = threading.Thread(target=lambda: sizes.append(len(response.read())))
        thread.start()
        thread.join()
        assert sizes == [3_000_000] and response.read() == b""
        assert client.get(script.url).text == "done"
    assert len({arrival["connection"] for arrival in script.log()}) == 2


def test_what_is_given_up_is_closed_at_once(serve):
    script = serve(LARGE, {**LARGE, "status": 503, "body_mode": "stall"})
    client = reknock.Client(policy=FAST)
    with client.stream("GET", script.url) as response:
        next(response.iter_bytes())
    script.until(lambda log: script.open() == 0)

    def raises(attempt):
        raise KeyError("no")

    with pytest.raises(KeyError):
        client.get(script.url, retry_if=raises)
    script.until(lambda log: script.open() == 0)


def test_callbacks_and_bodies_may_make_calls(serve):
    script, other = serve(status(503), DONE), serve(DONE)
    client = reknock.Client(policy=FAST)

    def pieces():
        yield client.get(other.url).content

    response = client.put(script.url, content=pieces(), retry_if=lambda attempt: client.get(other.url).status_code == 200 and attempt.status_code == 503)
    assert response.text == "done" and len(response.attempts) == 2
    assert len(other.log()) == 3


def test_an_event_is_told_before_its_wait(serve):
    script, client = serve(status(503), DONE), reknock.Client(policy={"backoff": "30s", "budget": "none"})
    with pytest.raises(reknock.ClientClosed):
        client.get(script.url, on_event=lambda event: event.kind == "retry" and client.close())
    assert len(script.log()) == 1


ALONE = """
client = reknock.Client(policy=FAST)
client.get(URL)
with client.stream('GET', URL) as response: response.read()
print(len(os.listdir('/proc/self/task')))
"""


def test_no_thread_is_started(serve):
    """But for the one that closes what nobody uses."""
    with child(ALONE, serve(DONE).url) as process:
        out, err = process.communicate(timeout=30)
    assert out in ("1\n", "2\n"), err


def test_ctrl_c_while_a_stream_is_read(serve):
    script = serve({"do": "status", "status": 200, "body_size": 1000, "body_mode": "stall"})
    code = "client = reknock.Client()\ntry:\n    with client.stream('GET', URL) as response: response.read()\nexcept KeyboardInterrupt: print('interrupted', flush=True)\nsys.stdin.read()"
    with child(code, script.url) as process:
        script.until(bool)
        process.send_signal(2)
        assert process.stdout.readline() == "interrupted\n"
        script.until(lambda log: script.open() == 0)
        process.communicate("", timeout=5)
