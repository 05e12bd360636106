"""Retries for people who keep httpx2: transports that wrap theirs.

    client = httpx2.Client(transport=reknock.httpx2.RetryTransport(policy={"max_retries": 3}))
"""

from ._httpx_transport import transports

RetryTransport, AsyncRetryTransport = transports("httpx2")

__all__ = ["AsyncRetryTransport", "RetryTransport"]
