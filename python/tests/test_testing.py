"""Scripts in place of servers: `reknock.testing`."""

from __future__ import annotations

import asyncio
import threading

import pytest
import reknock
from reknock.testing import Script, Step

URL = "http://service.test/"
# Nothing listens there: who gets past a script fails.
NOBODY = "http://127.0.0.1:1/"
STEPS = {"backoff": {"kind": "linear", "base": "1h", "step": "1h", "max": "3h"}, "timeout": "none", "budget": "none"}


def test_a_script_answers_all_clients(call):
    before = reknock.Client(policy=STEPS)
    with Script([503, "reset", Step(201, headers={"x-a": "1"}, json={"a": 1})]) as script:
        response = call("POST", NOBODY, {"policy": {**STEPS, "methods": "any"}}, json=[1], headers={"x-b": "2"})
        assert (response.status_code, response.json(), response.headers["x-a"]) == (201, {"a": 1}, "1")
        assert [(sent.method, sent.url, sent.at, sent.json(), sent.headers["x-b"]) for sent in script.sends] == [
            ("POST", NOBODY, at, [1], "2") for at in (0, 3600, 10800)
        ]
        assert script.waits == (3600, 7200) == tuple(attempt.wait for attempt in response.attempts[:2])
        assert response.elapsed.total_seconds() == 10800 and script.remaining == 0
        assert before.get(NOBODY).status_code == 201 and reknock.get(NOBODY).status_code == 201
        assert repr(script) == "<Script, 5 sent, 0 steps remaining>"
    with pytest.raises(reknock.ConnectError):
        call("GET", NOBODY, {"policy": False})
    with pytest.raises(reknock.ConnectError):
        before.get(NOBODY, policy=False)


def test_a_script_as_transport(call):
    outer, own = Script([500]), Script([503, 200])
    with outer:
        assert call("GET", URL, {"transport": own}).status_code == 200
        assert call("GET", URL, {"transport": None, "policy": False}).status_code == 500
    assert (len(own.sends), len(outer.sends)) == (2, 1)
    with pytest.raises(TypeError):
        reknock.Client(transport=[503])


def test_scripts_within_scripts(call):
    with Script([500]), Script([404]) as inner:
        with inner:
            assert call("GET", URL).status_code == 404
        assert call("GET", URL).status_code == 404 and len(inner.sends) == 2


@pytest.mark.parametrize(
    ("step", "error", "seconds"),
    [
        ("connect", reknock.ConnectError, 0),
        ("connect_timeout", reknock.ConnectTimeout, 5),
        ("tls", reknock.TLSError, 0),
        ("reset", reknock.ReadError, 0),
        ("refused_stream", reknock.RefusedStream, 0),
        ("protocol", reknock.RemoteProtocolError, 0),
        ("per_try_timeout", reknock.ReadTimeout, 0),
        ("body", reknock.BodyError, 0),
        ("hang", reknock.ReadTimeout, 20),
        (Step(200, content="half", ends="cut"), reknock.BodyError, 0),
        (Step(200, content=b"half", ends="stall"), reknock.BodyError, 20),
        (Step("reset", after=1.5), reknock.ReadError, 1.5),
    ],
)
def test_failures(call, step, error, seconds):
    with pytest.raises(error) as caught:
        call("GET", URL, {"policy": False, "transport": Script([step])})
    assert type(caught.value) is error and caught.value.attempts[0].duration == seconds


def test_limits_are_the_policys(call):
    with pytest.raises(reknock.DeadlineExceeded) as caught:
        call("GET", URL, {"transport": Script(["hang"])}, timeout=2)
    assert (caught.value.attempts[0].duration, caught.value.stop_reason) == (2, "deadline")
    slow = Script([Step(503, after=1), Step(200, after=1)])
    assert call("GET", URL, {"policy": {"backoff": "1s"}, "transport": slow}).elapsed.total_seconds() == 3


def test_waits_are_the_same_in_each_run(call):
    def waits(**seed):
        script = Script([503], **seed)
        call("GET", URL, {"policy": {"max_retries": 5, "budget": "none"}, "transport": script})
        call("GET", URL, {"transport": script}, policy=reknock.Policy(budget=None))
        return script.waits

    assert waits() == waits() and len(set(waits())) == 5 and waits() != waits(seed=1)


def test_retry_after_and_advance(call):
    script = Script([Step(429, headers=[("retry-after", "30")]), 200])
    assert 30 <= call("GET", URL, {"transport": script}).attempts[0].wait <= 33
    script.advance(1000)
    call("GET", URL, {"transport": script})
    assert script.sends[-1].at == script.waits[0] + 1000


def test_budgets_begin_anew_with_each_script():
    policy = {"budget": {"ratio": 1, "min_per_second": 0, "deposit_on": "call"}, "backoff": "1ms"}
    with reknock.Client(policy=policy) as client:
        for _ in range(2):
            with Script([503]):
                assert client.get(URL).stop_reason == "budget_exhausted"
                assert client.budget(URL).refusals == 1
        assert client.budget(URL) is None


def test_callbacks_take_no_time():
    async def retry_if(attempt):
        await asyncio.sleep(0)
        return attempt.number < 3

    async def main():
        with Script([200]) as script:
            async with reknock.AsyncClient(policy={"backoff": "1s", "budget": "none"}, timeout=3, retry_if=retry_if) as client:
                responses = await asyncio.gather(*(client.get(URL) for _ in range(20)))
        return {(len(response.attempts), response.elapsed.total_seconds()) for response in responses}, len(script.sends)

    assert asyncio.run(main()) == ({(3, 2)}, 60)


def test_streams_and_bodies(call):
    script = Script([503, Step(200, content="one\ntwo")])
    with reknock.Client(transport=script, policy={"backoff": "1h", "timeout": "none"}) as client:
        with client.stream("PUT", URL, content=lambda: iter(["a", "b"])) as response:
            assert list(response.iter_lines()) == ["one", "two"]
    assert [sent.content for sent in script.sends] == [b"ab", b"ab"]
    with reknock.Client(transport=Script([Step(200, content="x", ends="stall")])) as client, client.stream("GET", URL) as response:
        with pytest.raises(reknock.BodyError, match="idle_timeout"):
            response.read()


def test_threads_share_a_script():
    seen = []
    with Script([503]) as script, reknock.Client(policy=STEPS) as client:
        threads = [threading.Thread(target=lambda: seen.append(client.get(URL).elapsed.total_seconds())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [10800] * 8 and len(script.sends) == 24


def test_a_closed_client_stays_closed():
    client = reknock.Client()
    with Script([200]):
        assert client.get(URL).status_code == 200
        client.close()
        with pytest.raises(reknock.ClientClosed):
            client.get(URL)
    with Script([200]), pytest.raises(reknock.ClientClosed):
        client.get(URL)


def test_steps_for_some(call):
    steps = [Step(503, method="post"), Step(201, url="/users/*"), Step(404, url="http://*.test/a?b=*"), Step(202, url="http://service.test/a"), 200]
    script = Script(steps)
    sent = [("GET", "users/1"), ("POST", "a"), ("POST", "a"), ("GET", "a?b=1"), ("GET", "a?c=1"), ("GET", "users/2?x=1"), ("GET", "users/"), ("PUT", "")]
    statuses = [call(method, URL + path, {"transport": script, "policy": False}).status_code for method, path in sent]
    assert statuses == [201, 503, 202, 404, 200, 200, 200, 200]
    assert Script([Step(503, url="*")]).missed == ()


def test_what_no_step_is_for(call):
    script = Script([Step(200, method="POST")])
    with pytest.raises(reknock.InvalidRequest, match="no step of the script is for GET http://service.test/a after 1 attempt") as caught:
        call("GET", URL + "a?secret=1", {"transport": script})
    assert len(caught.value.attempts) == 1 and script.missed == ("GET http://service.test/a",) and script.sends == ()


def test_strict_scripts(call):
    with Script([503, 200], strict=True) as script:
        assert call("GET", URL, {"policy": STEPS}).status_code == 200
    assert script.remaining == 0
    with pytest.raises(AssertionError, match="1 steps of the script answered nothing"), Script([200, 200], strict=True):
        call("GET", URL)
    with pytest.raises(AssertionError, match="1 sent that no step of the script was for, first GET http://service.test/"), Script([200], strict=True):
        call("GET", URL)
        with pytest.raises(reknock.InvalidRequest):
            call("GET", URL)
    with pytest.raises(KeyError), Script([200], strict=True):
        raise KeyError


def test_responses_can_be_made():
    with Script([503]):
        attempts = reknock.get(URL, policy=False).attempts
    response = reknock.Response(503, headers={"x-a": "1"}, json=[1], url=URL + "a", attempts=attempts, stop_reason="retries_exhausted", elapsed=1.5)
    assert (response.status_code, response.headers["x-a"], response.json(), response.url) == (503, "1", [1], URL + "a")
    assert (response.attempts, response.stop_reason, response.elapsed.total_seconds()) == (attempts, "retries_exhausted", 1.5)
    with pytest.raises(reknock.HTTPStatusError):
        response.raise_for_status()
    assert (reknock.Response().status_code, reknock.Response(content="ü").content) == (200, "ü".encode())
    with pytest.raises(TypeError, match="only one of"):
        reknock.Response(content="a", json=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Script([503, "rest"]), 'script: must have a status from 200 to 599 or one of connect, .*, body as a step, got "rest"'),
        (lambda: Script([99]), "script: must have a status .*, got 99"),
        (lambda: Script([None]), "script: must have a status .*, got null"),
        (lambda: Step(200, headers={"a b": "c"}), 'script: "a b" is no valid header name'),
        (lambda: Step(200, ends="soon"), 'script: must end a body whole, cut or stall, got "soon"'),
        (lambda: Step(200, method="GE T"), 'script: must have an HTTP method, got "GE T"'),
        (lambda: Step(200, after=-1), "script: must be a number of seconds from 0, got -1"),
    ],
)
def test_mistakes(make, message):
    with pytest.raises(reknock.ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"status_code": 9}, "a status from 100 to 999 and an absolute URL, got 9"), ({"url": "nowhere"}, 'got 200 and "nowhere"'),
        ({"stop_reason": "tired"}, 'stop_reason: "tired" is none'), ({"headers": {"a b": "c"}}, 'headers: "a b" is no valid header name'),
    ],
)
def test_responses_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        reknock.Response(**wrong)


def test_the_fixture(reknock_script):
    assert reknock.get(URL, policy=False).status_code == 503 if reknock_script([503, 200]) else False
    script = reknock_script([404])
    assert reknock.get(URL).status_code == 404 and len(script.sends) == 1


def broken(response, error):
    assert (response.stop_reason, response.attempts[0].error) == ("not_retryable", "body") == (error.stop_reason, error.attempts[0].error)
    assert "completed" not in response.explain() and response.explain() == error.explain()


def test_a_streamed_body_that_is_cut_says_so_on_its_response():
    with reknock.Client(transport=Script([Step(200, content=b"half", ends="cut")])) as client, client.stream("GET", URL) as response:
        assert response.stop_reason == "completed" and next(response.iter_bytes()) == b"half"
        with pytest.raises(reknock.BodyError) as caught:
            response.read()
        broken(response, caught.value)
        assert response.status_code == 200 and response.read() == b""

    async def main():
        async with reknock.AsyncClient(transport=Script([Step(200, content=b"half", ends="cut")])) as client, client.stream("GET", URL) as response:
            with pytest.raises(reknock.BodyError) as caught:
                await response.aread()
            broken(response, caught.value)

    asyncio.run(main())


@pytest.mark.timeout(20)
def test_a_step_that_takes_long_without_any_limit():
    unlimited = {"timeout": "none", "per_try_timeout": "none", "idle_timeout": "none", "connect_timeout": "none"}
    with reknock.Client(policy=unlimited, transport=Script([Step(200, after=5.0)])) as client:
        assert client.get(URL).attempts[0].duration == pytest.approx(5)
