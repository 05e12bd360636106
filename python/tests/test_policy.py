"""Policies: what Python expects of a value."""

from __future__ import annotations

import copy
import datetime
import os

import pytest
import reknock


def test_builtin_bases():
    assert issubclass(reknock.ConnectError, ConnectionError) and issubclass(reknock.ReadError, ConnectionError)
    assert issubclass(reknock.DeadlineExceeded, TimeoutError) and issubclass(reknock.ConnectTimeout, TimeoutError)
    assert issubclass(reknock.ConfigError, ValueError)


def test_keywords_take_seconds_and_timedeltas():
    policy = reknock.Policy(timeout=2.5, connect_timeout=datetime.timedelta(milliseconds=1500), per_try_timeout=None, backoff=1)
    assert (policy.timeout, policy.connect_timeout, policy.per_try_timeout) == ("2s500ms", "1s500ms", "none")
    assert repr(policy) == "Policy(timeout='2s500ms', connect_timeout='1s500ms', per_try_timeout='none', backoff={'kind': 'constant', 'delay': '1s'})"
    assert reknock.Policy(timeout="1m") == reknock.Policy(timeout=60)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timeout": -1}, "timeout: must be a number of seconds from 0, got -1"),
        ({"timeout": float("nan")}, "timeout: must be a number of seconds from 0, got NaN"),
        ({"timeout": 0}, "timeout: must be more than zero, got 0; write none for no limit"),
        ({"max_retries": datetime.timedelta(1)}, "max_retries: must be a whole number from 0 to 1000, got 86400.0"),
        ({"max_retrys": 1}, "max_retrys: unknown key; did you mean max_retries?"),
        ({"max_attempts": 3}, "max_attempts: unknown key; write max_retries, which does not count the first send (max_attempts: 3 is max_retries: 2)"),
        ({"backoff": {"base": 1}}, 'backoff.base: must be a duration with a unit, got 1; write "1s"'),
        ({"methods": object()}, "methods: must be "),
    ],
)
def test_messages(settings, message):
    with pytest.raises(reknock.ConfigError) as caught:
        reknock.Policy(**settings)
    assert str(caught.value).startswith(message)


def test_values():
    policy = reknock.Policy(max_retries=3)
    assert policy == reknock.Policy.from_dict({"max_retries": 3}) != reknock.Policy()
    assert len({policy, reknock.Policy(max_retries=3), reknock.Policy()}) == 2
    assert copy.copy(policy) == copy.deepcopy(policy) == policy
    assert policy.replace(timeout=1) == reknock.Policy(max_retries=3, timeout=1)
    assert reknock.Policy.none().max_retries == 0
    with pytest.raises(AttributeError):
        policy.max_retries = 4
    with pytest.raises(AttributeError):
        policy.colour
    assert set(reknock.Policy(statuses={503, 500}).statuses) == {500, 503}


def test_load(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("max_retries: 7\n")
    assert reknock.Policy.load(path) == reknock.Policy(max_retries=7)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        reknock.Policy.load(tmp_path / "nowhere.yaml")


def test_a_preset_by_name_is_a_policy():
    llm = reknock.Policy.preset("llm")
    with reknock.Client(policy="llm") as client:
        assert client.policy == llm
        client.set_policy("linkerd")
        assert client.policy == reknock.Policy.preset("linkerd")
    assert reknock.Policy(max_retries=9).merge("llm") == llm
    assert reknock.PolicySet({"policies": {"a": "llm"}, "default": "a"}).policy_for("GET http://a.test/") == llm
    assert str(reknock.lint("llm")) == str(reknock.lint(llm))
    with pytest.raises(reknock.ConfigError, match=r'policy: must be a map, or one of default, none, llm, .*, got "lm"; did you mean "llm"\?$'):
        reknock.Client(policy="lm")


def test_only_regular_files_are_read(tmp_path):
    for name in ("p.yaml", "ca.pem"):
        os.mkfifo(tmp_path / name)
    for make in (reknock.Policy.load, reknock.PolicySet.load):
        with pytest.raises(reknock.ConfigError, match="p.yaml: must be a regular file, got a pipe$"):
            make(tmp_path / "p.yaml")
    for option in ("ca_bundle", "cert", "verify"):
        with pytest.raises(reknock.ConfigError, match=f"^{option}: .*must be a regular file, got a pipe"):
            reknock.Client(**{option: tmp_path / "ca.pem"})
