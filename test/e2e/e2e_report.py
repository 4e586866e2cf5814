"""What the log tells others after a leak: the facts of a notification, and events for other tools."""

import json
import unittest

from vault import Vault


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Vault())
        rows = "".join(f"测试{i:03d},138001{i:05d},1980-01-31,Marker Street 1\n" for i in range(20))
        cls.vault.import_csv("person", "name,phone,dob,address\n" + rows)
        for i in (1, 2, 3, 3):
            cls.vault.find("person", f"phone=138001{i:05d}")
        cls.vault.run("find", "person", "phone=13800100004", "--purpose", "nosuch", who="clerk")
        cls.vault.must("freeze", "principal:clerk", "--reason", "key stolen", who="officer")

    def test_the_facts_of_a_breach(self):
        facts = self.vault.json("report", "breach", "--principal", "clerk", who="auditor")
        self.assertEqual(facts["principals"], ["clerk"])
        self.assertEqual(facts["purposes"], ["investigation"])
        (person,) = facts["collections"]
        self.assertEqual((person["collection"], person["records"], person["releases"], person["searches"]),
                         ("person", 3, 4, 4))
        opened = {category["group"]: (category["records"], category["fields"]) for category in person["categories"]}
        self.assertTrue(any(records == 3 and "phone" in fields for records, fields in opened.values()), opened)
        self.assertIn("froze principal:clerk", facts["measures"][-1]["what"])
        self.assertLessEqual(facts["first_ms"], facts["last_ms"])
        shown = self.vault.must("report", "breach", "--principal", "clerk", who="auditor").stdout
        for text in ("under       clerk", "4 releases, 4 searches", "froze principal:clerk", "no more people than records"):
            self.assertIn(text, shown)
        self.assertNotIn("Marker", shown)

    def test_nobody_else_and_no_other_time(self):
        for narrowed in (("--principal", "officer"), ("--until", "2020-01-01"), ("--since", "2999-01-01 10:00"),
                         ("--collection", "parcel"), ("--purpose", "service"), ("--gateway", "nosuch")):
            facts = self.vault.json("report", "breach", *narrowed, who="auditor")
            self.assertEqual([c for c in facts["collections"] if c["releases"]], [], narrowed)
        for since in ("2020-01-01", "2020-01-01 23:59", "2020-01-01T23:59:59Z"):
            facts = self.vault.json("report", "breach", "--since", since, who="auditor")
            self.assertTrue(facts["collections"], since)
        for since in ("yesterday", "2020-13-01", "2020-02-30", "2020-01-01 24:00", "2020-01-01 1:00", "20200101"):
            outcome = self.vault.run("report", "breach", "--since", since, who="auditor")
            self.assertEqual(outcome.status, 1, since)
            self.assertIn("2026-11-22", outcome.stderr)
        self.assertEqual(self.vault.run("report", "breach", who="clerk").status, 1, "the log is not for everybody")

    def test_events_for_other_tools(self):
        lines = self.vault.must("log", "export", "--ocsf", who="auditor").stdout.splitlines()
        events = [json.loads(line) for line in lines]
        reads = [event for event in events if event["type_uid"] == 600501]
        self.assertEqual([event["actor"]["user"]["name"] for event in reads], ["clerk"] * 4)
        self.assertEqual(len({event["metadata"]["uid"] for event in events}), len(events))
        self.assertEqual([event["time"] for event in events], sorted(event["time"] for event in events))
        self.assertTrue(any(event["type_uid"] == 600203 for event in events), "a start")
        later = self.vault.must("log", "export", "--ocsf", "--from", str(reads[-1]["unmapped"]["log_leaf"]),
                                who="auditor").stdout.splitlines()
        self.assertEqual([json.loads(line) for line in later], events[-len(later):])


if __name__ == "__main__":
    unittest.main(verbosity=2)
