"""`reknock`, and `python -m reknock`: one call and the timeline of its attempts; all other commands are the core's."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

from . import Client, HTTPError, PolicySet, Response, __version__
from ._native import command_help, command_run


PROGRAM = "reknock" if Path(sys.argv[0]).name == "reknock" else "python -m reknock"


class Parser(argparse.ArgumentParser):
    """The command line, or that of one command, with the help that it has in every language."""

    def format_help(self) -> str:
        return command_help(PROGRAM)

    format_usage = format_help


def arguments() -> Parser:
    """The command line."""
    parser = Parser(PROGRAM)
    parser.add_argument("--version", action="version", version=f"reknock {__version__}")
    commands = parser.add_subparsers(required=True, dest="command")
    get = commands.add_parser("get")
    get.add_argument("url")
    get.add_argument("-X", "--method")
    get.add_argument("-H", "--header", dest="headers", action="append", default=[])
    get.add_argument("-d", "--data")
    get.add_argument("--policy")
    get.add_argument("--json", action="store_true")
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
    content = None if options.data is None else options.data.encode(errors="surrogateescape")
    if content is not None and options.data.startswith("@"):
        content = Path(options.data[1:]).read_bytes()
    method = options.method or ("GET" if content is None else "POST")
    try:
        with Client(policy=PolicySet.load(options.policy) if options.policy else None) as client:
            return client.request(method, options.url, headers=headers, content=content)
    except HTTPError as error:
        return error


def get(options: argparse.Namespace) -> int:
    """Sends a request: 0 for a response below 400, 1 for any other, 2 for none."""
    result = send(options)
    if options.json:
        print(json.dumps(report(result)))
    elif isinstance(result, Response):
        sys.stdout.buffer.write(result.content)
        sys.stdout.flush()
        print(f"{result.status_code} {result.reason_phrase}".strip(), result.explain(), sep="\n", end="", file=sys.stderr)
    else:
        print(f"{result.kind}: {result}\n{result.explain()}", end="", file=sys.stderr)
    return 2 if isinstance(result, HTTPError) else int(result.is_error)


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    # Bytes that are no text (surrogates, to Python) name no file that the core could read: it says so.
    finished = command_run(PROGRAM, [word.encode(errors="surrogateescape").decode(errors="replace") for word in given])
    if finished is not None:
        out, err, status = finished
        sys.stderr.write(err)
        sys.stdout.write(out)
        return status
    options = arguments().parse_args(argv)
    try:
        return get(options)
    except OSError as error:
        print(error, file=sys.stderr)
        return 2


def program() -> NoReturn:
    """The program `reknock`, and `python -m reknock`."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    program()
