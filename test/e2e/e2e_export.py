"""An export: asked for, approved by several, cut off and gone on with, and never more than was signed."""

import csv
import io
import json
import os
import time
import unittest

from vault import Vault

PEOPLE = 6000


class Export(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())
        self.vault.raise_budgets()
        text = self.vault.generate("person", PEOPLE, 11)
        self.people = list(csv.DictReader(io.StringIO(text)))
        self.vault.import_csv("person", text)
        self.vault.allow_export()

    def command(self, output, records=PEOPLE, term="gender=F", **changes):
        options = {"purpose": "exports", "case": "R-1", "fields": "name,phone", **changes}
        words = ["export", "person", term, "--records", str(records), "-o", output]
        for name, value in options.items():
            words += ["--" + name, value]
        return words

    def asked(self, *words):
        answer = self.vault.json(*words, who="operator")
        self.assertFalse(answer["approved"])
        return answer["request"]

    def exported(self, path):
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len({row["id"] for row in rows}), len(rows), "one record twice")
        return rows

    def test_approved_cut_off_and_whole_in_the_end(self):
        prefix = self.people[0]["address"][:3]
        term = "address^" + prefix
        wanted = sorted(p["name"] for p in self.people if p["address"].startswith(prefix))
        out = self.vault.path("out.csv")
        words = self.command(out, records=PEOPLE + 3000, term=term)
        request = self.asked(*words)
        self.assertFalse(os.path.exists(out), "nothing leaves before it is approved")
        self.assertEqual(self.asked(*words), request, "asked once")
        shown = self.vault.must("request", "show", str(request), who="approver1").stdout
        for text in (prefix, "name, phone", "exports", "R-1"):
            self.assertIn(text, shown)
        self.vault.approve(request)
        for target in ("client", "gateway", "serve"):
            process = self.vault.popen(*words, "--json", who="operator")
            time.sleep(0.1)
            if process.poll() is None:
                if target == "client":
                    process.kill()
                else:
                    self.vault.kill(target)
            process.communicate(timeout=120)
            if self.vault.server is None:
                self.vault.serve()
            if process.returncode == 0 or os.path.exists(out):  # Killed when it was done already.
                break
        if not os.path.exists(out):
            done = self.vault.json(*words, who="operator")
            self.assertEqual(done["exported"], len(wanted))
        rows = self.exported(out)
        self.assertEqual(sorted(row["name"] for row in rows), wanted)
        self.assertFalse(os.path.exists(out + ".export"))
        again = self.vault.run(*words, "--json", who="operator")
        self.assertEqual(again.status, 1)
        self.assertIn("there already", again.stdout)

    def test_one_that_ended_before_its_first_batch_goes_on(self):
        prefix = self.people[0]["address"][:3]
        out = self.vault.path("late.csv")
        words = self.command(out, term="address^" + prefix)
        self.vault.approve(self.asked(*words))
        self.vault.must("freeze", "gateway:gw1", who="officer")
        self.assertEqual(self.vault.run(*words, who="operator").status, 1)
        self.vault.approve(self.vault.json("thaw", "gateway:gw1", who="officer")["request"])
        done = self.vault.json(*words, who="operator")
        self.assertEqual(done["exported"], sum(p["address"].startswith(prefix) for p in self.people))
        self.assertEqual(len(self.exported(out)), done["exported"])
        self.assertFalse(os.path.exists(out + ".export"))

    def test_never_more_than_was_signed_and_only_that(self):
        prefix = self.people[0]["address"][:3]
        words = self.command(self.vault.path("few.ndjson"), records=5, term="address^" + prefix)
        self.vault.approve(self.asked(*words))
        outcome = self.vault.run(*words, "--json", who="operator")
        self.assertEqual(outcome.status, 1, outcome)
        self.assertIn("as was approved", outcome.stdout)
        with open(self.vault.path("few.ndjson"), encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        self.assertEqual(len(rows), 5)
        self.assertEqual(set(rows[0]) - {"phone"}, {"id", "name"})
        # Another search, field, case or purpose is another request; who may not is told at once.
        asked = {self.asked(*self.command(self.vault.path("x"), **change)) for change in (
            {"term": "address^" + prefix}, {"term": "address^" + prefix, "case": "R-2"},
            {"term": "address^" + prefix, "fields": "name"})}
        self.assertEqual(len(asked), 3)
        self.assertEqual(self.vault.run(*self.command(self.vault.path("y"), purpose="service"), who="operator").status, 1)
        self.assertEqual(self.vault.run(*self.command(self.vault.path("y")), who="clerk").status, 1)

    def test_a_review_tells_what_nobody_uses(self):
        review = self.vault.json("policy", "review", who="auditor")
        unused = {(g["role"], g["purpose"], g["collection"]) for g in review["grants"] if g["used"] == 0}
        self.assertIn(("operator", "exports", "person"), unused)
        self.assertNotIn(("operator", "import", "person"), unused)
        self.assertIn("officer", review["powers"]["MANAGE_POLICY"])
        self.assertEqual(review["approvals_needed"], 2)
        text = self.vault.must("policy", "review", who="auditor").stdout
        self.assertIn("operator for exports on person", text)
        self.assertEqual(self.vault.run("policy", "review", who="clerk").status, 1)

    def test_refusals_on_the_admin_listener_are_in_the_log(self):
        for _ in range(17):
            self.assertEqual(self.vault.run("policy", "review", who="clerk").status, 1)
        for _ in range(50):
            tail = self.vault.must("log", "tail", "-n", "50", who="auditor").stdout
            if "clerk on the key server's own listener refused" in tail:
                return
            time.sleep(0.2)
        self.fail(tail)


if __name__ == "__main__":
    unittest.main(verbosity=2)
