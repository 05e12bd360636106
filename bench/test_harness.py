"""What the tables are computed with. `make bench-quick` runs this before it measures."""

import tempfile
import unittest
from pathlib import Path

from harness.measure import narrowed
from harness.plan import SCENARIOS, surfaces
from harness.report import write_report
from harness.stats import Spread, ratio, share_of_others, turned


class Arithmetic(unittest.TestCase):
    def test_a_spread_is_the_median_and_the_extremes(self):
        self.assertEqual(Spread.of([5.0, 1.0, 9.0]), (5.0, 1.0, 9.0))
        self.assertEqual(Spread.of([4.0, 1.0, 9.0, 2.0]), (3.0, 1.0, 9.0))

    def test_a_ratio_above_one_says_that_ours_is_faster(self):
        self.assertEqual(ratio(Spread(50.0, 40.0, 60.0), Spread(20.0, 10.0, 90.0)), 2.5)

    def test_spreads_are_apart_that_would_be_if_they_were_twice_as_wide(self):
        self.assertTrue(Spread(2, 1, 3).apart_from(Spread(7, 6, 8)))
        self.assertTrue(Spread(7, 6, 8).apart_from(Spread(2, 1, 3)))
        self.assertFalse(Spread(2, 1, 3).apart_from(Spread(6, 5, 7)))
        self.assertFalse(Spread(5, 1, 9).apart_from(Spread(5, 4, 6)))
        self.assertTrue(Spread(2, 2, 2).apart_from(Spread(3, 3, 3)))

    def test_others_never_use_less_than_nothing(self):
        self.assertEqual(share_of_others(30.0, 10.0, 20.0, 2), 0.5)
        self.assertEqual(share_of_others(9.0, 10.0, 20.0, 2), 0.0)

    def test_an_order_turned_is_told_only_of_cells_that_were_apart(self):
        first = {("c", "a"): Spread(1, 1, 2), ("c", "b"): Spread(5, 4, 6), ("c", "near"): Spread(2, 1, 5), ("d", "z"): Spread(9, 9, 9)}
        second = {("c", "a"): Spread(9, 9, 9), ("c", "b"): Spread(5, 4, 6), ("c", "near"): Spread(1, 1, 1), ("d", "z"): Spread(1, 1, 1)}
        self.assertEqual(turned(first, second), [(("c", "a"), ("c", "b"))])
        self.assertEqual(turned(first, first), [])


class Plan(unittest.TestCase):
    def wanted(self, only: str) -> list[tuple[str, list[str]]]:
        plan = [(surface, [scenario for scenario in SCENARIOS if scenario.is_on(surface)]) for surface in surfaces(Path())]
        return [(surface.key, [scenario.key for scenario in scenarios]) for surface, scenarios in narrowed(plan, only.split())]

    def test_only_what_is_wanted_is_measured(self):
        self.assertEqual(self.wanted("c-blocking:small-1 node-request:small-3"), [("node-request", ["small-32"]), ("c-blocking", ["small-1"])])
        self.assertEqual(self.wanted("rust:upload c-blocking:upload"), [("rust", ["upload-1", "upload-32"])])
        self.assertEqual([key for key, _ in self.wanted("c")], ["c-blocking", "c-async"])
        self.assertEqual(len(self.wanted("")), len(surfaces(Path())))


class Page(unittest.TestCase):
    """The page of a surface whose clients took 1, 2, .. microseconds in the first round and half of one more in each that follows."""

    def page(self, rounds: int) -> str:
        surface = surfaces(Path())[0]
        keys = [scenario.key for scenario in SCENARIOS]
        done = dict.fromkeys(("cpu_us", "connections", "growth_mib", "peak_mib", "import_ms", "start_ms"), 1.0)
        cells = [
            {"surface": surface.key, "peer": peer.name, "scenario": key, "rounds": [{**done, "us": place + n / 2} for n in range(rounds)]}
            for place, peer in enumerate(surface.peers, 1)
            for key in keys
        ]
        machine = {"cpu": "a", "cores": 2, "memory_gib": 1, "system": "b", "python": "3", "node": "20", "rust": ["1"], "commit": "c", "date": "d"}
        peers = [{"surface": surface.key, "peer": peer.name, "version": "1", "installed_mib": 1.0} for peer in surface.peers]
        results = {"machine": machine, "others": 0.0, "rounds": rounds, "seconds": 1.0, "scenarios": keys, "peers": peers, "cells": cells}
        with tempfile.TemporaryDirectory() as folder:
            write_report(results, Path(folder) / "page.md")
            return (Path(folder) / "page.md").read_text()

    def test_rounds_have_a_range(self):
        page = self.page(2)
        self.assertIn("2 rounds of 1 s", page)
        self.assertIn("lowest–highest", page)
        self.assertIn("| 1.25 (1–1.5) |", page)
        self.assertIn("| 2.25 (2–2.5) **~1.8x** |", page)
        self.assertIn("| 3.25 (3–3.5) **2.6x** |", page)

    def test_one_round_has_none_and_says_so(self):
        page = self.page(1)
        self.assertIn("one round of 1 s", page)
        self.assertNotIn("lowest", page)
        self.assertIn("| 3 **~3x** |", page)
        self.assertNotRegex(page, r"\d \(\d+–")


if __name__ == "__main__":
    unittest.main()
