"""SDKs as their users have them, through our transports, against a server of ours: hints are obeyed, every send is ours."""

from __future__ import annotations

import asyncio
import json

import pytest
import reknock
from reknock import testing

from .conftest import status

openai = pytest.importorskip("openai")
anthropic = pytest.importorskip("anthropic")
genai = pytest.importorskip("google.genai")
mistralai = pytest.importorskip("mistralai.client")
httpx2 = pytest.importorskip("httpx2")

import reknock.httpx2

OPENAI = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
}
ANTHROPIC = {
    "id": "1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
}
GENAI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP"}]}
MESSAGES = [{"role": "user", "content": "hi"}]


def client(**options):
    return httpx2.Client(transport=reknock.httpx2.RetryTransport(policy={**llm(), **options}))


def aclient(**options):
    return httpx2.AsyncClient(transport=reknock.httpx2.AsyncRetryTransport(policy={**llm(), **options}))


def llm():
    return {**reknock.Policy.preset("llm").to_dict(), "budget": "none"}


def by_openai(url):
    sdk = openai.OpenAI(api_key="k", base_url=url, http_client=client(), max_retries=0)
    return sdk.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content


def by_async_openai(url):
    async def main():
        sdk = openai.AsyncOpenAI(api_key="k", base_url=url, http_client=aclient(), max_retries=0)
        return (await sdk.chat.completions.create(model="m", messages=MESSAGES)).choices[0].message.content

    return asyncio.run(main())


def by_anthropic(url):
    sdk = anthropic.Anthropic(api_key="k", base_url=url, http_client=client(), max_retries=0)
    return sdk.messages.create(model="m", max_tokens=9, messages=MESSAGES).content[0].text


def by_genai(url):
    options = genai.types.HttpOptions(base_url=url, client_args={"transport": reknock.httpx2.RetryTransport(policy=llm())})
    with genai.Client(api_key="k", http_options=options) as sdk:
        return sdk.models.generate_content(model="m", contents="hi").text


def by_mistral(url):
    sdk = mistralai.Mistral(api_key="k", server_url=url, client=client())
    return sdk.chat.complete(model="m", messages=MESSAGES).choices[0].message.content


SDKS = {by_openai: OPENAI, by_async_openai: OPENAI, by_anthropic: ANTHROPIC, by_genai: GENAI, by_mistral: {**OPENAI, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}}


def answer(body, code=200, headers=()):
    return status(code, json.dumps(body), headers=[["content-type", "application/json"], *headers])


@pytest.fixture(params=SDKS, ids=lambda sdk: sdk.__name__)
def sdk(request):
    return request.param


def test_a_hint_is_obeyed(sdk, serve):
    script = serve(answer({"error": {}}, 429, [["retry-after", "7"]]), answer({"error": {}}, 500), answer(SDKS[sdk]))
    with testing.no_wait() as waits:
        assert sdk(script.url) == "hello"
    assert len(script.log()) == 3 and 7 <= waits[0] <= 7.7 and waits[1] <= 8


def test_every_send_is_ours(sdk, serve):
    script = serve(answer({"error": {"message": "busy"}}, 503))
    with testing.no_wait() as waits, pytest.raises(Exception) as caught:
        sdk(script.url)
    assert len(script.log()) == 3 and len(waits) == 2
    if sdk is not by_genai:
        records = reknock.attempts_of(caught.value) or reknock.attempts_of(getattr(caught.value, "raw_response", None))
        assert records.stop_reason == "retries_exhausted"


def test_a_hint_that_is_too_long(sdk, serve):
    script = serve(answer({"error": {}}, 429, [["retry-after", "121"]]))
    with testing.no_wait() as waits, pytest.raises(Exception):
        sdk(script.url)
    assert (len(script.log()), waits) == (1, [])


@pytest.mark.parametrize("said, sends", [("false", 1), ("true", 3)])
def test_what_the_server_says_of_retries(sdk, serve, said, sends):
    script = serve(answer({"error": {}}, 503 if said == "false" else 418, [["x-should-retry", said]]))
    with testing.no_wait(), pytest.raises(Exception):
        sdk(script.url)
    assert len(script.log()) == sends


def test_their_own_loop_is_noted(serve):
    """Two loops multiply; ours sees theirs by the number that they send."""
    script = serve(answer({"error": {}}, 503))
    sdk = openai.OpenAI(api_key="k", base_url=script.url, http_client=client(max_retries=0, backoff="1ms"), max_retries=1)
    with testing.no_wait(), pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model="m", messages=MESSAGES)
    assert len(script.log()) == 2 and reknock.attempts_of(caught.value).attempts[0].outer_retry == 1
