"""The shared vectors of documents and names: the same results and the same messages as in every language."""

from __future__ import annotations

import copy
import json
import pickle

import pytest
import reknock
from reknock.testing import Script

from .conftest import ROOT


def vectors(name):
    return json.loads((ROOT / "tests/vectors" / f"{name}.json").read_text())


def floats(value):
    """JSON has no NaN and no infinity: {"$float": "nan"}."""
    if isinstance(value, dict):
        return float(value["$float"]) if "$float" in value else {key: floats(item) for key, item in value.items()}
    return [floats(item) for item in value] if isinstance(value, list) else value


def named(cases, count):
    """Guards against a runner that passes because it ran nothing, or left something out."""
    assert len(cases) == count, f"{len(cases)} cases, there were {count}"
    return [pytest.param(case, id=case["name"]) for case in cases]


def config():
    """The cases of config.json but those with `keys: either`, for languages that write camelCase, which is no key here."""
    return [case for case in vectors("config")["cases"] if case.get("keys") != "either"]


def text_of(case):
    return next(((kind, case[kind]) for kind in ("yaml", "json", "toml") if kind in case), (None, None))


def policy_of(case):
    kind, text = text_of(case)
    if kind is None:
        return reknock.Policy.from_dict(case.get("base", {})).merge(floats(case["document"]))
    assert "base" not in case, "a text has no base in Python"
    return getattr(reknock.Policy, f"from_{kind}")(text)


def copies(policy):
    """What a policy is after it has been written down: as a document of each kind, and for another process."""
    read = reknock.Policy
    yield from (read.from_dict(policy.to_dict()), read.from_json(policy.to_json()), read.from_yaml(policy.to_yaml()))
    yield from (eval(repr(policy), {"Policy": read}), policy.replace(), policy.merge({}), pickle.loads(pickle.dumps(policy)), copy.deepcopy(policy))


@pytest.mark.parametrize("case", named(config(), 505))
def test_config(case):
    if "error" in case:
        with pytest.raises(reknock.ConfigError) as caught:
            policy_of(case)
        assert str(caught.value) == case["error"] and caught.value.kind == "config"
        return
    policy = policy_of(case)
    assert policy.to_dict() == {**reknock.Policy().to_dict(), **case["policy"]}
    for again in copies(policy):
        assert again == policy and hash(again) == hash(policy)


@pytest.mark.parametrize("case", named([case for case in config() if text_of(case)[0] is None and case["document"] is not None], 427))
def test_config_of_a_call(call, case):
    """The policy of a call is layered over the client's, `base`."""
    client = {"policy": case.get("base", {}), "transport": Script([200])}
    if "error" not in case:
        assert call("GET", "http://a.test/", client, policy=floats(case["document"])).status_code == 200
        return
    with pytest.raises(reknock.ConfigError) as caught:
        call("GET", "http://a.test/", client, policy=floats(case["document"]))
    assert str(caught.value) == case["error"]


@pytest.mark.parametrize("row", vectors("errors")["kinds"], ids=lambda row: row["code"])
def test_every_kind_has_a_class(row):
    from reknock import _native
    from reknock._exceptions import BY_KIND

    assert (row["code"], row["number"]) in [kind[:2] for kind in _native.kinds()]
    error = BY_KIND[row["code"]]
    assert error.kind == row["code"] and issubclass(error, reknock.HTTPError)
    assert getattr(reknock, error.__name__) is error
    assert len(BY_KIND) == len(_native.kinds()) == len(vectors("errors")["kinds"])


def test_stop_reasons():
    from reknock import _native

    assert [reason[:2] for reason in _native.stop_reasons()] == [(row["code"], row["number"]) for row in vectors("errors")["stop_reasons"]]


def loaded_of(case):
    document = case["text"] if "text" in case else floats(case["document"])
    return reknock.Policy.read_all(document, case.get("dialect"))


def dialect_cases(name, count):
    return named(vectors(f"dialects/{name}")["cases"], count)


@pytest.mark.parametrize(
    "case",
    [
        *dialect_cases("envoy", 145), *dialect_cases("kgateway", 59), *dialect_cases("linkerd", 74),
        *dialect_cases("ballerina", 66), *dialect_cases("ktor", 65), *dialect_cases("load", 79),
        *dialect_cases("istio", 51), *dialect_cases("envoy-gateway", 37), *dialect_cases("linkerd2", 39),
    ],
)
def test_dialects(case, tmp_path):
    if "error" in case:
        with pytest.raises(reknock.ConfigError) as caught:
            loaded_of(case)
        assert str(caught.value) == case["error"]
        return
    loaded = loaded_of(case)
    assert len(loaded) == len(case["policies"])
    for one, wanted in zip(loaded, case["policies"], strict=True):
        assert (one.name, one.dialect, list(one.notes)) == (wanted.get("name"), wanted["dialect"], wanted.get("notes", []))
        preset = reknock.Policy.preset("default" if one.dialect == "reknock" else one.dialect)
        assert one.policy.to_dict() == {**preset.to_dict(), **wanted["policy"]}
        assert all(again == one.policy for again in copies(one.policy))
        assert all(note in one.explain() for note in one.notes)


@pytest.mark.parametrize("case", dialect_cases("presets", 13))
def test_presets(case):
    if "error" in case:
        with pytest.raises(reknock.ConfigError) as caught:
            reknock.Policy.preset(case["name"])
        assert str(caught.value) == case["error"]
    else:
        assert reknock.Policy.preset(case["name"]).to_dict() == case["policy"]


def route(case):
    """The policy of a case's route: without a `retry_policy` it is that of an empty one."""
    [loaded] = reknock.Policy.read_all({"retry_policy": {}, **case["route"]}, "envoy")
    return loaded.policy


@pytest.mark.parametrize("case", dialect_cases("request_headers", 55))
def test_envoy_headers(case):
    base = route(case)
    policy = base.with_envoy_headers(case["headers"])
    assert policy.to_dict() == {**base.to_dict(), **case["policy"]}
    lines = [(name.upper(), line) for name, value in case["headers"].items() for line in ([value] if isinstance(value, str) else value)]
    assert base.with_envoy_headers(lines) == policy
    for again in copies(base):
        assert again.with_envoy_headers(case["headers"]) == policy
    kept = set(case["headers"]) - set(reknock.ENVOY_HEADERS)
    assert not any(name.startswith("x-envoy-") for name in kept)


EXPECTED = vectors("dialects/request_headers")["expected_rq_timeout_ms"]


@pytest.mark.parametrize("case", [pytest.param(case, id=str(case)) for case in EXPECTED])
def test_expected_timeout(case):
    assert len(EXPECTED) == 17
    for policy in (route(case), *copies(route(case))):
        assert policy.expected_rq_timeout_ms(case["elapsed_ms"] / 1000) == (case["header"] or None)


def test_elapsed_is_a_time():
    assert reknock.Policy(timeout=2, per_try_timeout=None).expected_rq_timeout_ms() == 2000
    with pytest.raises(reknock.ConfigError, match="^elapsed: must be a number of seconds from 0, got -1"):
        reknock.Policy().expected_rq_timeout_ms(-1)
    with pytest.raises(TypeError):
        reknock.Policy().with_envoy_headers(5)


def test_files(tmp_path):
    path = tmp_path / "linkerd.yaml"
    path.write_text("routers:\n- protocol: http\n  label: out\n  service: {totalTimeoutMs: 500}\n- protocol: http\n  label: in\n  service: {totalTimeoutMs: 600}\n")
    with pytest.raises(reknock.ConfigError, match=r"linkerd.yaml: policy: must be one, there are 2: out, in; load_all reads them all$"):
        reknock.Policy.load(path)
    assert [(one.name, one.policy.timeout) for one in reknock.Policy.load_all(path)] == [("out", "500ms"), ("in", "600ms")]
    with pytest.raises(reknock.ConfigError, match="ktor: no policy found"):
        reknock.Policy.load_all(path, "ktor")
    with pytest.raises(reknock.ConfigError, match='did you mean "ktor"'):
        reknock.Policy.load_all(path, "ktro")


def test_what_a_loaded_policy_keeps(tmp_path):
    path = tmp_path / "route.yaml"
    path.write_text("retry_policy: {retry_on: 5xx, retry_priority: {}}\n")
    policy = reknock.Policy.load(path)
    note = "retry_policy.retry_priority: not copied: a client has no choice of hosts"
    assert policy.notes == (note,) and note in policy.explain() and reknock.Policy().notes == ()
    assert policy == reknock.Policy.from_json(policy.to_json())
    missing = tmp_path / "missing.yaml"
    for load in (reknock.Policy.load, reknock.Policy.load_all):
        with pytest.raises(FileNotFoundError) as caught:
            load(missing)
        assert caught.value.filename == str(missing)


def test_manifests():
    """Whole manifests, as clusters hold them."""
    folder = ROOT / "tests/vectors/dialects/manifests"
    expected = json.loads((folder / "expected.json").read_text())
    for name in expected.keys() - {"about"}:
        loaded = reknock.Policy.load_all(folder / name)
        assert [(one.dialect, one.name) for one in loaded] == [(one["dialect"], one["name"]) for one in expected[name]], name
        for one, wanted in zip(loaded, expected[name], strict=True):
            policy = one.policy.to_dict()
            for key, value in wanted["policy"].items():
                written = reknock.Policy(**{key: value}).to_dict()[key]
                if isinstance(value, dict):
                    assert policy[key].items() >= {inner: written[inner] for inner in value}.items(), (name, key)
                else:
                    assert policy[key] == written, (name, key)
