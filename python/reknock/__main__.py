"""`python -m reknock get URL`: one call, and the timeline of its attempts."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from . import Client, HTTPError, Policy, Response, __version__


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser("python -m reknock", description="Sends a request under a retry policy and prints the timeline of its attempts.")
    parser.add_argument("--version", action="version", version=f"reknock {__version__}")
    command = parser.add_subparsers(required=True).add_parser("get", help="send a request; the body goes to stdout, the timeline to stderr")
    command.add_argument("url")
    command.add_argument("-X", dest="method", metavar="METHOD", help="the method (GET, or POST with -d)")
    command.add_argument("-H", dest="headers", metavar="NAME: VALUE", action="append", default=[], help="a header field; may be repeated")
    command.add_argument("-d", dest="data", metavar="TEXT|@FILE", help="the body")
    command.add_argument("--policy", metavar="FILE", help="a policy document: YAML, JSON or TOML")
    command.add_argument("--json", action="store_true", help="print one JSON object with the attempts instead")
    return parser


def report(result: Response | HTTPError) -> dict[str, Any]:
    """What happened, for programs."""
    names = ("number", "hop", "start", "duration", "status", "error", "evidence", "hint", "wait")
    attempts = [{name: getattr(attempt, name) for name in names} for attempt in result.attempts]
    error = None if isinstance(result, Response) else {"kind": result.kind, "message": str(result)}
    body = result.text if isinstance(result, Response) else None
    return {"status": result.status_code, "error": error, "stop_reason": result.stop_reason, "attempts": attempts, "body": body}


def send(options: argparse.Namespace) -> Response | HTTPError:
    """Makes the call."""
    headers = [(name.strip(), value.strip()) for name, _, value in (field.partition(":") for field in options.headers)]
    content: str | bytes | None = options.data
    if isinstance(content, str) and content.startswith("@"):
        content = Path(content[1:]).read_bytes()
    method = options.method or ("GET" if content is None else "POST")
    try:
        with Client(policy=Policy.load(options.policy) if options.policy else None) as client:
            return client.request(method, options.url, headers=headers, content=content)
    except HTTPError as error:
        return error


def main(argv: list[str] | None = None) -> int:
    """0 for a response below 400, 1 for any other, 2 for none."""
    options = arguments().parse_args(argv)
    result = send(options)
    if options.json:
        print(json.dumps(report(result)))
    elif isinstance(result, Response):
        sys.stdout.buffer.write(result.content)
        sys.stdout.flush()
        print(f"{result.status_code} {result.reason_phrase}\n{result.explain()}", end="", file=sys.stderr)
    else:
        print(f"{result.kind}: {result}\n{result.explain()}", end="", file=sys.stderr)
    return 2 if isinstance(result, HTTPError) else int(result.is_error)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
