#!/usr/bin/python3
"""A miscount here would let a broken change land."""
import os
import tempfile
import unittest

import junit_summary

# As ctest 3.25 writes them.
PASSED = '<testcase name="a" status="run"><system-out>x</system-out></testcase>'
FAILED = '<testcase name="b" status="fail"><failure message=""/></testcase>'
NO_PROGRAM = '<testcase name="c" status="notrun"><skipped message="Unable to find executable"/></testcase>'
NO_FIXTURE = '<testcase name="d" status="notrun"><skipped message="Fixture dependency failed"/></testcase>'
DISABLED = '<testcase name="e" status="disabled"><system-out>Disabled</system-out></testcase>'
SKIPPED = '<testcase name="f" status="notrun"><skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>'


class JunitSummaryTest(unittest.TestCase):
    def count(self, text):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "junit.xml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return junit_summary.count(path)

    def test_every_outcome_is_counted_once(self):
        cases = PASSED + PASSED + FAILED + DISABLED + SKIPPED
        self.assertEqual((2, 1, 2), self.count(f"<testsuite>{cases}</testsuite>"))

    def test_a_test_that_could_not_run_has_failed(self):
        self.assertEqual((0, 2, 0), self.count(f"<testsuite>{NO_PROGRAM}{NO_FIXTURE}</testsuite>"))

    def test_a_missing_or_broken_file_counts_nothing(self):
        self.assertEqual((0, 0, 0), self.count("<testsuite>"))
        self.assertEqual((0, 0, 0), junit_summary.count("/nonexistent/junit.xml"))


if __name__ == "__main__":
    unittest.main()
