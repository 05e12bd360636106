"""All cells, round by round: in each round every client runs once per scenario, those of one scenario right after one another."""

from __future__ import annotations

import os
import platform
import random
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

from . import sizes
from .load import CORES, Failed, load_server, run
from .plan import BENCH, SCENARIOS, Scenario, Surface, surfaces
from .stats import share_of_others


def measure(built: Path, quick: bool, rounds: int, seconds: float, limit: float, only: str) -> dict:
    """Measures everything `rounds` times, less often if `limit` seconds are over (but once). Returns the results as they are written to JSON."""
    every = [(surface, [scenario for scenario in SCENARIOS if scenario.is_on(surface) and (scenario.quick or not quick)]) for surface in surfaces(built)]
    plan = narrowed(every, only.split())
    scenarios = [scenario for scenario in SCENARIOS if any(scenario in chosen for _, chosen in plan)]
    peers = _peers([surface for surface, _ in plan], built)
    missing = {(p["surface"], p["peer"]) for p in peers if "missing" in p}
    cells = {
        (surface.key, peer.name, scenario.key): {"surface": surface.key, "peer": peer.name, "scenario": scenario.key, "rounds": []}
        for surface, chosen in plan
        for peer in surface.peers
        for scenario in chosen
    }
    begin, before = time.monotonic(), _cpu()
    with load_server(built) as server:
        for number in range(1, rounds + 1):
            round_begin = time.monotonic()
            for surface, chosen in plan:
                for scenario in chosen:
                    _group(server, surface, scenario, seconds, quick, cells, missing)
            now = time.monotonic()
            print(f"round {number} of {rounds}: {now - round_begin:.0f} s", file=sys.stderr)
            if now - begin + (now - round_begin) > limit:
                break
    used = (now - then for now, then in zip(_cpu(), before, strict=True))
    return {
        "machine": _machine(),
        "others": share_of_others(*used, time.monotonic() - begin, len(CORES)),
        "rounds": number,
        "seconds": seconds,
        "took_s": round(time.monotonic() - begin),
        "scenarios": [scenario.key for scenario in scenarios],
        "peers": peers,
        "cells": list(cells.values()),
    }


def narrowed(plan: list[tuple[Surface, list[Scenario]]], wanted: list[str]) -> list[tuple[Surface, list[Scenario]]]:
    """What of a plan is wanted: `surface` or `surface:scenario`, each by the beginning of its key; without any, all of it."""
    if not wanted:
        return plan

    def is_wanted(surface: Surface, scenario: Scenario) -> bool:
        return any(surface.key.startswith(one.partition(":")[0]) and scenario.key.startswith(one.partition(":")[2]) for one in wanted)

    chosen = [(surface, [scenario for scenario in scenarios if is_wanted(surface, scenario)]) for surface, scenarios in plan]
    return [(surface, scenarios) for surface, scenarios in chosen if scenarios]


def _group(server, surface: Surface, scenario: Scenario, seconds: float, quick: bool, cells: dict, missing: set) -> None:
    """One scenario on one surface, in an order that is another one each time. A client that failed once is not asked again."""
    for peer in random.sample(surface.peers, len(surface.peers)):
        cell = cells[surface.key, peer.name, scenario.key]
        if "failed" in cell or (surface.key, peer.name) in missing:
            continue
        try:
            cell["rounds"].append(run(server, peer, scenario, min(surface.warm, 1.0) if quick else surface.warm, seconds))
        except Failed as failed:
            cell["failed"] = str(failed)
            print(f"{surface.title}, {peer.name}, {scenario.title}: {failed}", file=sys.stderr)


def _peers(plan: list[Surface], built: Path) -> list[dict]:
    """Versions and sizes; of what is not installed, why."""
    described = []
    for surface in plan:
        for peer in surface.peers:
            entry = {"surface": surface.key, "peer": peer.name}
            try:
                entry["version"] = sizes.version(surface, peer)
                entry["installed_mib"] = sizes.installed_mib(surface, peer, built) if peer.packages else 0.0
            except (OSError, LookupError, ImportError):
                entry["missing"] = "not installed"
            described.append(entry)
    return described


def _cpu() -> tuple[float, float]:
    """CPU seconds that all processes have used since the machine started, and ours since they did; changes are what is meant."""
    with open("/proc/stat") as stat:
        used = sum(int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in stat.readline().split()[1:4])  # user, nice, system
    ours = os.times()  # of children that have ended: all of them, when this is asked
    return used, sum(ours[:4])


def _machine() -> dict:
    with open("/proc/cpuinfo") as info:
        models = [line.partition(":")[2].strip() for line in info if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cores": len(CORES),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "node": _line(["node", "--version"]).lstrip("v"),
        "rust": _line(["rustc", "--version"]).split(" ")[1:2],
        "commit": _line(["git", "-C", str(BENCH), "rev-parse", "--short", "HEAD"]),
        "date": date.today().isoformat(),
    }


def _line(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
