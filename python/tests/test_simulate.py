"""What a policy will do before it ships: simulate, lint, and their commands."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import reknock

from .test_vectors import vectors


@pytest.mark.parametrize("case", vectors("simulate")["cases"], ids=lambda case: case["name"])
def test_results_are_the_same_bytes_in_every_language(case):
    report = reknock.simulate(reknock.Policy.from_dict(case["policy"]), case["scenario"])
    assert report.to_json() == case["result"]
    assert report.passed == case["passed"]
    assert report.to_dict() == json.loads(case["result"])


def test_policies_and_scenarios_in_their_short_forms():
    assert reknock.simulate(False, "batch").to_dict()["attempts"] == 5 * 500
    with pytest.raises(reknock.ConfigError, match="did you mean \"spike\"\\?"):
        reknock.simulate(False, "spikes")
    with pytest.raises(reknock.ConfigError, match="durations: unknown key"):
        reknock.simulate(False, {"durations": "1s"})


def test_policies_are_compared():
    both = reknock.compare({"ours & theirs": reknock.Policy(), "none": {"max_retries": 0}}, {"preset": "batch", "seeds": 1, "expect": {"goodput": 0.99}})
    assert list(both.reports) == ["ours & theirs", "none"]
    assert both.reports["none"].to_json() == reknock.simulate(False, {"preset": "batch", "seeds": 1, "expect": {"goodput": 0.99}}).to_json()
    assert both.reports["ours & theirs"].passed and not both.reports["none"].passed and not both.passed
    assert json.loads(both.to_json())["none"]["attempts"] == 500
    assert both.to_html().count("<svg") == 4 and "ours &amp; theirs" in both.to_html()
    with pytest.raises(reknock.ConfigError, match="policies: must hold at least one"):
        reknock.compare({}, "batch")


def test_lint():
    result = reknock.lint({"timeout": "10s", "budget": {"min_per_second": 10}}, processes=64, capacity=100)
    assert result.worst == "warning"
    assert {finding["rule"] for finding in result.findings} >= {"limit-never-fires", "floor-above-capacity"}
    assert result.bounds["attempts_per_call"] == 3 and result.bounds["floor_per_second"] == 640
    assert "[limit-never-fires]" in str(result)
    assert reknock.lint(reknock.Policy()).worst is None
    with pytest.raises(reknock.ConfigError, match="processes: must be a whole number from 1 to 1000000, got 0"):
        reknock.lint({}, processes=0)
    with pytest.raises(reknock.ConfigError, match="did you mean processes"):
        reknock.lint({}, process=2)  # type: ignore[call-arg]


def test_the_commands(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("timeout: 10s\n")
    run = lambda *arguments: subprocess.run([sys.executable, "-m", "reknock", *arguments], capture_output=True, text=True, timeout=60)
    linted = run("lint", str(file), "--fail-on", "warning")
    assert linted.returncode == 1 and "[limit-never-fires]" in linted.stdout and not linted.stderr
    simulated = run("simulate", "none", "--scenario", "batch", "--seeds", "1", "--json")
    assert simulated.returncode == 0 and json.loads(simulated.stdout)["report"]["attempts"] == 500
    assert run("simulate", "nothing.yaml").returncode == 2
