"""What the tables are computed with. `make bench-quick` runs this before it measures."""

import unittest

from harness.stats import Spread, expected_sends, ratio, turned


class Arithmetic(unittest.TestCase):
    def test_a_spread_is_the_median_and_the_extremes(self):
        self.assertEqual(Spread.of([5.0, 1.0, 9.0]), (5.0, 1.0, 9.0))
        self.assertEqual(Spread.of([4.0, 1.0, 9.0, 2.0]), (3.0, 1.0, 9.0))

    def test_a_ratio_above_one_says_that_ours_is_faster(self):
        self.assertEqual(ratio(Spread(50.0, 40.0, 60.0), Spread(20.0, 10.0, 90.0)), 2.5)

    def test_spreads_that_share_a_value_are_not_apart(self):
        self.assertTrue(Spread(2, 1, 3).apart_from(Spread(5, 4, 6)))
        self.assertTrue(Spread(5, 4, 6).apart_from(Spread(2, 1, 3)))
        self.assertFalse(Spread(2, 1, 4).apart_from(Spread(5, 4, 6)))
        self.assertFalse(Spread(5, 1, 9).apart_from(Spread(5, 4, 6)))

    def test_sends_follow_from_calls_as_a_server_counts_them(self):
        for every in (2, 3, 10):
            requests = calls = 0
            for _ in range(200):
                requests += 1
                while requests % every == 0:
                    requests += 1
                calls += 1
                self.assertEqual(expected_sends(calls, every), requests, (every, calls))
        self.assertEqual(expected_sends(7, 0), 7)

    def test_an_order_turned_is_told_only_of_cells_that_were_apart(self):
        first = {("c", "a"): Spread(1, 1, 2), ("c", "b"): Spread(5, 4, 6), ("c", "near"): Spread(2, 1, 5), ("d", "z"): Spread(9, 9, 9)}
        second = {("c", "a"): Spread(7, 7, 7), ("c", "b"): Spread(5, 4, 6), ("c", "near"): Spread(1, 1, 1), ("d", "z"): Spread(1, 1, 1)}
        self.assertEqual(turned(first, second), [(("c", "a"), ("c", "b"))])
        self.assertEqual(turned(first, first), [])


if __name__ == "__main__":
    unittest.main()
