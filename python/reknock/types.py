"""The types of options, callbacks, kinds and reasons, for those who write wrappers.

    def get(path: str, **options: Unpack[CallOptions]) -> reknock.Response: ...

Not a part of `import reknock`, as typing takes longer to import than that.
"""

from ._options import (
    URL,
    Auth,
    BeforeRetry,
    Callbacks,
    CallOptions,
    ClientOptions,
    Content,
    Delay,
    Dialect,
    EventKind,
    Evidence,
    File,
    HasItems,
    Kind,
    Level,
    OnEvent,
    Opinion,
    Pairs,
    PolicyLike,
    PolicySettings,
    RetryIf,
    Seconds,
    StopReason,
)

__all__ = [
    "Auth", "BeforeRetry", "CallOptions", "Callbacks", "ClientOptions", "Content", "Delay", "Dialect", "EventKind", "Evidence", "File", "HasItems", "Kind", "Level", "OnEvent",
    "Opinion", "Pairs", "PolicyLike", "PolicySettings", "RetryIf", "Seconds", "StopReason", "URL",
]
