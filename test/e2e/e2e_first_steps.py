"""What somebody does on the first day: found a vault, import, find, look at the log, add a colleague, restart."""

import csv
import io
import json
import os
import subprocess
import unittest

from vault import BIN, Vault

LEGISLATORS = "/work/shared/data/legislators"


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


class FirstSteps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Vault())
        cls.person_csv = cls.vault.generate("person", 2000)
        cls.people = rows_of(cls.person_csv)
        cls.incident_ndjson = cls.vault.generate("incident", 500, form="ndjson")
        cls.incidents = [json.loads(line) for line in cls.incident_ndjson.splitlines()]
        cls.parcel_csv = cls.vault.generate("parcel", 500)
        cls.parcels = rows_of(cls.parcel_csv)
        cls.imported = {
            "person": cls.vault.import_csv("person", cls.person_csv, name="people.csv"),
            "incident": cls.vault.import_file("incident", cls.vault.write("incidents.ndjson", cls.incident_ndjson)),
            "parcel": json.loads(cls.vault.must("import", "parcel", "-", "--json", who="operator",
                                                stdin=cls.parcel_csv.encode()).stdout),
        }
        # What is tried here needs more searches than a clerk has in an hour.
        cls.vault.raise_budgets()

    def assert_person(self, record, row):
        expected = {**row, "phone": "+86" + row["phone"]}
        self.assertEqual(record["fields"], expected)

    def test_every_row_is_imported_from_csv_ndjson_and_standard_input(self):
        for collection, count in (("person", 2000), ("incident", 500), ("parcel", 500)):
            self.assertEqual(self.imported[collection],
                             {"imported": count, "updated": 0, "unchanged": 0, "rejected": 0}, collection)

    def test_a_file_that_was_taken_in_is_not_taken_in_twice(self):
        again = self.vault.import_file("person", self.vault.path("people.csv"))
        self.assertEqual(again, {"imported": 0, "updated": 0, "unchanged": 2000, "rejected": 0})

    def test_each_field_finds_its_record(self):
        row = self.people[1234]
        for term in ("national_id", "phone", "address"):
            found = self.vault.find("person", f"{term}={row[term]}")
            matches = [other for other in self.people if other[term] == row[term]]
            self.assertEqual(len(found["records"]), len(matches), term)
            if len(matches) == 1:
                self.assert_person(found["records"][0], row)
        for term in ("name", "dob"):
            found = self.vault.find("person", f"{term}={row[term]}", limit=1000)
            self.assertEqual(sorted(r["fields"]["national_id"] for r in found["records"]),
                             sorted(other["national_id"] for other in self.people if other[term] == row[term]), term)

    def test_other_spellings_find_the_same_record(self):
        row = self.people[77]
        phone, dob = row["phone"], row["dob"]
        for term in (f"phone=+86 {phone[:3]} {phone[3:7]} {phone[7:]}", f"phone={phone[:3]}-{phone[3:]}"):
            self.assert_person(self.vault.find("person", term)["records"][0], row)
        found = self.vault.find("person", f"dob={dob.replace('-', '/')}", f"name={row['name']}")
        self.assertIn(row["national_id"], [r["fields"]["national_id"] for r in found["records"]])

    def test_several_terms_are_a_conjunction(self):
        row = self.people[5]
        found = self.vault.find("person", f"name={row['name']}", f"dob={row['dob']}", f"phone={row['phone']}")
        self.assertEqual(len(found["records"]), 1)
        self.assert_person(found["records"][0], row)
        other = next(p for p in self.people if p["name"] != row["name"] and p["dob"] != row["dob"])
        self.assertEqual(self.vault.find("person", f"name={row['name']}", f"phone={other['phone']}")["records"], [])

    def test_a_value_that_is_not_there_finds_nothing(self):
        found = self.vault.find("person", "phone=19900000000")
        self.assertEqual((found["records"], found["more"]), ([], False))

    def test_an_incident_leads_to_its_reporter(self):
        incident = self.incidents[3]
        found = self.vault.find("incident", f"report_no={incident['report_no']}")["records"][0]["fields"]
        self.assertEqual(found["summary"], incident["summary"])
        by_phone = self.vault.find("incident", f"reporter_phone={incident['reporter_phone']}")
        self.assertIn(incident["report_no"], [r["fields"]["report_no"] for r in by_phone["records"]])

    def test_a_parcel_is_found_by_its_number(self):
        parcel = self.parcels[9]
        found = self.vault.find("parcel", f"tracking_no={parcel['tracking_no']}", purpose="service")
        self.assertEqual(found["records"][0]["fields"]["address"], parcel["address"])

    def test_fields_limit_what_is_opened(self):
        row = self.people[8]
        found = self.vault.json("find", "person", f"phone={row['phone']}", "--purpose", "service", "--fields",
                                "name,phone")
        self.assertEqual(found["records"][0]["fields"], {"name": row["name"], "phone": "+86" + row["phone"]})

    def test_the_masked_view_shows_no_whole_value(self):
        row = self.people[8]
        out = self.vault.must("find", "person", f"phone={row['phone']}", "--purpose", "service", "--masked",
                              "--json").stdout
        fields = json.loads(out)["records"][0]["fields"]
        self.assertTrue(fields["phone"].endswith(row["phone"][-4:]))
        self.assertTrue(fields["national_id"].startswith(row["national_id"][:6]))
        self.assertTrue(fields["dob"].startswith(row["dob"][:4]))
        for value in row.values():
            self.assertNotIn(value, out)

    def test_limit_says_that_there_are_more(self):
        names = {}
        for row in self.people:
            names.setdefault(row["name"], []).append(row["national_id"])
        name, ids = max(names.items(), key=lambda item: len(item[1]))
        self.assertGreater(len(ids), 1)
        first = self.vault.find("person", f"name={name}", limit=1)
        self.assertEqual((len(first["records"]), first["more"]), (1, True))
        everything = self.vault.find("person", f"name={name}", limit=len(ids))
        self.assertEqual((len(everything["records"]), everything["more"]), (len(ids), False))

    def test_explain_names_fields_and_costs_but_no_value(self):
        row = self.people[10]
        outcome = self.vault.must("find", "person", f"phone={row['phone']}", "--purpose", "service", "--explain",
                                  "--json")
        explain = json.loads(outcome.stdout)["explain"]
        self.assertEqual([term["field"] for term in explain["terms"]], ["phone"])
        self.assertEqual(explain["round_trips"], 2)
        self.assertNotIn(row["phone"], json.dumps(explain))
        self.assertIn("postings", self.vault.must("find", "person", f"phone={row['phone']}", "--purpose", "service",
                                                  "--explain").stderr)

    def test_get_opens_by_id(self):
        row = self.people[20]
        found = self.vault.find("person", f"national_id={row['national_id']}")["records"][0]
        got = self.vault.json("get", "person", found["id"], "--purpose", "service")
        self.assertEqual(got["records"], [found])
        refused = self.vault.run("get", "person", "00ffffffff", "--purpose", "service")
        self.assertEqual(refused.status, 1)
        self.assertIn("no such record", refused.stderr)

    def test_count_counts_without_opening(self):
        before = self.vault.json("log", "tail", "-n", "1", who="auditor")["size"]
        row = self.people[0]
        self.assertEqual(self.vault.count("person", f"dob={row['dob']}"),
                         sum(other["dob"] == row["dob"] for other in self.people))
        entries = self.vault.json("log", "tail", "-n", "5", who="auditor")
        new = [e["type"] for e in entries["entries"] if e["leaf"] >= before]
        self.assertIn("token", new)
        self.assertNotIn("release", new)

    def test_the_log_says_who_saw_which_record_and_why(self):
        row = self.people[30]
        found = self.vault.find("person", f"phone={row['phone']}", case="B-77")
        entries = self.vault.json("log", "tail", "-n", "50", who="auditor")["entries"]
        entry = next(e for e in entries if e["leaf"] == found["leaf"])
        self.assertEqual(entry["type"], "release")
        ticket = entry["items"][0]["ticket"]
        self.assertEqual((ticket["principal"], ticket["purpose"], ticket["case_reference"]),
                         ("clerk", "investigation", "B-77"))
        self.assertEqual([int(item["release"]["idx"]) for item in entry["items"][1:-2]],
                         [int(found["records"][0]["id"], 16)])
        self.assertIn("clerk", self.vault.must("log", "tail", who="auditor").stdout)

    def test_the_log_verifies_over_the_network_and_from_a_folder(self):
        note = self.vault.must("log", "checkpoint", who="auditor").stdout.splitlines()
        self.assertTrue(note[0].startswith("strongroom.local/"))
        over_network = self.vault.json("log", "verify", who="auditor")
        folder = self.vault.json("log", "verify", os.path.join(self.vault.dir, "keyserver", "log"), who="auditor")
        for report in (over_network, folder):
            self.assertTrue(report["verified"])
            self.assertGreaterEqual(report["size"], int(note[1]))
        self.assertIn("verified", self.vault.must("log", "verify", who="auditor").stdout)

    def test_status_tells_that_this_is_a_development_vault(self):
        status = self.vault.json("status", who="officer")
        self.assertTrue(status["dev"] and status["seccomp"] and status["landlock"])
        self.assertFalse(status["sealed"])
        self.assertEqual(status["collections"], 4)
        warnings = [warning for warning in status["warnings"] if "root key lies in a file" in warning]
        self.assertEqual(len(warnings), 1, status["warnings"])
        self.assertIn("sandbox", self.vault.must("status", who="officer").stdout)

    def test_collections_are_listed_and_shown_so_that_they_apply_again(self):
        self.assertEqual([c["name"] for c in self.vault.json("collection", "list", who="operator")["collections"]],
                         ["person", "incident", "parcel", "legislator"])
        self.assertIn("parcel", self.vault.must("collection", "list", who="operator").stdout)
        shown = self.vault.must("collection", "show", "person", who="operator").stdout
        self.assertIn("name: person", shown)
        again = self.vault.json("collection", "apply", self.vault.write("person.yaml", shown), who="operator")
        self.assertEqual(again["changed"], False)

    def test_a_policy_is_shown_and_a_dry_run_changes_nothing(self):
        shown = self.vault.must("policy", "show", who="officer").stdout
        self.assertIn("records_per_hour", shown)
        path = self.vault.write("dry.yaml", shown.replace("case_required: true", "case_required: false"))
        dry = self.vault.json("policy", "apply", path, "--dry-run", who="officer")
        self.assertTrue(dry["changed"] and dry["changes"])
        self.assertIn("dry run", self.vault.must("policy", "apply", path, "--dry-run", who="officer").stdout)
        self.assertEqual(self.vault.must("policy", "show", who="officer").stdout, shown)

    def test_a_new_principal_finds_until_disabled(self):
        alice = self.vault.add_principal("alice", "clerk")
        key = self.vault.path("alice.key")
        self.assertEqual(os.stat(key).st_mode & 0o077, 0)
        term = f"phone={self.people[40]['phone']}"
        self.assert_person(self.vault.find("person", term, who=alice)["records"][0], self.people[40])
        other = self.vault.path("alice2.key")
        self.vault.must("key", "new", "-o", other, who=None)
        self.vault.must("principal", "rekey", "alice", "--public-key", other + ".pub", who="operator")
        self.assertEqual(self.vault.run("find", "person", term, "--purpose", "service", who=alice).status, 1)
        self.vault.approve(self.vault.json("principal", "rekey", "alice", "--public-key", key + ".pub",
                                           who="operator")["request"])
        self.assertEqual(self.vault.run("find", "person", term, "--purpose", "service", who=alice).status, 0)
        self.vault.must("principal", "disable", "alice", who="operator")
        self.assertEqual(self.vault.run("find", "person", term, "--purpose", "service", who=alice).status, 1)
        listed = self.vault.json("principal", "list", who="operator")["principals"]
        self.assertTrue(next(p for p in listed if p["name"] == "alice")["disabled"])

    def test_restarted_it_finds_what_it_found(self):
        row = self.people[50]
        before = self.vault.find("person", f"national_id={row['national_id']}")
        self.assertEqual(self.vault.restart().keys(), {"gateway", "keyserver", "gateway_pid", "keyserver_pid", "compactor_pid",
                                                      "sender_pid", "courier_pid"})
        after = self.vault.find("person", f"national_id={row['national_id']}")
        self.assertEqual(after["records"], before["records"])
        self.assertGreater(after["leaf"], before["leaf"])

    @unittest.skipUnless(os.path.exists(LEGISLATORS + ".csv"), "the legislators' data is not on this machine")
    def test_real_officials_from_csv_and_ndjson(self):
        with open(LEGISLATORS + ".csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        counts = self.vault.import_file("legislator", LEGISLATORS + ".csv", "--rejects", self.vault.path("rejects.csv"))
        self.assertEqual(counts, {"imported": len(rows), "updated": 0, "unchanged": 0, "rejected": 0})
        senator = next(r for r in rows if r["last"] == "Klobuchar")
        found = self.vault.find("legislator", "last=KLOBUCHAR", "state=mn")["records"]
        self.assertEqual([r["fields"]["bioguide"] for r in found], [senator["bioguide"]])
        phone = f"phone=({senator['phone'][:3]}) {senator['phone'][4:]}"
        self.assertEqual([r["fields"]["bioguide"] for r in self.vault.find("legislator", phone)["records"]],
                         [senator["bioguide"]])
        # The same people with all their terms: by --key every one of them gains the field that only the NDJSON has.
        counts = self.vault.import_file("legislator", LEGISLATORS + ".ndjson", "--key", "bioguide", "--rejects",
                                        self.vault.path("rejects2.csv"))
        self.assertEqual((counts["imported"], counts["updated"], counts["rejected"]), (0, len(rows), 0))
        found = self.vault.find("legislator", f"bioguide={senator['bioguide']}")["records"]
        self.assertEqual(json.loads(found[0]["fields"]["terms"])[-1]["state"], "MN")
        self.assertEqual(self.vault.count("legislator", "state=MN"), sum(r["state"] == "MN" for r in rows))


class Help(unittest.TestCase):
    @staticmethod
    def commands():
        """Every command and subcommand, from the completion script."""
        script = subprocess.run([BIN, "completion", "bash"], capture_output=True, text=True, check=True).stdout
        return [line.split("'")[1] for line in script.splitlines() if line.strip().endswith("' ;;")]

    def test_every_command_explains_itself_with_an_example(self):
        commands = self.commands()
        self.assertGreater(len(commands), 25)
        for command in commands:
            outcome = subprocess.run([BIN, *command.split(), "--help"], capture_output=True, text=True)
            self.assertEqual(outcome.returncode, 0, command)
            self.assertRegex(outcome.stdout, r"Examples?:\n.*strongroom " + command.split()[0], command)

    def test_wrong_usage_is_exit_status_two(self):
        for arguments in ([], ["nonsense"], ["find", "person"], ["find", "person", "name=x"],
                          ["generate", "person", "many"], ["init", "x", "--shares", "2", "--threshold", "3"]):
            outcome = subprocess.run([BIN, *arguments], capture_output=True, text=True, cwd="/")
            self.assertEqual((outcome.returncode, outcome.stdout), (2, ""), arguments)
            self.assertTrue(outcome.stderr)

    def test_completion_completes_in_bash(self):
        script = ('source <("$0" completion bash)\n'
                  'COMP_WORDS=(strongroom pol); COMP_CWORD=1; _strongroom; echo "${COMPREPLY[@]}"\n'
                  'COMP_WORDS=(strongroom policy ap); COMP_CWORD=2; _strongroom; echo "${COMPREPLY[@]}"')
        outcome = subprocess.run(["bash", "-c", script, BIN], capture_output=True, text=True)
        self.assertEqual((outcome.stdout.split(), outcome.stderr), (["policy", "apply"], ""))

    def test_completion_for_zsh_and_fish_is_there(self):
        for shell in ("zsh", "fish"):
            outcome = subprocess.run([BIN, "completion", shell], capture_output=True, text=True)
            self.assertEqual(outcome.returncode, 0)
            self.assertIn("strongroom", outcome.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
