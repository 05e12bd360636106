"""Policy sets: `tests/vectors/sets.json`, calls by their rules, and what the command tells of them."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import time

import pytest
import reknock
from reknock import PolicySet

from .conftest import ROOT, status
from .test_command import reknock as command
from .test_vectors import named, vectors


@pytest.mark.parametrize("case", named(vectors("sets")["cases"], 41))
def test_sets(case):
    if "error" in case:
        with pytest.raises(reknock.ConfigError) as caught:
            PolicySet.read(case["text"], case.get("dialect"))
        assert str(caught.value) == case["error"]
        return
    policies = PolicySet.read(case["text"], case.get("dialect"))
    assert [one.name for one in policies.policies] == case["policies"]
    assert (policies.rules, policies.default, list(policies.notes)) == (case["rules"], case["default"], case["notes"])
    for request, (rule, name) in case["requests"].items():
        met = policies.rule_for(request)
        assert (met["rule"], met["policy"]) == (rule, name)
        assert met["match"] == (None if rule is None else case["rules"][rule - 1]["match"])
        told = policies.explain(request)
        assert policies.policy_for(request).explain() in told and "secret" not in told
    again = PolicySet.read(policies.to_yaml())
    assert again.to_dict() == policies.to_dict() and "budget: " in policies.explain()
    for other in (pickle.loads(pickle.dumps(again)), copy.deepcopy(again), PolicySet(again.to_dict()), PolicySet.read(again.to_dict())):
        assert other == again and hash(other) == hash(again)


def two(url):
    """One retry under /a of this server, three elsewhere of it, none of others."""
    host = url.removeprefix("http://").split("/", 1)[0]
    return {
        "policies": {"one": {"max_retries": 1, "backoff": "none"}, "three": {"max_retries": 3, "backoff": "none"}, "none": False},
        "rules": [
            {"match": {"host": host, "path": {"regex": ".*/a"}, "methods": ["GET"]}, "policy": "one"},
            {"match": {"host": host, "query": [{"name": "more", "exact": "yes"}]}, "policy": "three"},
        ],
        "default": "none",
    }


@pytest.mark.parametrize("make", [lambda document: document, PolicySet, lambda document: PolicySet.read(PolicySet(document).to_yaml())])
def test_calls_have_the_policy_of_their_rule(serve, call, make):
    script = serve(status(503))
    client = {"policy": make(two(script.url))}
    sends = [
        len(call("GET", f"{script.url}{rest}", client, **options).attempts)
        for rest, options in [
            ("/a", {}), ("/b", {"params": {"more": "yes"}}), ("/b", {}), ("/a", {"policy": {"max_retries": 2}}), ("/a", {"policy": False}),
            ("/a", {"timeout": 30.0}), ("/b?more=yes", {"policy": reknock.Policy(max_retries=0)}),
        ]
    ]
    assert sends == [2, 4, 1, 3, 1, 2, 1] and len(script.log()) == sum(sends)


def test_a_client_tells_its_policies():
    given = PolicySet(two("http://a.test"))
    with reknock.Client(policy=given, timeout=7) as client:
        assert client.policy.max_retries == 0 and client.policy.timeout == "7s"
        assert [one.policy.timeout for one in client.policies.policies] == ["7s"] * 3 and client.policies.rules == given.rules
    with reknock.Client(policy={"max_retries": 5}) as client:
        assert client.policies.rules == [] and client.policies.policy_for("http://a.test/").max_retries == 5
    with pytest.raises(reknock.ConfigError, match=r"^rules\[0\]\.policy: must be the name of one of policies"):
        reknock.Client(policy={"policies": {"a": {}}, "rules": [{"policy": "b"}]})
    with pytest.raises(reknock.ConfigError, match="^request: must be a method and an absolute http or https URL"):
        given.rule_for("a.test")


def test_a_named_budget_of_a_set_is_held():
    document = {"policies": {"a": {"budget": {"name": "sets-a", "ratio": 0.5}}}, "rules": [{"match": {"host": "a.test"}, "policy": "a"}]}
    with reknock.Client(policy=document), pytest.raises(reknock.ConfigError, match="sets-a"):
        reknock.Client(policy={"budget": {"name": "sets-a", "ratio": 0.25}})


def test_the_command(tmp_path):
    manifest = str(ROOT / "tests/vectors/dialects/manifests/kgateway-route-option.yaml")
    for request in (["GET http://retry.example/get"], ["GET", "http://retry.example/get"], ["http://retry.example/get"]):
        ran = command("explain", manifest, "--for", *request)
        assert ran.returncode == 0 and ran.stdout.startswith('GET http://retry.example/get: rule 1 of 1, {host: "retry.example"}: retry\n\n# kgateway retry\n')
    assert "no rule matches, and there is no default: reknock's own" in command("explain", manifest, "--for", "http://other.example/").stdout
    ran = command("explain", manifest, "--for", "retry.example/")
    assert ran.returncode == 2 and "request: must be a method and an absolute" in command("explain", manifest, "--for", "GET retry.example/").stderr
    ran = command("policy", "convert", manifest, "--set")
    assert 'rules:\n- {match: {host: "retry.example"}, policy: retry}\n' in ran.stdout and "no default" in ran.stderr
    path = tmp_path / "set.yaml"
    path.write_text(ran.stdout)
    assert command("policy", "convert", str(path)).stdout == ran.stdout
    assert command("explain", str(path)).stdout.startswith('rules:\n  1. {host: "retry.example"}: retry\ndefault: reknock\'s own\n')
    assert PolicySet.load(path) == PolicySet.read(ran.stdout)
    with pytest.raises(FileNotFoundError):
        PolicySet.load(tmp_path / "missing.yaml")


def follow(client, url, is_so):
    """Calls until a change of the file is taken: at most once a second it is looked at."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, "the file was not followed"
        client.get(url)


def test_a_client_follows_its_file(serve, tmp_path):
    url = serve(status(200)).url
    path = tmp_path / "policy.yaml"
    path.write_text("max_retries: 1\n")
    with reknock.Client(policy=PolicySet.load(path, watch=True), timeout=9) as client:
        path.write_text("max_retries: 5\n")
        follow(client, url, lambda: client.policy.max_retries == 5)
        assert client.policy.timeout == "9s" and client.policy_error is None
        path.write_text("max_retrys: 5\n")
        follow(client, url, lambda: client.policy_error is not None)
        assert isinstance(client.policy_error, reknock.ConfigError) and "did you mean max_retries?" in str(client.policy_error)
        assert client.policy.max_retries == 5


def test_a_file_is_followed_whatever_is_done_to_it(serve, tmp_path):
    """Links are swapped as Kubernetes does it, another file takes its place, it is cut while it is written, taken away and back: by each of two clients of one set."""
    path, url = tmp_path / "policy.yaml", serve(status(200)).url

    def version(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.yaml").write_text(text)
        (tmp_path / "..next").symlink_to(name)
        (tmp_path / "..next").rename(tmp_path / "..data")

    def has(retries, refused="None"):
        deadline = time.monotonic() + 60
        while any(client.policy.max_retries != retries or refused not in str(client.policy_error) for client in (sync, other)):
            assert time.monotonic() < deadline, [(client.policy.max_retries, client.policy_error) for client in (sync, other)]
            sync.get(url)
            loop.run(other.get(url))
            time.sleep(0.02)

    version("..1", "max_retries: 1\n")
    path.symlink_to("..data/policy.yaml")
    policies = PolicySet.load(path, watch=True)
    with asyncio.Runner() as loop, reknock.Client(policy=policies) as sync:
        other = reknock.AsyncClient(policy=policies)
        version("..2", "max_retries: 2\n")
        has(2)
        new = tmp_path / "new"
        new.write_text("max_retries: 3\n")
        new.rename(path)
        has(3)
        path.write_text('max_retries: 4\nbackoff: {base: "1')
        has(3, "YAML line 2")
        path.unlink()
        has(3, "No such file")
        os.mkfifo(path)
        has(3, "regular file")
        path.unlink()
        path.write_text('max_retries: 4\nbackoff: {base: "1s"}\n')
        has(4)
        loop.run(other.aclose())


def test_policies_are_replaced_by_hand(serve, call):
    script = serve(status(503))
    with reknock.Client(policy={"max_retries": 2, "backoff": "none"}) as client:
        assert len(client.get(script.url).attempts) == 3
        client.set_policy({"policies": {"a": {"max_retries": 1, "backoff": "none"}}, "default": "a"})
        assert len(client.get(script.url).attempts) == 2 and client.policies.default == "a"
        client.set_policy(False)
        assert len(client.get(script.url).attempts) == 1
        with pytest.raises(reknock.ConfigError):
            client.set_policy({"max_retrys": 1})
        assert client.policy.max_retries == 0


def test_the_policy_of_the_environment(tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("policies: {a: {max_retries: 7}}\ndefault: a\n")
    ask = "import reknock; print(reknock.Client().policy.max_retries, reknock.Client(timeout=3).policy.timeout, reknock.Client(policy={}).policy.max_retries)"
    environment = {**os.environ, "REKNOCK_POLICY": str(path), "PYTHONPATH": str(ROOT / "python")}
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, env=environment, timeout=30)
    assert ran.stdout == "7 3s 2\n", ran.stderr
    ran = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, env={**environment, "REKNOCK_POLICY": str(tmp_path / "none.yaml")}, timeout=30)
    assert "ConfigError" in ran.stderr and "none.yaml" in ran.stderr
