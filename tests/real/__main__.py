"""make real-servers: reknock against real servers on loopback. Prints tables; exit code 1 if a promise is broken.

python tests/real [--seconds 15] [--only NAME] [storms] [probes]
"""

import argparse
import asyncio
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import servers
from probes import at_once, early, silence, unread
from storms import judge, storm


@asynccontextmanager
async def running(kind, folder, **options):
    server = kind(folder, **options)
    try:
        await server.start()
        yield server
    finally:
        server.kill()


def versions(kind):
    """Which versions of HTTP are tried."""
    return [kind.http2] if issubclass(kind, servers.Alone) else [False, True]


async def storms(kinds, folder, seconds):
    rows, broken = [], []
    for kind in kinds:
        for http2 in versions(kind):
            async with running(kind, folder) as server:
                came = await storm(server, http2, seconds)
                row, faults = judge(server, http2, came)
            rows.append(row)
            broken += faults
            print(f"{row['server']}: {row['calls']} calls; failed: {dict(came.failed)}", file=sys.stderr)
    return table(rows), broken


async def probes(kinds, folder):
    rows, broken = [], []

    def note(kind, what, result):
        said, good = result
        rows.append({"server": kind.name, "what": what, "came": said})
        if not good:
            broken.append(f"{kind.name}: {what}: {said}")

    for kind in kinds:
        speaks = versions(kind)
        if True in speaks and kind is not servers.Hypercorn:  # Which takes no such number on its command line.
            for streams in (1, 8, 32):
                async with running(kind, folder, streams=streams) as server:
                    note(kind, f"100 calls at once, {streams} streams", await at_once(server))
        async with running(kind, folder) as server:
            if True in speaks:
                note(kind, "a GET beside three unread bodies of 2 MB", await unread(server))
                note(kind, "a silent connection, limit of the attempt", await silence(server, limit=True))
                note(kind, "a silent connection, pings", await silence(server, limit=False))
            if kind is servers.Nghttpd:  # It cannot say no.
                continue
            for http2 in speaks:
                for size in (300_000, 2_000_000, 20_000_000):
                    note(kind, f"early 413, HTTP/{2 if http2 else 1}, {size / 1e6:g} MB", await early(server, http2, size))
    return table(rows), broken


def table(rows):
    if not rows:
        return ""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", default=["storms", "probes"])
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--only", default="")
    wanted = parser.parse_args()
    kinds, broken = [], []
    for kind in servers.ALL:
        if wanted.only.lower() not in kind.name.lower():
            continue
        if lacks := kind.missing():
            print(f"left out: {kind.name}: there is no {lacks}")
        else:
            kinds.append(kind)
    with tempfile.TemporaryDirectory(prefix="reknock-real-") as name:
        folder = Path(name)
        servers.certificate(folder)
        for part in wanted.parts:
            text, faults = await (storms(kinds, folder, wanted.seconds) if part == "storms" else probes(kinds, folder))
            print(text, end="\n\n", flush=True)
            broken += faults
    for fault in broken:
        print(f"BROKEN: {fault}")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
