"""A client of one's own over reknock's, typed to the last option: `python python/examples/wrapper.py` (no network)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack, assert_never

import reknock
from reknock.testing import Script, Step
from reknock.types import URL, CallOptions, ClientOptions, Kind, RetryIf, StopReason


@dataclass(frozen=True)
class Order:
    """What the service gives."""

    number: int
    state: str


class Client(reknock.Client):
    """Every call has its place and its limit, whichever verb it goes through."""

    def request(self, method: str, url: URL, **options: Unpack[CallOptions]) -> reknock.Response:
        options.setdefault("timeout", 20.0)
        options.setdefault("headers", {"x-caller": "shop"})
        return super().request(method, url, **options)


def not_yet(attempt: reknock.Attempt) -> bool | None:
    """An order that was just made may take a moment to be found."""
    return attempt.status_code == 404 or None


class Orders:
    """A wrapper: its methods take the options of a call, and pass them on."""

    def __init__(self, **options: Unpack[ClientOptions]) -> None:
        self._client = Client(**options)

    def get(self, number: int, until: RetryIf = not_yet, **options: Unpack[CallOptions]) -> Order:
        options.setdefault("retry_if", until)
        response = self._client.get(f"orders/{number}", **options).raise_for_status()
        return Order(number, response.json()["state"])


def advice(kind: Kind) -> str:
    """What to tell the user."""
    match kind:
        case "connect" | "connect_timeout" | "tls" | "reset" | "refused_stream" | "protocol" | "body":
            return "the service cannot be reached"
        case "per_try_timeout" | "deadline":
            return "the service is slow"
        case "cancelled" | "closed":
            return "we are on our way out"
        case "config" | "invalid_request" | "too_many_redirects" | "response_too_large" | "callback" | "internal":
            return "this is a mistake of ours"
        case _:
            assert_never(kind)


def gave_up(reason: StopReason | None) -> bool:
    """Whether more retries would have been allowed to help."""
    return reason in ("retries_exhausted", "budget_exhausted", "deadline")


def main() -> None:
    found = Script([404, 503, Step(200, json={"state": "packed"})])
    orders = Orders(base_url="http://shop.test/api", transport=found)
    print(orders.get(7, timeout=5.0), [sent.headers["x-caller"] for sent in found.sends])
    try:
        Orders(base_url="http://shop.test/api", transport=Script(["connect"])).get(8)
    except reknock.RequestError as error:
        assert error.kind is not None
        print(f"{advice(error.kind)}, gave up: {gave_up(error.stop_reason)}")


if __name__ == "__main__":
    main()
