"""What editors and help() say: the same names as the core has, and a text for each."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import get_args

import pytest
import reknock
import reknock.testing
from reknock import _native, _options, types

from .conftest import ROOT

KEYS = list(reknock.Policy().to_dict())
CALLBACKS = set(_options.Callbacks.__annotations__)


def test_the_keywords_of_policies():
    assert list(_options.PolicySettings.__annotations__) == KEYS
    stub = (ROOT / "python/reknock/_native.pyi").read_text()
    for key in KEYS:
        assert f"    def {key}(self)" in stub and f"\n{key}: " in (reknock.Policy.__doc__ or "")
        assert getattr(reknock.Policy(), key) is not None


def test_the_options_of_clients():
    named = set(_options.ClientOptions.__annotations__) - CALLBACKS - {"policy", "timeout", "transport", "budgets", "nesting"}
    assert named == {name for name, _, _ in _native.client_options()}


def test_help_lists_what_clients_and_calls_take():
    """What `help(reknock.Client)` shows: each option with a default; and of calls each keyword."""
    for client in (reknock.Client, reknock.AsyncClient):
        said, of_calls = client.__doc__ or "", client.request.__doc__ or ""
        for name in _options.ClientOptions.__annotations__:
            line = next((line for line in said.splitlines() if name in line.strip().partition(":")[0].split(", ")), "")
            assert " Default: " in line, name
        for name in _options.CallOptions.__annotations__:
            assert any(name in line.strip().partition(":")[0].split(", ") for line in of_calls.splitlines()), name
    assert "docs/" not in (reknock.Policy.__doc__ or "") + (reknock.simulate.__doc__ or "")


def test_the_literals_are_the_cores():
    assert get_args(types.Kind) == tuple(code for code, _, _ in _native.kinds())
    assert get_args(types.StopReason) == tuple(code for code, _, _ in _native.stop_reasons())


def test_shells_complete_the_options():
    for client in (reknock.Client, reknock.AsyncClient):
        parameters = inspect.signature(client).parameters.values()
        assert {parameter.name for parameter in parameters} == set(_options.ClientOptions.__annotations__)
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    shown = str(inspect.signature(reknock.Client))
    assert "on_event=None" in shown and "policy=reknock.Policy(), timeout=60, base_url=None" in shown and "http2_ping=5," in shown and "=..." not in shown

    class Own(reknock.Client):
        def __init__(self, seconds: float) -> None:
            super().__init__(timeout=seconds)

    assert list(inspect.signature(Own).parameters) == ["seconds"]
    assert not hasattr(Own(3), "__signature__")


def test_wrappers_have_their_types():
    missing = {name for name in vars(_options) if not name.startswith("_") and name[0].isupper()} - set(types.__all__)
    # What a wrapper's own signature does not name.
    assert missing <= {"Any", "AsyncIterable", "Awaitable", "Block", "Callable", "CookieJar", "IO", "Iterable", "Iterator", "Literal", "Mapping", "Nesting", "PartHeaders", "PathLike",
        "Pieces", "Primitive", "Protocol", "Sequence", "TYPE_CHECKING", "TypeAlias", "TypedDict", "URLObject", "Attempt", "Budgets", "Event", "Policy", "PolicySet", "Request", "Script"}
    ran = subprocess.run([sys.executable, ROOT / "python/examples/wrapper.py"], capture_output=True, text=True, check=True)
    assert ran.stdout == "Order(number=7, state='packed') ['shop', 'shop', 'shop']\nthe service cannot be reached, gave up: True\n"


@pytest.mark.parametrize("name", set(_options.CallOptions.__annotations__))
def test_the_options_of_calls(call, name):
    with reknock.testing.Script([200]):
        assert call("GET", "http://a.test/", **{name: None}).status_code == 200


@pytest.mark.parametrize("name", sorted(set(reknock.__all__) - {"__version__"}))
def test_everything_has_a_text(name):
    public = getattr(reknock, name)
    assert public.__doc__ and not public.__doc__.startswith("(")
    if isinstance(public, type) and not issubclass(public, BaseException):
        for member, value in vars(public).items():
            if not member.startswith("_") and not isinstance(value, (str, int, float)):
                assert value.__doc__, f"{name}.{member}"
