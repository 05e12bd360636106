"""The decision machine beside a client that knows nothing of it: `python urllib_retry.py URL` is urllib with retries and a budget."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from http.client import HTTPException, HTTPResponse
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import reknock

POLICY = reknock.Policy(max_retries=3, timeout=10, backoff={"base": "50ms"})
# Kept as long as the program: all calls share it, on any thread.
BUDGETS = reknock.Budgets()


def classify(retry: reknock.Retry, error: Exception) -> None:
    """What urllib raised, and whether the server may have acted on the request. When in doubt: unknown."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(error, HTTPError):
        retry.classify(status_code=error.code, headers=error.headers)
    elif isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
        retry.classify(error="connect", evidence="not_sent")
    elif isinstance(cause, ssl.SSLCertVerificationError):
        retry.classify(error="tls", evidence="not_sent")
    elif isinstance(cause, TimeoutError):
        retry.classify(error="per_try_timeout")
    else:
        retry.classify(error="reset")


def get(url: str) -> HTTPResponse:
    """Gives and raises what `urlopen` does, of the last attempt. Prints what is decided."""
    parts = urlsplit(url)
    with reknock.Retry(POLICY, origin=f"{parts.scheme}://{parts.netloc}", budgets=BUDGETS) as retry:
        while True:
            number = retry.attempt()
            response = error = None
            try:
                response = urlopen(url, timeout=5)
                retry.classify(status_code=response.status, headers=response.headers)
            except (OSError, HTTPException) as raised:
                error = raised
                classify(retry, raised)
            decision = retry.decide()
            print(f"#{number}", error or "ok", decision.stop_reason or "is retried")
            if decision.wait is not None:
                time.sleep(decision.wait)
            elif error is not None:
                raise error
            else:
                assert isinstance(response, HTTPResponse)
                return response


if __name__ == "__main__":
    print(get(sys.argv[1]).read().decode())
