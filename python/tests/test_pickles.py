"""What goes from process to process: responses, exceptions, records."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import pytest
import reknock
from reknock.testing import Script, Step

URL = "http://service.test/"
AGAIN = [lambda value: pickle.loads(pickle.dumps(value)), copy.copy, copy.deepcopy]


@pytest.mark.parametrize("again", AGAIN)
def test_responses(call, again):
    steps = [Step(503, headers={"retry-after": "1"}), "reset", Step(200, content="ü", headers=[("x-a", "1"), ("x-a", "2"), ("x-b", "\xff")])]
    response = call("GET", URL, {"transport": Script(steps)})
    other = again(response)
    for name in ("status_code", "http_version", "headers", "url", "elapsed", "attempts", "stop_reason", "content", "text"):
        assert getattr(other, name) == getattr(response, name), name
    assert other.explain() == response.explain() and other.attempts[0].hint == 1 and other.headers.get_list("x-a") == ["1", "2"]


@pytest.mark.parametrize("again", AGAIN)
def test_exceptions(call, again):
    with pytest.raises(reknock.BodyError) as caught:
        call("GET", URL, {"transport": Script(["connect", Step(200, ends="cut")])})
    error = again(caught.value)
    assert type(error) is reknock.BodyError and str(error) == str(caught.value)
    for name in ("attempts", "stop_reason", "status_code", "kind"):
        assert getattr(error, name) == getattr(caught.value, name) is not None
    assert error.explain() == caught.value.explain()


@pytest.mark.parametrize("again", AGAIN)
def test_status_errors(call, again):
    response = call("GET", URL, {"transport": Script([404])})
    with pytest.raises(reknock.HTTPStatusError) as caught:
        response.raise_for_status()
    error = again(caught.value)
    assert str(error) == str(caught.value) and error.response.status_code == error.status_code == 404
    assert error.attempts == response.attempts and error.stop_reason == "not_retryable" and error.explain()


def test_what_another_version_pickled():
    with Script([200]):
        make, (state,) = reknock.get(URL).__reduce__()
        record, (fields,) = reknock.get(URL).attempts[0].__reduce__()
    with pytest.raises(ValueError, match="pickled by another version"):
        make((*state[:2], "HTTP/9", *state[3:]))
    with pytest.raises(ValueError, match="pickled by another version"):
        record((*fields[:6], "sent", *fields[7:]))


def fail(number):
    with Script(["reset"]):
        reknock.get(f"{URL}{number}", policy={"max_retries": number})


def test_an_exception_of_a_worker():
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(reknock.ReadError) as caught:
        pool.map(fail, [2])
    assert len(caught.value.attempts) == 3 and caught.value.stop_reason == "retries_exhausted"
