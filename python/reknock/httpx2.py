"""Retries for people who keep httpx2: transports that wrap theirs.

    client = httpx2.Client(transport=reknock.httpx2.RetryTransport(policy={"max_retries": 3}))
"""

from ._httpx_engine import engines
from ._httpx_transport import transports

RetryTransport, AsyncRetryTransport = transports("httpx2")
EngineTransport, AsyncEngineTransport = engines("httpx2")

__all__ = ["AsyncEngineTransport", "AsyncRetryTransport", "EngineTransport", "RetryTransport"]
