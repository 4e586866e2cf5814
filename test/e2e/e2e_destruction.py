"""All old records of a collection, erased by several after a delay: what goes, what stays, who can stop it."""

import time
import unittest

from vault import Vault

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

    def last(self):
        return self.vault.json("destruction", "list", who="auditor")["destructions"][-1]

    def erased(self):
        return int(self.vault.json("status", who="operator").get("erased", 0))


    def test_old_blocks_go_and_what_is_held_or_new_stays(self):
        self.vault.must("hold", "place", "C-1", "person", "0000000007", who="privacy")
        self.delay(1)
        self.assertEqual(self.ask(), 2 * BLOCK + 99)
        deadline = time.monotonic() + PATIENCE_S
        while self.last()["state"] != "DONE":
            self.assertLess(time.monotonic(), deadline, "it is not done")
            time.sleep(0.2)
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


if __name__ == "__main__":
    unittest.main(verbosity=2)
