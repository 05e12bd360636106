"""The code of docs/sdk, as it stands there: its hint obeyed, each send one of ours, and the SDK's own loop off."""

from __future__ import annotations

import json
import re

import pytest
from reknock import testing

from .conftest import ROOT, status
from .test_sdks import ANTHROPIC, GENAI, OPENAI

for needed in ("openai", "anthropic", "google.genai", "mistralai.client", "huggingface_hub", "langchain_openai", "langchain_anthropic", "boto3"):
    pytest.importorskip(needed)

PAGES = ROOT / "docs/sdk"
USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
BUCKETS = "<ListAllMyBucketsResult><Buckets><Bucket><Name>hello</Name></Bucket></Buckets></ListAllMyBucketsResult>"

# What each block is answered with in the end, and how its client is told where: arguments that are put in.
BLOCKS = [
    ("openai", 0, OPENAI, {"openai.OpenAI(": "base_url=URL, api_key='k', "}),
    ("anthropic", 0, ANTHROPIC, {"anthropic.Anthropic(": "base_url=URL, api_key='k', "}),
    ("google-genai", 0, GENAI, {"genai.Client(": "api_key='k', ", "HttpOptions(": "base_url=URL, "}),
    ("mistral", 0, {**OPENAI, "usage": USAGE}, {"Mistral(": "server_url=URL, api_key='k', "}),
    ("huggingface-hub", 0, {"name": "hello"}, {"HfApi(": "endpoint=URL, token='k'"}),
    ("langchain", 0, OPENAI, {"ChatOpenAI(": "base_url=URL, api_key='k', "}),
    ("langchain", 1, ANTHROPIC, {"ChatAnthropic(": "base_url=URL, api_key='k', "}),
    ("boto3", 0, BUCKETS, {'client("s3"': ", endpoint_url=URL, region_name='a', aws_access_key_id='a', aws_secret_access_key='b'"}),
]


@pytest.fixture(autouse=True)
def no_request_of_its_own(monkeypatch):
    """huggingface-hub asks its hub for a list, once a day: no test talks to the world."""
    monkeypatch.setattr("huggingface_hub.utils._detect_agent._fetch_registry", lambda: None)


def code(page, number):
    return re.findall(r"```python\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.S)[number]


def answer(body, code=200, headers=()):
    text = body if isinstance(body, str) else json.dumps(body)
    return status(code, text, headers=[["content-type", "application/json"], *headers])


def run(page, number, told, script):
    text = code(page, number)
    for place, arguments in told.items():
        assert place in text
        text = text.replace(place, place + arguments, 1)
    exec(compile(text, f"docs/sdk/{page}.md", "exec"), {"URL": script.url.rstrip("/")})


@pytest.mark.parametrize(("page", "number", "body", "told"), BLOCKS, ids=[f"{page}-{number}" for page, number, *_ in BLOCKS])
def test_pages(serve, capsys, page, number, body, told):
    script = serve(answer({"error": {}}, 429, [["retry-after", "7"]]), answer({"error": {}}, 503), answer(body))
    with testing.no_wait() as waits:
        run(page, number, told, script)
    assert "hello" in capsys.readouterr().out
    assert len(script.log()) == 3 and 7 <= waits[0] <= 7.7 and len(waits) == 2


@pytest.mark.parametrize(("page", "number", "body", "told"), BLOCKS, ids=[f"{page}-{number}" for page, number, *_ in BLOCKS])
def test_every_send_is_ours(serve, page, number, body, told):
    script = serve(answer({"error": {"message": "busy"}}, 503))
    with testing.no_wait() as waits, pytest.raises(Exception):
        run(page, number, told, script)
    assert len(script.log()) == len(waits) + 1 == (4 if "max_retries\": 3" in code(page, number) else 3)


def test_every_page_is_run_and_listed():
    # "node" is run by Node.
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README", "node"}
    assert pages == {page for page, *_ in BLOCKS} and sum(text.count("```python") for text in map(text_of, pages)) == len(BLOCKS)
    assert all(f"({page}.md)" in text_of("README") for page in pages)


def text_of(page):
    return (PAGES / f"{page}.md").read_text()

