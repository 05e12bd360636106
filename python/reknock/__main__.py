"""`reknock`, and `python -m reknock`: one call and the timeline of its attempts; all other commands are the core's."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn, TextIO

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
    status = 2 if isinstance(result, HTTPError) else int(result.is_error)
    if options.json:
        return finish(json.dumps(report(result)) + "\n", "", status)
    if isinstance(result, Response):
        return finish(result.content, f"{f'{result.status_code} {result.reason_phrase}'.strip()}\n{result.explain()}", status)
    return finish("", f"{result.kind}: {result}\n{result.explain()}", status)


def finish(out: str | bytes, err: str, status: int) -> int:
    """Writes what a command says; its exit status. That is 2 where stdout does not take it, and that of a program that SIGPIPE ends where nobody reads on."""
    try:
        write(out)
    except OSError as error:
        give_up(sys.stdout)
        status, said = (141, "") if isinstance(error, BrokenPipeError) else (2, f"stdout: {error.strerror}\n")
        err += said
    try:
        if sys.stderr is not None:
            sys.stderr.write(err)
            sys.stderr.flush()
    except OSError:
        give_up(sys.stderr)
    return status


def give_up(stream: TextIO | None) -> None:
    """At its end the interpreter would try once more to write what is left."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write(out: str | bytes) -> None:
    """Writes to stdout all of it, now."""
    if sys.stdout is None:
        if out:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return
    if isinstance(out, str):
        out = out.encode(sys.stdout.encoding, "backslashreplace")
    sys.stdout.buffer.write(out)
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its exit status."""
    given = sys.argv[1:] if argv is None else argv
    # Bytes that are no text (surrogates, to Python) name no file that the core could read: it says so.
    finished = command_run(PROGRAM, [word.encode(errors="surrogateescape").decode(errors="replace") for word in given])
    if finished is not None:
        return finish(*finished)
    try:
        return get(arguments().parse_args(argv))
    except OSError as error:
        return finish("", f"{error}\n", 2)
    except SystemExit as end:
        # Of the help, the version, or a wrong line. What it wrote may not be out yet.
        return finish("", "", end.code if isinstance(end.code, int) else 2)


def program() -> NoReturn:
    """The program `reknock`, and `python -m reknock`."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    program()
