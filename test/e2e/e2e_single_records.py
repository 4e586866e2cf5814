"""One record at a time, as a clerk does it: put, changed, forgotten, held, and given to the person it is about."""

import json
import os
import shutil
import stat
import unittest

from vault import Vault

PERSON = {"name": "测试一", "phone": "13800138001", "dob": "1980-01-31", "address": "Marker Street 1"}


class SingleRecords(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())

    def put(self, **values):
        return self.vault.must("put", "person", *[f"{k}={v}" for k, v in values.items()], "--purpose", "import",
                               who="operator").stdout.strip()

    def find(self, *terms, who="clerk", purpose="service"):
        return self.vault.json("find", "person", *terms, "--purpose", purpose, who=who)["records"]

    def update(self, record, *values):
        return self.vault.json("update", "person", record, *values, "--purpose", "correction", "--case", "K-1")

    def test_what_is_put_is_found_and_lives_through_kill_9(self):
        record = self.put(**PERSON)
        self.assertRegex(record, r"^[0-9a-f]{10}$")
        self.vault.kill()
        self.vault.serve()
        there = self.find("phone=13800138001")
        self.assertEqual([one["id"] for one in there], [record])
        self.assertEqual(there[0]["fields"], {**PERSON, "phone": "+8613800138001"})

    def test_values_from_standard_input_are_in_no_list_of_processes(self):
        said = self.vault.must("put", "person", "--stdin", "--purpose", "import", "--json", who="operator",
                               stdin="name=测试二\nphone=13800138002\n\naddress=a=b\n".encode())
        record = json.loads(said.stdout)["ids"][0]
        self.assertEqual(self.find("phone=13800138002")[0]["id"], record)
        self.assertEqual(self.find("phone=13800138002")[0]["fields"]["address"], "a=b")

    def test_what_will_not_do_is_said_without_its_value(self):
        for values, field in ((["name=测试", "national_id=110101199003072317"], "national_id"),
                              (["phone=13800138003"], "name"), (["name=测试", "shoe=4711"], "")):
            outcome = self.vault.run("put", "person", *values, "--purpose", "import", who="operator")
            self.assertEqual(outcome.status, 1)
            self.assertIn(field, outcome.stderr)
            self.assertNotIn("110101199003072317", outcome.stderr)
            self.assertNotIn("4711", outcome.stderr)
        for values in (["name"], ["=x"], ["name=a", "name=b"], []):
            outcome = self.vault.run("put", "person", *values, "--purpose", "import", who="operator")
            self.assertEqual(outcome.status, 1, values)
        self.assertEqual(self.find("name=测试"), [])

    def test_a_clerk_corrects_and_keeps_the_rest(self):
        record = self.put(**PERSON)
        changed = self.update(record, "address=Elsewhere 2", "dob=")
        self.assertTrue(changed["changed"])
        self.assertEqual(changed["id"], record)
        there = self.find("phone=13800138001")
        self.assertEqual(there[0]["fields"],
                         {"name": PERSON["name"], "phone": "+8613800138001", "address": "Elsewhere 2"})
        self.assertEqual(self.find("address=Marker Street 1"), [])
        self.assertEqual([one["id"] for one in self.find("address=Elsewhere 2")], [record])
        self.assertFalse(self.update(record, "address=Elsewhere 2")["changed"])
        # It was opened for it, and whoever reads the log sees that.
        log = self.vault.must("log", "tail", "-n", "20", who="auditor").stdout
        self.assertIn("correction", log)

    def test_who_may_only_look_changes_nothing(self):
        record = self.put(**PERSON)
        for purpose in ("service", "import"):
            for who in ("clerk", "operator"):
                outcome = self.vault.run("update", "person", record, "address=X", "--purpose", purpose, who=who)
                self.assertEqual(outcome.status, 1, (who, purpose))
        outcome = self.vault.run("put", "person", "name=测试", "--purpose", "service")
        self.assertEqual(outcome.status, 1)
        self.assertEqual(self.find("phone=13800138001")[0]["fields"]["address"], "Marker Street 1")

    def test_a_value_is_forgotten_in_the_old_store_too(self):
        record = self.put(**PERSON)
        self.vault.stop()
        store, old = os.path.join(self.vault.dir, "store"), self.vault.path("old-store")
        shutil.copytree(store, old)
        self.vault.serve()
        forgotten = self.update(record, "--forget-old", "address=Elsewhere 2")
        self.assertNotEqual(forgotten["id"], record)
        self.assertEqual(int(forgotten["erased"]["records"]), 1)
        self.assertEqual([one["id"] for one in self.find("phone=13800138001")], [forgotten["id"]])
        self.vault.stop()
        shutil.rmtree(store)
        shutil.move(old, store)
        self.vault.serve_options = ["--accept-lost-writes"]  # Else it is refused altogether.
        self.addCleanup(setattr, self.vault, "serve_options", [])
        self.vault.serve()
        outcome = self.vault.run("get", "person", record, "--purpose", "service")
        self.assertEqual(outcome.status, 1)
        self.assertIn("no such record", outcome.stderr)

    def test_a_hold_keeps_a_record_and_takes_several_to_lift(self):
        vault, record = self.vault, self.put(**PERSON)
        placed = vault.must("hold", "place", "C-2026-4", "person", record, "--reason", "court", who="privacy").stdout
        self.assertIn("1 record is held under C-2026-4", placed)
        erase = ("erase", "person", record, "--purpose", "erasure", "--case", "R-1", "--yes")
        for command in (erase, ("update", "person", record, "address=X", "--forget-old", "--purpose", "correction",
                                "--case", "K-1")):
            outcome = vault.run(*command)
            self.assertEqual(outcome.status, 1, command)
            self.assertIn("legal hold", outcome.stderr)
        vault.kill()
        vault.serve()
        self.assertIn("legal hold", vault.run(*erase).stderr)
        self.assertTrue(self.update(record, "address=Elsewhere 2")["changed"], "a correction is none of a hold's business")
        self.assertIn("C-2026-4", vault.must("hold", "list", who="auditor").stdout)
        self.assertEqual(vault.run("hold", "lift", "C-2026-4", who="clerk").status, 1)
        request = vault.json("hold", "lift", "C-2026-4", "--reason", "closed", who="privacy")["request"]
        self.assertIn("lift the legal hold C-2026-4", vault.must("requests", who="approver1").stdout)
        vault.approve(request)
        vault.must(*erase)
        self.assertIn("No record is under a hold", vault.must("hold", "list", who="auditor").stdout)
        self.assertIn("lifted hold C-2026-4", vault.must("log", "tail", "-n", "20", who="auditor").stdout)

    def test_a_person_takes_their_records_along(self):
        record = self.put(**PERSON)
        self.put(name="测试三", phone="13800138003")
        path = self.vault.path("export.json")
        self.vault.must("subject", "export", "phone=13800138001", "--purpose", "data-export", "--case", "S-1", "-o", path,
                        who="privacy")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as file:
            export = json.load(file)
        person = next(one for one in export["collections"] if one["collection"] == "person")
        self.assertEqual(person["records"], [{"id": record, "fields": {**PERSON, "phone": "+8613800138001"}}])
        self.assertIn("phone", [field["name"] for field in person["fields"]])
        outcome = self.vault.run("subject", "export", "phone=13800138001", "--purpose", "service", who="privacy")
        self.assertEqual(outcome.status, 1)
        self.assertEqual(outcome.stdout, "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
