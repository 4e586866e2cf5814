"""Erased for ever: by id and by person, with a proof that anyone can check; not from an old copy, and not by a thief's hand."""

import json
import os
import subprocess
import unittest

from vault import BIN, Vault

ROWS = 30
WHY = ("--purpose", "erasure", "--case", "R-2026-31")


class Erasing(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())
        rows = "".join(f"测试{i:03d},138001{i:05d},1980-01-31,Marker Street {i}\n" for i in range(ROWS))
        self.vault.import_csv("person", "name,phone,dob,address\n" + rows)

    def ids(self, i):
        found = self.vault.json("find", "person", f"phone=138001{i:05d}", "--purpose", "service")
        return [record["id"] for record in found["records"]]

    def erase(self, *args, **options):
        return self.vault.run("erase", "person", *args, *WHY, **options)

    def test_by_id_with_a_proof_that_anyone_can_check(self):
        vault = self.vault
        (first,), (second,) = self.ids(3), self.ids(4)
        refused = self.erase(first)
        self.assertEqual(refused.status, 1, "nobody was there to say yes")
        self.assertIn("nothing was erased", refused.stderr)
        self.assertEqual(self.ids(3), [first])

        statement = vault.path("r31.tlog-proof")
        said = vault.must("erase", "person", second, first, *WHY, "--yes", "--statement", statement).stdout
        self.assertRegex(said, r"^erased 2 records of person, logged as entry \d+ at ")
        self.assertEqual((self.ids(3), self.ids(4)), ([], []))
        self.assertEqual(vault.run("get", "person", first, "--purpose", "service").status, 1)
        checked = vault.json("log", "check", statement)
        self.assertEqual(checked["type"], "erasure")
        self.assertEqual(sorted(one["id"] for one in checked["erased"]), sorted([first, second]))
        self.assertTrue(all(one["collection"] == 1 for one in checked["erased"]))
        with open(statement, encoding="utf-8") as file:
            lines = file.read().split("\n")
        extra = next(i for i, line in enumerate(lines) if line.startswith("extra "))
        forged = lines[extra]
        at = len(forged) - 12  # Within the last record's number.
        lines[extra] = forged[:at] + ("A" if forged[at] != "A" else "B") + forged[at + 1:]
        with open(statement, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        self.assertEqual(vault.run("log", "check", statement).status, 1)

        again = vault.json("erase", "person", first, *WHY, "--yes")
        self.assertEqual(again["erased"], [first])
        self.assertFalse(again["rows_left"])
        status = vault.json("status", who="officer")
        self.assertEqual(int(status["erased"]), 2)
        self.assertIn("2 records", vault.must("status", who="officer").stdout)
        self.assertIn("records erased", vault.must("log", "tail", who="auditor").stdout)
        vault.restart()
        self.assertEqual(self.ids(3), [])
        self.assertEqual(int(vault.json("status", who="officer")["erased_pending"]), 0)

    def test_a_stolen_credential_destroys_a_handful(self):
        every = [one for i in range(8) for one in self.ids(i)]
        refused = self.erase(*every, "--yes")
        self.assertEqual(refused.status, 1)
        self.assertIn("erasures in an hour", refused.stderr)
        self.assertEqual(self.vault.run("erase", "person", every[0], *WHY, "--yes", who="operator").status, 1)
        self.assertEqual(
            self.vault.run("erase", "person", every[0], "--purpose", "service", "--yes").status, 1)
        self.assertEqual(
            self.vault.run("erase", "person", every[0], "--purpose", "erasure", "--yes").status, 1, "no case")
        self.assertEqual(self.ids(0), every[:1])
        for one in every[:5]:
            self.assertEqual(self.erase(one, "--yes").status, 0)
        self.assertEqual(self.erase(every[5], "--yes").status, 1)
        self.assertEqual(self.ids(5), [every[5]])

    def test_all_records_of_a_person(self):
        vault = self.vault
        vault.import_csv("person", "name,phone,dob,address\n测试 003,13800100003,1980-01-31,Marker Street 9\n",
                         name="more.csv")
        self.assertEqual(len(self.ids(3)), 2)
        proofs = vault.path("p")
        said = vault.json("subject", "erase", "phone=13800100003", *WHY, "--yes", "--statement", proofs)
        (person,) = [one for one in said["collections"] if one["collection"] == "person"]
        self.assertEqual(len(person["erased"]), 2)
        self.assertEqual(self.ids(3), [])
        self.assertEqual(len(vault.json("log", "check", proofs + ".person")["erased"]), 2)
        nobody = vault.json("subject", "erase", "phone=13800100003", *WHY, "--yes")
        self.assertEqual(nobody["collections"], [])


class Drill(unittest.TestCase):
    def test_old_copies_open_what_the_documentation_says_and_no_more(self):
        done = subprocess.run([BIN, "drill", "erasure", "--json"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=280, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode("utf-8", "backslashreplace") + done.stdout.decode())
        said = json.loads(done.stdout)
        self.assertTrue(said["pass"])
        self.assertTrue(said["control"], "the same thief opens what was not erased")
        bound = {one["with"].removeprefix("TPM vault: key server disk"): one["opened"]
                 for one in said["attempts"] if one["with"].startswith("TPM vault")}
        self.assertEqual(said["tpm"], os.path.exists("/usr/bin/swtpm"))
        if said["tpm"]:  # With all shares in each case.
            self.assertEqual([with_ for with_, opens in bound.items() if opens], [", same epoch, and the TPM read then"])
            self.assertEqual(len(bound), 7)
        else:
            print("swtpm is not installed: no vault bound to a TPM was tried", flush=True)
        opened = {(one["with"], one["shares"]): one["opened"] for one in said["attempts"]
                  if not one["with"].startswith("TPM vault")}
        self.assertEqual(len(opened), 9)
        for image in ("from before", "same epoch", "next epoch"):
            (name,) = {with_ for with_, _ in opened if with_.endswith(image)}
            self.assertFalse(opened[(name, False)], name)
            self.assertEqual(opened[(name, True)], image != "next epoch", name)
        for with_, shares in opened:
            if "vault" in with_ or "its log" in with_:
                self.assertFalse(opened[(with_, shares)], with_)


if __name__ == "__main__":
    unittest.main()
