"""All old records of a collection, erased by several after a delay: what goes, what stays, who can stop it."""

import os
import time
import unittest
from unittest import mock

from vault import Restored, Vault

BLOCK = 4096
PATIENCE_S = 60


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Destruction(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())
        rows = self.vault.write("people.csv", self.vault.generate("person", 2 * BLOCK + 100))
        self.vault.must("import", "person", rows, who="operator")
        time.sleep(2)  # --before has whole seconds.
        self.before = now()
        time.sleep(1)

    def approve(self, request):
        for who in ("approver1", "approver2"):
            self.vault.must("approve", str(request), "--yes", who=who)

    def delay(self, seconds):
        policy = self.vault.must("policy", "show", who="officer").stdout
        self.assertIn("expire_hours: 72", policy)
        policy = policy.replace("expire_hours: 72", f"expire_hours: 72\n  destruction_delay_s: {seconds}")
        path = self.vault.write("policy.yaml", policy)
        self.approve(self.vault.json("policy", "apply", path, who="officer")["request"])

    def ask(self):
        asked = self.vault.json("destruction", "request", "person", "--before", self.before, "--reason", "test",
                                who="operator")
        self.approve(asked["request"])
        return int(asked["records"])

    def last(self, vault=None):
        return (vault or self.vault).json("destruction", "list", who="auditor")["destructions"][-1]

    def erased(self, vault=None):
        return int((vault or self.vault).json("status", who="operator").get("erased", 0))

    def wait(self, vault, what, reached):
        deadline = time.monotonic() + PATIENCE_S
        while not reached((vault or self.vault).json("destruction", "list", who="auditor").get("destructions", [])):
            self.assertLess(time.monotonic(), deadline, "it is not " + what)
            time.sleep(0.2)

    def wait_done(self, vault=None):
        self.wait(vault, "done", lambda all: all[-1]["state"] == "DONE")

    def opens(self, record, vault=None):
        return (vault or self.vault).run("get", "person", record, "--purpose", "service").status == 0

    def test_old_blocks_go_and_what_is_held_or_new_stays(self):
        self.vault.must("hold", "place", "C-1", "person", "0000000007", who="privacy")
        self.delay(1)
        self.assertEqual(self.ask(), 2 * BLOCK + 99)
        self.wait_done()
        done = self.last()
        self.assertEqual((done["erased"], done["held"]), (str(2 * BLOCK + 99), "1"))
        self.vault.kill()
        self.vault.serve()
        self.assertEqual(self.erased(), 2 * BLOCK + 99)
        for record in ("0000000000", "0000001000", "0000002010"):
            self.assertEqual(self.vault.run("get", "person", record, "--purpose", "service").status, 1, record)
        self.vault.must("get", "person", "0000000007", "--purpose", "service")
        self.vault.must("put", "person", "name=测试", "--purpose", "import", who="operator")
        log = self.vault.must("log", "tail", "-n", "40", who="auditor").stdout
        self.assertIn("go after", log)
        self.assertIn(f"{BLOCK:,} records erased", log)
        self.assertIn("done, 1 record held", log)
        self.vault.must("log", "verify", who="auditor")

    def test_until_it_is_due_one_can_stop_it(self):
        self.ask()  # A week.
        scheduled = self.last()
        self.assertNotIn("erased", {k for k, v in scheduled.items() if v not in ("0", 0)})
        self.assertIn("1 erasure of old records scheduled", self.vault.must("status", who="operator").stdout)
        self.assertIn("scheduled", self.vault.must("destruction", "list", who="officer").stdout)
        self.assertEqual(self.vault.run("destruction", "cancel", scheduled["id"], who="clerk").status, 1)
        self.vault.must("destruction", "cancel", scheduled["id"], "--reason", "wrong", who="approver3")
        self.assertEqual(self.last()["state"], "CANCELLED")
        self.assertEqual(self.erased(), 0)
        for refused, text in ((("person", "--before", "yesterday"), "2026-01-31"),
                              (("person", "--before", "2999-01-01"), "past"),
                              (("person", "--before", "2000-01-01"), "nothing to erase"),
                              (("nobody", "--before", "2000-01-01"), "no such collection")):
            outcome = self.vault.run("destruction", "request", *refused, who="operator")
            self.assertEqual(outcome.status, 1)
            self.assertIn(text, outcome.stderr)

    def test_what_waits_in_a_backup_waits_in_what_is_restored_and_goes_when_it_is_due(self):
        self.delay(8)
        self.ask()
        backup = self.vault.path("backup")
        self.vault.must("backup", backup, who="operator")
        self.assertEqual(self.last()["state"], "SCHEDULED")
        self.vault.kill()
        time.sleep(8)  # Due, while nothing runs.
        origin = self.vault.json("restore", backup, self.vault.path("restored"), who=None)["origin"]
        with Restored(self.vault, "restored") as again:
            self.assertEqual((self.last(again)["state"], self.erased(again)), ("SCHEDULED", 0), "not right at a start")
            self.assertTrue(self.opens("0000000000", again))
            self.wait_done(again)
            self.assertEqual(self.erased(again), 2 * BLOCK + 100)
            self.assertFalse(self.opens("0000000000", again))
            again.told_of(origin)
            again.must("log", "verify", who="auditor")

    def test_what_was_cancelled_after_the_backup_stays_cancelled_with_the_newest_log(self):
        self.delay(8)
        self.ask()
        backup = self.vault.path("backup")
        self.vault.must("backup", backup, who="operator")
        self.vault.must("destruction", "cancel", self.last()["id"], "--reason", "wrong", who="approver3")
        self.vault.stop()
        self.vault.must("restore", backup, self.vault.path("newest"), "--log", self.vault.dir, who=None)
        with Restored(self.vault, "newest") as again:
            time.sleep(10)
            self.assertEqual((self.last(again)["state"], self.erased(again)), ("CANCELLED", 0))
            self.assertTrue(self.opens("0000000000", again))

    def test_what_a_collection_keeps_for_a_day_goes_after_two(self):
        self.delay(3)
        schema = self.vault.must("collection", "show", "person", who="operator").stdout
        path = self.vault.write("kept.yaml", schema + "retention_days: 1\n")
        self.approve(self.vault.json("collection", "apply", path, who="operator")["request"])
        self.assertEqual(self.vault.json("destruction", "list", who="auditor").get("destructions", []), [])
        later = self.vault.shifted_clock(2 * 86_400)
        self.vault.stop()
        with mock.patch.dict(os.environ, later):
            self.vault.serve()
            self.wait(None, "scheduled", bool)
            self.assertEqual((self.last()["state"], self.erased()), ("SCHEDULED", 0))
            self.assertIn("retention", self.vault.must("destruction", "list", who="auditor").stdout)
            self.wait_done()
            self.assertEqual(self.erased(), 2 * BLOCK + 100)
            self.assertFalse(self.opens("0000000000"))
            self.vault.must("put", "person", "name=测试", "--purpose", "import", who="operator")
            self.vault.must("log", "verify", who="auditor")


if __name__ == "__main__":
    unittest.main(verbosity=2)
