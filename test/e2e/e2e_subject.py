"""Who looked at my record: a report for a person, checked by the program and by tools/log_verify.py, changed on its way,
embargoed, and asked for by those who may not."""

import html.parser
import json
import os
import sys
import unittest

from vault import Vault

TOOLS = os.path.join(os.path.dirname(__file__), "..", "..", "tools")
sys.path.insert(0, TOOLS)
import log_verify  # noqa: E402

PHONE = "13800138000"
TRAP = "A-<script>alert(1)</script>&\"'"


class Page(html.parser.HTMLParser):
    """The tags of a page, and the text of its cells."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.cells, self.within = [], [], None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.within = tag
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.within == "td":
            self.cells[-1] += data

    def handle_endtag(self, tag):
        self.within = None


class Subject(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = vault = cls.enterClassContext(Vault())
        rows = "".join(f"测试{i:03d},138001380{i:02d},1980-01-31,Marker Street 1\n" for i in range(20))
        vault.import_csv("person", "name,phone,dob,address\n" + rows)
        shown = vault.must("policy", "show", who="officer").stdout
        told = vault.write("told.yaml", shown.replace("  - name: service\n", "  - name: service\n    shown_as: PERSON\n"
                                                      "    show_case: true\n", 1))
        request = vault.json("policy", "apply", told, "--reason", "tell names", who="officer")["request"]
        for who in ("approver1", "approver2"):
            vault.must("approve", request, "--yes", who=who)
        for case in ("A-1", TRAP):
            vault.must("find", "person", f"phone={PHONE}", "--purpose", "service", "--case", case)
        vault.must("find", "person", f"phone={PHONE}", "--purpose", "investigation", "--case", "A-secret")
        vault.must("find", "person", "phone=13800138001", "--purpose", "service", "--fields", "phone")
        cls.key = vault.json("log", "checkpoint", who="auditor")["verifier_key"]

    def report(self, *args, who="privacy", phone=PHONE):
        return self.vault.run("subject", "report", "person", f"phone={phone}", "--purpose", "subject-access",
                              "--case", "SAR-1", *args, who=who)

    def both(self, data, name="report.json"):
        """What the program and the Python verifier each say of a report: whether it verifies."""
        path = self.vault.write(name, data)
        ours = self.vault.run("subject", "check", path, "--log", self.key, who=None).status == 0
        try:
            keys = log_verify.LogKeys(log_verify.parse_verifier_key(self.key), self.key.split("+")[0])
            log_verify.verify_report(data.encode(), keys, ())
            theirs = True
        except log_verify.Refused:
            theirs = False
        self.assertEqual(ours, theirs, "the two verifiers differ")
        return ours

    def test_a_person_is_told_and_both_verifiers_agree(self):
        outcome = self.report("--json")
        self.assertEqual(outcome.status, 0, outcome)
        report = json.loads(outcome.stdout)
        record = report["records"][0]
        self.assertEqual(len(report["records"]), 1)
        self.assertEqual((record["releases"], record["hidden"], record["older"]), (3, 1, 0), "one is under embargo")
        self.assertEqual([(line["k"], line["who"], line["shown_as"], line["case_reference"]) for line in record["lines"]],
                         [(1, "clerk", "person", TRAP), (0, "clerk", "person", "A-1")])
        self.assertEqual(record["lines"][0]["groups"], ["identity", "contact"])
        for hidden in ("A-secret", "investigation"):
            self.assertNotIn(hidden, outcome.stdout)
        self.assertTrue(self.both(outcome.stdout))
        told = self.report()
        self.assertIn("Answering a person", told.stdout)
        self.assertIn("1 opening is not told yet", told.stdout)
        self.assertIn("kept as a pseudonym", told.stdout, "searches cannot be told")
        self.assertRegex(told.stderr, r"^logged as entry \d+\n$")
        tail = self.vault.must("log", "tail", "-n", "3", who="auditor").stdout
        self.assertIn("told who opened a record: 2 lines, 1 withheld", tail)
        self.assertIn("privacy for subject-access SAR-1", tail)

    def test_a_court_has_a_case_told_before_its_day(self):
        vault = self.vault
        phone = "13800138001"
        vault.find("person", f"phone={phone}", purpose="investigation", case="A-court")
        self.assertEqual(json.loads(self.report("--json", phone=phone).stdout)["records"][0]["hidden"], 1)
        request = vault.json("subject", "lift-embargo", "--purpose", "investigation", "--case", "A-court", "--reason",
                             "order 4 C 17/26", who="privacy")["request"]
        shown = vault.must("approve", request, "--yes", who="approver1").stdout
        for text in ("tell the people concerned", "investigation, case A-court", "order 4 C 17/26"):
            self.assertIn(text, shown)
        vault.must("approve", request, "--yes", who="approver2")
        outcome = self.report("--json", phone=phone)
        record = json.loads(outcome.stdout)["records"][0]
        self.assertEqual((record["hidden"], record["lines"][0]["purpose"]), (0, "investigation"))
        self.assertTrue(self.both(outcome.stdout, "lifted.json"))
        self.assertIn("embargo lifted on investigation A-court",
                      vault.must("log", "tail", "-n", "20", who="auditor").stdout)

    def test_finding_the_record_opens_nothing(self):
        before = json.loads(self.report("--json").stdout)["records"][0]["releases"]
        after = json.loads(self.report("--json").stdout)["records"][0]["releases"]
        self.assertEqual(before, after)

    def test_every_change_is_found_by_both(self):
        good = json.loads(self.report("--json").stdout)

        def changed(change):
            report = json.loads(json.dumps(good))
            change(report, report["records"][0], report["records"][0]["lines"][0])
            return self.both(json.dumps(report), "changed.json")

        self.assertTrue(changed(lambda report, record, line: None))
        changes = [
            lambda report, record, line: line.update(who="auditor"),
            lambda report, record, line: line.update(shown_as="role"),
            lambda report, record, line: line.update(purpose="import"),
            lambda report, record, line: line.update(purpose_title="Other"),
            lambda report, record, line: line.update(case_reference="A-2"),
            lambda report, record, line: line.update(groups=["identity"]),
            lambda report, record, line: line.update(t_ms=str(int(line["t_ms"]) + 1)),
            lambda report, record, line: line.update(k=0),
            lambda report, record, line: line["proof"].update(leaf=record["lines"][1]["proof"]["leaf"]),
            lambda report, record, line: line["proof"]["items"].pop(),
            lambda report, record, line: line["proof"]["path"].pop(),
            lambda report, record, line: line["proof"]["items"][1].update(place=0),
            lambda report, record, line: record["lines"].pop(),
            lambda report, record, line: record["lines"].pop(0),
            lambda report, record, line: record["lines"].reverse(),
            lambda report, record, line: record["lines"].append(record["lines"][-1]),
            lambda report, record, line: record.update(hidden=0, releases=2),
            lambda report, record, line: record.update(older=1),
            lambda report, record, line: record.update(idx=str(int(record["idx"]) + 1)),
            lambda report, record, line: record.update(collection="parcel"),
            lambda report, record, line: report.update(t_ms="1"),
            lambda report, record, line: report.update(origin="strongroom.local/other"),
            lambda report, record, line: report.update(checkpoint=report["checkpoint"].replace("\n", "\n1", 1)),
            lambda report, record, line: report.update(records=[]),
            lambda report, record, line: report.update(version=2),
            lambda report, record, line: line.update(proof=None),
        ]
        for at, change in enumerate(changes):
            self.assertFalse(changed(change), f"change {at} was not found")
        for data in ("", "{}", "[]", "nothing", "{" * 1000):
            self.assertEqual(self.vault.run("subject", "check", self.vault.write("no.json", data), "--log", self.key,
                                            who=None).status, 1)

    def test_the_page_runs_nothing_and_loads_nothing_and_is_checked_as_a_whole(self):
        path = self.vault.path("report.html")
        self.assertEqual(self.report("-o", path, "-o", self.vault.path("same.json")).status, 0)
        self.assertEqual(os.stat(path).st_mode & 0o077, 0, "for that person's eyes")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        page = Page(text)
        self.assertIn(f"Answering a person who has asked about their own record, {TRAP}", page.cells)
        scripts = [attrs for tag, attrs in page.tags if tag == "script"]
        self.assertEqual(scripts, [{"type": "application/json", "id": "report"}])
        for tag, attrs in page.tags:
            self.assertFalse({"src", "href", "style", "onload", "onclick"} & set(attrs), (tag, attrs))
            self.assertNotIn(tag, ("img", "link", "iframe", "form", "object", "embed", "base"))
        self.assertIn("default-src 'none'", text)
        self.assertIn("@media print", text)
        said = self.vault.must("subject", "check", path, "--log", self.key, who=None).stdout
        self.assertRegex(said, r"^proven: 2 openings, .*; 1 not told yet\n$")
        for was, now in (("clerk", "Clerk"), ("</body>", "<p>and more</p></body>"), ("2 openings", "2  openings")):
            changed = self.vault.write("changed.html", text.replace(was, now, 1))
            outcome = self.vault.run("subject", "check", changed, "--log", self.key, who=None)
            self.assertEqual(outcome.status, 1 if was in text else 0, (was, outcome))
        with open(self.vault.path("same.json"), encoding="utf-8") as file:
            self.assertTrue(self.both(file.read(), "same2.json"))

    def test_who_may_not_is_told_nothing(self):
        for who in ("clerk", "auditor", "operator"):
            outcome = self.vault.run("subject", "report", "person", "--id", "0000000000", "--purpose", "service", who=who)
            self.assertEqual((outcome.status, outcome.stdout), (1, ""), who)
            self.assertIn("lacks the power", outcome.stderr)
        outcome = self.vault.run("subject", "report", "incident", "--id", "0000000000", "--purpose", "subject-access",
                                 "--case", "SAR-1", who="privacy")
        self.assertEqual(outcome.status, 1)
        self.assertIn("may not use this collection", outcome.stderr)
        outcome = self.vault.run("subject", "report", "person", "--id", "0000ffff00", "--purpose", "subject-access",
                                 "--case", "SAR-1", who="privacy")
        self.assertIn("no such record", outcome.stderr)
        self.assertIn("no record has these values", self.report(phone="13999999999").stderr)
        outcome = self.vault.run("subject", "report", "person", "--purpose", "subject-access", "--case", "SAR-1",
                                 who="privacy")
        self.assertIn("say whose records", outcome.stderr)

    def test_a_report_after_a_restart_says_the_same(self):
        before = json.loads(self.report("--json").stdout)
        self.vault.kill("serve")
        self.vault.serve()
        after = json.loads(self.report("--json").stdout)
        self.assertEqual([line["proof"]["leaf"] for line in before["records"][0]["lines"]],
                         [line["proof"]["leaf"] for line in after["records"][0]["lines"]])
        self.assertTrue(self.both(json.dumps(before)), "an older report still verifies")


if __name__ == "__main__":
    unittest.main()
