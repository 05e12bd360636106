"""The results as a page of tables."""

from __future__ import annotations

from pathlib import Path

from .plan import EVERY, RETRIES, SCENARIOS, surfaces
from .stats import Spread, ratio

TITLES = {scenario.key: scenario.title for scenario in SCENARIOS}


def write_report(results: dict, path: Path) -> None:
    cells = {(c["surface"], c["scenario"], c["peer"]): c for c in results["cells"]}
    described = {(p["surface"], p["peer"]): p for p in results["peers"]}
    measured = {c["surface"] for c in results["cells"]}
    parts = [_head(results)]
    for surface in surfaces(Path()):
        if surface.key in measured:
            parts += [f"## {surface.title}", _times(results, surface, cells), _costs(results, surface, cells, described)]
            parts += _notes(surface, cells, _keys(results, surface, cells))
    path.write_text("\n\n".join(parts) + "\n")


def _keys(results: dict, surface, cells: dict) -> list[str]:
    """The scenarios that were measured on a surface."""
    return [key for key in results["scenarios"] if (surface.key, key, surface.peers[0].name) in cells]


def is_busy(results: dict) -> bool:
    """Whether other processes took so much of the machine that times say little."""
    return results["others"] > 0.1


def _head(results: dict) -> str:
    machine = results["machine"]
    warning = "\n\n**The machine was busy with other work: provisional, to be measured again.**" if is_busy(results) else ""
    return f"""# reknock beside its peers{warning}

![Time per call beside the peers](chart.svg)

Machine: {machine["cpu"]}, {machine["cores"]} cores, {machine["memory_gib"]} GiB, {machine["system"]}; Python {machine["python"]}, Node {machine["node"]}, \
Rust {" ".join(machine["rust"])}. Commit {machine["commit"]}, {machine["date"]}, {rounds_text(results)} of {results["seconds"]:g} s per cell, \
other processes used {results["others"]:.0%} of the CPU time meanwhile. Written by `make bench`; how it measures: [bench](../README.md).

{_legend(results)}
- One rule for all: GET, connections kept, a 503 is sent again at once, up to {RETRIES} times. "10 % fail": one of each {EVERY} requests is a 503. Bodies of 11 bytes
  or 100 KiB; every byte is counted, first and last body compared, and the server's count of requests must be exactly what the calls need.
- reknock runs with its default policy otherwise (budget, deadline, records of attempts on), which the peers have not.
- CPU: of the client's process, all threads. Memory: largest resident set, and in brackets how much of it came after the bare interpreter. Start: load,
  client, first answer. Size: with dependencies (Rust: the program; C: the shared library, of libcurl a program with an HTTP-only libcurl in it)."""


def is_once(results: dict) -> bool:
    """Whether there was one round, which says nothing about how far another one would be off."""
    return results["rounds"] == 1


def rounds_text(results: dict) -> str:
    return "one round" if is_once(results) else f"{results['rounds']} rounds"


def _legend(results: dict) -> str:
    if is_once(results):
        return """- Time per call in microseconds in one round, then how many times reknock's time that is; above 1x reknock is faster. `~`: with one round nobody
  knows how far the next one would be off, so the order may mean nothing."""
    return """- Time per call in microseconds: median of the rounds (lowest–highest), then how many times reknock's time that is; above 1x reknock is
  faster. `~`: the ranges, made twice as wide, overlap, so the order means nothing."""


def _times(results: dict, surface, cells: dict) -> str:
    keys = _keys(results, surface, cells)
    rows = [["us per call", *(TITLES[key] for key in keys)]]
    for peer in surface.peers:
        rows.append([_name(peer), *(_time(surface, key, peer, cells, is_once(results)) for key in keys)])
    return _table(rows)


def _time(surface, scenario: str, peer, cells: dict, once: bool) -> str:
    cell = cells[surface.key, scenario, peer.name]
    if not cell["rounds"]:
        return "failed" if "failed" in cell else "missing"
    theirs = _spread(cell, "us")
    text = _number(theirs.middle) if once else f"{_number(theirs.middle)} ({_number(theirs.low)}–{_number(theirs.high)})"
    base = cells[surface.key, scenario, surface.peers[0].name]
    if peer.ours or not base["rounds"]:
        return text
    ours = _spread(base, "us")
    sure = theirs.apart_from(ours) and not once
    return f"{text} **{'' if sure else '~'}{_factor(ratio(theirs, ours))}**"


def _costs(results: dict, surface, cells: dict, described: dict) -> str:
    keys = [key for key in _keys(results, surface, cells) if not key.startswith("failing")]
    rows = [["", "version", *(f"CPU us, {TITLES[key]}" for key in keys), "memory MiB, 32 in flight", "import ms", "start ms", "size MiB"]]
    for peer in surface.peers:
        about = described[surface.key, peer.name]
        row = [_name(peer), about.get("version", about.get("missing", ""))]
        row += [_middle(cells[surface.key, key, peer.name], "cpu_us") for key in keys]
        busy = cells.get((surface.key, "small-32", peer.name), {"rounds": []})
        growth = _middle(busy, "growth_mib")
        row.append(f"{_middle(busy, 'peak_mib')} ({growth})" if busy["rounds"] else "–")
        row += [_middle(busy, "import_ms"), _middle(busy, "start_ms"), _number(about.get("installed_mib"))]
        rows.append(row)
    return _table(rows)


def _notes(surface, cells: dict, keys: list[str]) -> list[str]:
    """What is different about a client, once per note."""
    notes: dict[str, list[str]] = {}
    for peer in surface.peers:
        if peer.note:
            notes.setdefault(peer.note, []).append(peer.name)
        for key in keys:
            cell = cells[surface.key, key, peer.name]
            if "failed" in cell:
                notes.setdefault(f"failed: {cell['failed']}", []).append(f"{peer.name} ({TITLES[key]})")
            in_flight = next(s.in_flight for s in SCENARIOS if s.key == key)
            if cell["rounds"] and _spread(cell, "connections").middle > 3 * in_flight + 3:
                opened = "opened more than three times as many connections as calls in flight"
                notes.setdefault(opened, []).append(f"{peer.name} ({TITLES[key]}: {_middle(cell, 'connections')})")
    return ["\n".join(f"- {', '.join(names)}: {note}." for note, names in notes.items())] if notes else []


def _name(peer) -> str:
    return f"**{peer.name}**" if peer.ours else peer.name


def _spread(cell: dict, what: str) -> Spread:
    return Spread.of([done[what] for done in cell["rounds"]])


def _middle(cell: dict, what: str) -> str:
    if not cell["rounds"] or cell["rounds"][0][what] is None:
        return "–"
    return _number(_spread(cell, what).middle)


def _number(value: float | None) -> str:
    """Three digits are all that a measurement is good for."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def _factor(value: float) -> str:
    return f"{value:.0f}x" if value >= 9.95 else f"{value:.2g}x"


def _table(rows: list[list[str]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "| --- " + "| ---: " * (len(rows[0]) - 1) + "|", *body])
