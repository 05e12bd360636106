"""Documents of meshes and gateways, and what their control planes make of them: `tests/vectors/dialects/meshes.json`."""

from __future__ import annotations

import json

import pytest
import reknock

from .test_vectors import vectors

CASES = vectors("dialects/meshes")["cases"]
OFF = {
    "max_retries": 0,
    "methods": "any",
    "max_body_buffer": 0,
    **dict.fromkeys(
        ["timeout", "connect_timeout", "per_try_timeout", "idle_timeout", "retry_on", "statuses", "backoff", "retry_after", "budget", "idempotency_key"],
        "none",
    ),
}


def ways(case):
    """The documents as one text and as one value; their dialect recognised and named."""
    text = "".join(f"---\n{json.dumps(document)}\n" for document in case["documents"])
    return [(documents, dialect) for documents in (text, case["documents"]) for dialect in (None, case["dialect"])]


def expected(case):
    if "envoy" in case:
        return [(None, one.policy) for one in reknock.Policy.read_all(case["envoy"], "envoy")]
    return [(one.get("name"), reknock.Policy.from_dict({**OFF, **one["policy"]})) for one in case["policies"]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in CASES])
def test_pairs(case):
    for documents, dialect in ways(case):
        if "error_names" in case:
            with pytest.raises(reknock.ConfigError) as caught:
                reknock.Policy.read_all(documents, dialect)
            assert case["error_names"] in str(caught.value)
            continue
        loaded, wanted = reknock.Policy.read_all(documents, dialect), expected(case)
        assert [(one.dialect, one.policy) for one in loaded] == [(case["dialect"], policy) for _, policy in wanted]
        assert all(name in (None, one.name) for one, (name, _) in zip(loaded, wanted, strict=True))


def test_no_pair_is_lost():
    assert len(CASES) == 54
