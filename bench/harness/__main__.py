"""`python -m harness run|report|compare`: measures, writes the tables and the picture, tells whether two runs agree."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .chart import write_chart
from .measure import measure
from .report import write_report
from .stats import Spread, turned


def main() -> None:
    parser = argparse.ArgumentParser(prog="harness", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, then report")
    run.add_argument("--built", type=Path, required=True, help="where the programs are")
    run.add_argument("--out", type=Path, required=True, help="folder of the results")
    run.add_argument("--quick", action="store_true", help="fewer scenarios")
    run.add_argument("--rounds", type=int, default=5)
    run.add_argument("--seconds", type=float, default=0.3, help="measured time of one run")
    run.add_argument("--limit", type=float, default=1120, help="no further round is begun that would end after so many seconds")
    run.add_argument("--only", default="", help="of surfaces, or surface:scenario, by how their keys begin, separated by spaces; all without")
    report = commands.add_parser("report", help="write tables and picture again")
    report.add_argument("out", type=Path)
    compare = commands.add_parser("compare", help="pairs that were apart in both runs, the other way round")
    compare.add_argument("first", type=Path)
    compare.add_argument("second", type=Path)
    arguments = parser.parse_args()

    if arguments.command == "compare":
        pairs = turned(_times(arguments.first), _times(arguments.second))
        for one, other in pairs:
            print(f"{' '.join(one[:2])}: {one[2]} was faster than {other[2]}")
        raise SystemExit(1 if pairs else 0)
    if arguments.command == "run":
        results = measure(arguments.built, arguments.quick, arguments.rounds, arguments.seconds, arguments.limit, arguments.only)
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "results.json").write_text(_compact(results))
    _report(arguments.out)


def _report(out: Path) -> None:
    results = json.loads((out / "results.json").read_text())
    write_chart(results, out / "chart.svg")
    write_report(results, out / "README.md")
    print(out / "README.md")


def _compact(results: dict) -> str:
    """JSON with a line per cell, numbers rounded: a diff of two runs can be read."""
    results = json.loads(json.dumps(results), parse_float=lambda text: round(float(text), 2))
    lines = {key: ",\n  ".join(json.dumps(entry) for entry in results.pop(key)) for key in ("peers", "cells")}
    head = json.dumps(results)[1:-1]
    return "{" + head + "".join(f',\n"{key}": [\n  {text}]' for key, text in lines.items()) + "}\n"


def _times(path: Path) -> dict[tuple, Spread]:
    cells = json.loads(path.read_text())["cells"]
    return {(c["surface"], c["scenario"], c["peer"]): Spread.of([r["us"] for r in c["rounds"]]) for c in cells if c["rounds"]}


main()
