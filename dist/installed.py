"""What the Python package must do in an empty environment, away from its sources."""

import asyncio
import importlib
import importlib.metadata
import pathlib
import pkgutil
import platform
import sys
import time

begun = time.perf_counter()
import reknock

took = time.perf_counter() - begun
import reknock.testing

with reknock.testing.Script([503, "reset", 200]) as script:
    assert reknock.get("http://service.test/").status_code == 200
    assert asyncio.run(reknock.AsyncClient().get("http://service.test/")).status_code == 200
assert len(script.sends) == 4 and sys.prefix in reknock.__file__
# Every module that is not private is there, and loads; without what it is for, it says what that is.
extras = {"aiohttp", "botocore", "httpx", "httpx2", "opentelemetry", "requests", "urllib3"}
modules = {name for _, name, _ in pkgutil.iter_modules(reknock.__path__) if not name.startswith("_")}
assert modules == {"aiohttp", "botocore", "httpx", "httpx2", "requests", "telemetry", "testing", "types", "urllib3"}, modules
for name in modules:
    try:
        importlib.import_module(f"reknock.{name}")
    except ImportError as error:
        assert error.name in extras, (name, error)
about = importlib.metadata.metadata("reknock")
assert {"httpx", "httpx2", "requests", "aiohttp", "urllib3", "botocore", "otel"} == set(about.get_all("Provides-Extra", ()))
measured = sys.platform == "linux" and platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
module = pathlib.Path(reknock.__file__).with_name("_native.abi3.so")
assert not measured or b"<jemalloc>" in module.read_bytes(), "the module lacks its heap: tool.maturin.features"
print(f"   imported in {1e3 * took:.1f} ms")
