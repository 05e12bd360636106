"""What SDKs stream, through our adapters: after a refusal with a hint each piece arrives before the server sends the next, in two sends."""

from __future__ import annotations

import asyncio
import inspect
import json
import struct
import threading
import zlib

import pytest
import reknock
from reknock import testing

from .conftest import peer
from .test_sdks import GENAI, MESSAGES, OPENAI, aclient, anthropic, client, genai, llm, mistralai, openai

boto3 = pytest.importorskip("boto3")

import reknock.botocore
import reknock.httpx2

WORDS = ("one", "two")


def by_openai(url, got):
    sdk = openai.OpenAI(api_key="k", base_url=url, http_client=client(), max_retries=0)
    for chunk in sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True):
        got(chunk.choices[0].delta.content)


async def by_async_openai(url, got):
    sdk = openai.AsyncOpenAI(api_key="k", base_url=url, http_client=aclient(), max_retries=0)
    async for chunk in await sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True):
        got(chunk.choices[0].delta.content)


def by_anthropic(url, got):
    sdk = anthropic.Anthropic(api_key="k", base_url=url, http_client=client(), max_retries=0)
    for event in sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True):
        got(event.delta.text)


async def by_async_anthropic(url, got):
    sdk = anthropic.AsyncAnthropic(api_key="k", base_url=url, http_client=aclient(), max_retries=0)
    async for event in await sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES, stream=True):
        got(event.delta.text)


def google(url):
    transports = {"client_args": reknock.httpx2.RetryTransport, "async_client_args": reknock.httpx2.AsyncRetryTransport}
    return genai.Client(api_key="k", http_options={"base_url": url, **{name: {"transport": make(policy=llm())} for name, make in transports.items()}})


def by_genai(url, got):
    with google(url) as sdk:
        for chunk in sdk.models.generate_content_stream(model="m", contents="hi"):
            got(chunk.text)


async def by_async_genai(url, got):
    async with google(url).aio as sdk:
        async for chunk in await sdk.models.generate_content_stream(model="m", contents="hi"):
            got(chunk.text)


def by_mistral(url, got):
    for event in mistralai.Mistral(api_key="k", server_url=url, client=client()).chat.stream(model="m", messages=MESSAGES):
        got(event.data.choices[0].delta.content)


async def by_async_mistral(url, got):
    sdk = mistralai.Mistral(api_key="k", server_url=url, async_client=aclient())
    async for event in await sdk.chat.stream_async(model="m", messages=MESSAGES):
        got(event.data.choices[0].delta.content)


def amazon(service, url):
    about = {"region_name": "us-east-1", "endpoint_url": url, "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    return reknock.botocore.install(boto3.client(service, **about), {"budget": "none"})


def by_bedrock(url, got):
    answer = amazon("bedrock-runtime", url).converse_stream(modelId="m", messages=[{"role": "user", "content": [{"text": "hi"}]}])
    for event in answer["stream"]:
        got(event["contentBlockDelta"]["delta"]["text"])


def by_s3(url, got):
    for piece in amazon("s3", url).get_object(Bucket="b", Key="k")["Body"].iter_chunks(3):
        got(piece.decode())


def lines(*documents, kind=None):
    """Server-sent events."""
    return [b"".join([f"event: {kind}\n".encode()] * bool(kind) + [b"data: ", json.dumps(document).encode(), b"\n\n"]) for document in documents]


def frame(document):
    """An event as Amazon frames it: lengths, header fields and payload, with a checksum of the lengths and one of all."""
    about = {":message-type": "event", ":event-type": "contentBlockDelta", ":content-type": "application/json"}
    fields = b"".join(struct.pack(f">B{len(name)}sBH{len(value)}s", len(name), name.encode(), 7, len(value), value.encode()) for name, value in about.items())
    payload = json.dumps(document).encode()
    lengths = struct.pack(">II", 16 + len(fields) + len(payload), len(fields))
    whole = lengths + struct.pack(">I", zlib.crc32(lengths)) + fields + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


SSE = "text/event-stream"
CHAT = SSE, lines(*({**OPENAI, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in WORDS)), b"data: [DONE]\n\n"
DELTA = "content_block_delta"
CLAUDE = SSE, lines(*({"type": DELTA, "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS), kind=DELTA), b""
GEMINI = SSE, lines(*({**GENAI, "candidates": [{"content": {"role": "model", "parts": [{"text": word}]}}]} for word in WORDS)), b""
BEDROCK = "application/vnd.amazon.eventstream", [frame({"contentBlockIndex": 0, "delta": {"text": word}}) for word in WORDS], b""
S3 = "text/plain", [word.encode() for word in WORDS], b""

# What each is answered with: a type, two pieces, what ends them.
STREAMS = {
    by_openai: CHAT, by_async_openai: CHAT, by_anthropic: CLAUDE, by_async_anthropic: CLAUDE, by_genai: GEMINI, by_async_genai: GEMINI,
    by_mistral: CHAT, by_async_mistral: CHAT, by_bedrock: BEDROCK, by_s3: S3,
}


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Service:
    """Refuses a first send; the second gets a stream, whose second piece is sent once the first was received."""

    def __init__(self, kind, pieces, end):
        self.kind, self.pieces, self.end = kind, pieces, end
        self.sends, self.received = 0, threading.Event()

    def __call__(self, connection):
        with connection.makefile("rwb") as stream:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.lower().partition(b":")
                length = int(value) if name == b"content-length" else length
            # What is left unread when a connection is closed would reset it.
            stream.read(length)
            self.sends += 1
            if self.sends == 1:
                stream.write(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                return
            stream.write(f"HTTP/1.1 200 OK\r\ncontent-type: {self.kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode())
            first, second = self.pieces
            stream.write(chunk(first))
            stream.flush()
            assert self.received.wait(30)
            stream.write(chunk(second + self.end) + chunk(b""))


@pytest.mark.parametrize("sdk", STREAMS, ids=lambda sdk: sdk.__name__)
def test_pieces_arrive_as_they_come(sdk):
    words, service = [], Service(*STREAMS[sdk])

    def got(word):
        words.append(word)
        service.received.set()

    with peer(service) as url, testing.no_wait() as waits:
        if inspect.iscoroutinefunction(sdk):
            asyncio.run(sdk(url, got))
        else:
            sdk(url, got)
    assert words == list(WORDS) and service.sends == 2 and len(waits) == 1 and 1 <= waits[0] <= 1.1
