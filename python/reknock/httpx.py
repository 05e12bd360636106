"""Retries for people who keep httpx: transports that wrap theirs.

    client = httpx.Client(transport=reknock.httpx.RetryTransport(policy={"max_retries": 3}))
"""

from ._httpx_engine import engines
from ._httpx_transport import transports

RetryTransport, AsyncRetryTransport = transports("httpx")
EngineTransport, AsyncEngineTransport = engines("httpx")

__all__ = ["AsyncEngineTransport", "AsyncRetryTransport", "EngineTransport", "RetryTransport"]
