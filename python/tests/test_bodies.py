"""Bodies that are produced or read piece by piece."""

from __future__ import annotations

import asyncio
import hashlib
import io
import traceback

import pytest
import reknock

from .conftest import FAST, status

ECHO, NO, DONE = {"do": "echo"}, status(503), status(200, "done")
BIG = bytes(range(256)) * 8192


def pieces(count=4):
    for index in range(count):
        yield b"piece %d " % index


async def async_pieces(count=4):
    for index in range(count):
        await asyncio.sleep(0)
        yield b"piece %d " % index


ALL = b"".join(pieces()).decode()


def sent(script):
    return [arrival["body_sha256"] for arrival in script.log()]


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("make", [lambda: pieces(), lambda: list(pieces()), lambda: pieces, lambda: lambda: list(pieces()), lambda: lambda: ALL])
def test_iterables_and_factories(serve, call, make):
    script = serve(NO, ECHO)
    echo = call("PUT", script.url, content=make()).json()
    assert echo["body"] == ALL and sent(script) == [digest(ALL.encode())] * 2


@pytest.mark.parametrize("make", [lambda: async_pieces(), lambda: async_pieces])
def test_async_iterables(serve, make):
    script = serve(NO, ECHO)

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            return await client.put(script.url, content=make())

    assert asyncio.run(main()).json()["body"] == ALL and len(sent(script)) == 2


def test_an_iterator_that_is_too_large_is_sent_once(serve, call):
    script = serve(NO)
    response = call("PUT", script.url, content=iter([BIG]))
    assert (response.status_code, response.stop_reason) == (503, "body_not_replayable") and len(sent(script)) == 1


def test_a_large_factory_and_file_are_sent_again(serve, call, tmp_path):
    (tmp_path / "big").write_bytes(b"skipped" + BIG)
    for make in (lambda file: file, lambda file: lambda: iter([BIG[:100], BIG[100:]])):
        script = serve(NO, ECHO)
        with open(tmp_path / "big", "rb") as file:
            file.seek(7)
            assert call("PUT", script.url, content=make(file)).json()["body_size"] == len(BIG)
        assert sent(script) == [digest(BIG)] * 2


def test_a_factory_must_make_a_new_iterator_each_time(serve, call, tmp_path):
    once = pieces()
    with pytest.raises(TypeError, match="made the same iterator again"):
        call("PUT", serve(NO, ECHO).url, content=lambda: once)
    (tmp_path / "lines").write_bytes(b"a\nb\n")
    with open(tmp_path / "lines", "rb") as file:
        # What can be set back may be the same: it is.
        file.readline()
        assert call("PUT", serve(NO, ECHO).url, content=lambda: file).json()["body"] == "b\n"


def test_file_like_objects_have_a_length(serve, call):
    script = serve(ECHO)
    headers = dict(call("PUT", script.url, content=io.BytesIO(b"12345")).json()["headers"])
    assert headers["content-length"] == "5"


def broken():
    yield b"a"
    raise LookupError("mine")


async def async_broken():
    yield b"a"
    raise LookupError("mine")


def test_an_iterator_that_raises_ends_the_call_with_its_exception(serve, call):
    script = serve(DONE)
    for content in (broken(), broken):
        with pytest.raises(LookupError, match="mine") as caught:
            call("PUT", script.url, content=content)
        assert "broken" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_an_async_iterator_that_raises(serve):
    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            await client.put(serve(DONE).url, content=async_broken())

    with pytest.raises(LookupError, match="mine"):
        asyncio.run(main())


def test_an_iterator_of_something_else(serve, call):
    with pytest.raises(TypeError, match="must yield bytes or str, not int"):
        call("PUT", serve(DONE).url, content=iter([1]))
    with pytest.raises(TypeError, match="a body must be bytes"):
        call("PUT", serve(DONE).url, content=object.__new__(object))


@pytest.mark.parametrize("make", [lambda: async_pieces(), lambda: async_pieces])
def test_an_async_iterable_in_a_blocking_client(serve, make):
    with reknock.Client(policy=FAST) as client, pytest.raises(TypeError, match="an asynchronous body needs an AsyncClient"):
        client.put(serve(DONE).url, content=make())


def test_files_of_text(serve, call, tmp_path):
    """Their sizes are not those of what they give: refused, also where it would happen to fit."""
    (tmp_path / "text").write_bytes(b"a\r\nb\r\n")
    script = serve(DONE)
    with open(tmp_path / "text") as text:
        for file in (text, io.StringIO("\u00e9"), io.StringIO("plain")):
            for body in ({"content": file}, {"files": {"file": file}}):
                with pytest.raises(TypeError, match="must be opened in binary mode"):
                    call("PUT", script.url, **body)
    assert not sent(script)


def test_a_slow_producer_is_cut_by_the_deadline(serve):
    async def slow():
        yield b"a"
        await asyncio.Event().wait()

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client:
            with pytest.raises(reknock.DeadlineExceeded):
                await client.put(serve(DONE).url, content=slow(), timeout=0.1)

    asyncio.run(main())


def test_multipart(serve, call, tmp_path):
    (tmp_path / "b.txt").write_text("of the file")
    script = serve(NO, ECHO)
    with open(tmp_path / "b.txt", "rb") as file:
        files = [("one", b"bytes"), ("two", ("a.json", "{}")), ("three", ("c", iter([b"x"]), "text/x")), ("four", file)]
        echo = call("PUT", script.url, data={"field": "value"}, files=files).json()
    content_type = dict(echo["headers"])["content-type"]
    boundary = content_type.removeprefix("multipart/form-data; boundary=")
    parts = [part.strip("\r\n") for part in echo["body"].split(f"--{boundary}")[1:-1]]
    assert parts[0] == 'content-disposition: form-data; name="field"\r\n\r\nvalue'
    assert parts[1] == 'content-disposition: form-data; name="one"; filename="upload"\r\ncontent-type: application/octet-stream\r\n\r\nbytes'
    assert parts[2] == 'content-disposition: form-data; name="two"; filename="a.json"\r\ncontent-type: application/json\r\n\r\n{}'
    assert parts[3] == 'content-disposition: form-data; name="three"; filename="c"\r\ncontent-type: text/x\r\n\r\nx'
    assert parts[4] == 'content-disposition: form-data; name="four"; filename="b.txt"\r\ncontent-type: text/plain\r\n\r\nof the file'


def streamed(url, read, **options):
    with reknock.Client(policy=FAST) as client, client.stream("GET", url, **options) as response:
        blocking = (response.status_code, len(response.attempts), read(response))

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client, client.stream("GET", url, **options) as response:
            return response.status_code, len(response.attempts), await read(response)

    return blocking, asyncio.run(main())


def test_streams(serve):
    def read(response):
        return response.read() if isinstance(response, reknock.StreamingResponse) else response.aread()

    script = serve(NO, {"do": "status", "status": 200, "body_size": 300_000}, NO, {"do": "status", "status": 200, "body_size": 300_000})
    blocking, concurrent = streamed(script.url, read)
    assert blocking == concurrent and blocking[:2] == (200, 2) and len(blocking[2]) == 300_000


def test_lines(serve):
    script = serve({"do": "status", "status": 200, "body": "one\r\ntwö\n\nfour", "drip": {"bytes": 1, "every": "1ms"}})

    async def collect(response):
        return [line async for line in response.aiter_lines()]

    def read(response):
        return list(response.iter_lines()) if isinstance(response, reknock.StreamingResponse) else collect(response)

    for result in streamed(script.url, read):
        assert result[2] == ["one", "twö", "", "four"]


@pytest.mark.parametrize("charset", ["hex", "zip", "rot13", "base64", "undefined", "idna", "punycode", "utf-16", "utf-32", "utf-7", "latin-1", "none"])
def test_lines_are_those_of_the_text(serve, charset):
    """The server chooses the charset: whatever it says, nothing raises."""
    script = serve(status(200, "caf\u00e9!!", headers=[["content-type", f"text/plain; charset={charset}"]], drip={"bytes": 3, "every": "1ms"}))
    with reknock.Client(policy=FAST) as client:
        text = client.get(script.url).text
        with client.stream("GET", script.url) as response:
            assert "".join(response.iter_lines()) == text


def test_a_stream_that_breaks_keeps_its_status(serve):
    cut = {"do": "status", "status": 200, "body": "x" * 100, "body_mode": "truncate-fin", "after": 50}
    with reknock.Client(policy=FAST) as client, client.stream("GET", serve(cut).url) as response:
        with pytest.raises(reknock.BodyError) as caught:
            response.read()
    assert caught.value.status_code == 200 and caught.value.attempts


def test_closing_a_stream_closes_its_connection(serve):
    drip = {"do": "status", "status": 200, "body_size": 1_000_000, "drip": {"bytes": 10, "every": "20ms"}}
    script = serve(drip)

    def leave(response):
        return None if isinstance(response, reknock.StreamingResponse) else asyncio.sleep(0)

    streamed(script.url, leave)
    script.until(lambda log: all("client_gone_ms" in arrival for arrival in log) and len(log) == 2)
    with reknock.Client() as client:
        with client.stream("GET", script.url) as response:
            pass
        with pytest.raises(reknock.StreamClosed):
            response.read()


def test_cancelling_a_read(serve):
    script = serve({"do": "status", "status": 200, "body": "x" * 100, "body_mode": "stall", "after": 50})

    async def main():
        async with reknock.AsyncClient(policy=FAST) as client, client.stream("GET", script.url) as response:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await response.aread()
            with pytest.raises(reknock.StreamClosed):
                await response.aread()

    asyncio.run(main())
