"""The key that signs the log changes while people work: old credentials, an auditor with the first verifier key, tools that are
not ours and a real witness all follow; the end of the old key waits for the witness."""

import json
import os
import shutil
import subprocess
import sys
import time
import unittest

from e2e_witness import TOOLS, Witness
from vault import Vault

PHONE = "13800130000"
PATIENCE_S = 60


class LogKeyTest(unittest.TestCase):
    def setUp(self):
        self.vault = Vault()
        self.vault.__enter__()
        self.addCleanup(self.vault.close)
        self.vault.import_csv("person", f"name,phone,dob,address\n王芳,{PHONE},1980-01-01,北京市\n")
        self.first = self.vault.json("log", "checkpoint", who="auditor")["verifier_key"]
        self.log = os.path.join(self.vault.dir, "keyserver", "log")

    def wait(self, what, why):
        deadline = time.monotonic() + PATIENCE_S
        while not (outcome := what()):
            self.assertLess(time.monotonic(), deadline, why)
            time.sleep(0.1)
        return outcome

    def show(self, *args):
        return self.vault.json("log", "key", "show", *args, who="clerk")

    def change(self):
        request = self.vault.json("log", "key", "change", "--reason", "yearly", who="officer")["request"]
        self.assertIn("a fresh key to sign the log with", self.vault.must("requests", who="approver1").stdout)
        self.vault.approve(request)
        return self.wait(lambda: (now := self.show())["changing"] and now, "the key does not change")

    def lines(self):
        with open(os.path.join(self.log, "checkpoint"), encoding="utf-8") as file:
            return file.read().partition("\n\n")[2].count("\n")

    def find(self):
        return self.vault.run("find", "person", f"phone={PHONE}", "--purpose", "service", "--json", who="clerk")

    def proof(self, name):
        """Of the newest lookup."""
        leaf = json.loads(self.find().stdout)["leaf"]
        path = self.vault.path(name)
        self.wait(lambda: self.vault.run("log", "prove", str(leaf), "-o", path, who="auditor").status == 0, "no checkpoint")
        return path

    def both(self, path, key, changes=None):
        """Whether our program and the Python verifier believe this proof; they agree."""
        more = ["--key-changes", changes] if changes else []
        ours = self.vault.run("log", "check", path, "--log", key, *more, who=None).status == 0
        theirs = self.tool(path, key, *more)
        self.assertEqual(ours, theirs, "the two verifiers differ")
        return ours

    def tool(self, what, key, *more):
        return subprocess.run([sys.executable, "-B", os.path.join(TOOLS, "log_verify.py"), what, key, *more],
                              capture_output=True, timeout=120, check=False).returncode == 0

    def copy(self, name, changes=True):
        folder = self.vault.path(name)
        shutil.copytree(self.log, folder)
        if not changes:
            os.remove(os.path.join(folder, "key-changes"))
        return folder

    def test_all_follow_and_the_old_key_ends(self):
        vault = self.vault
        before = self.proof("before.tlog-proof")
        self.assertEqual(vault.run("log", "key", "change", who="clerk").status, 1)
        self.assertEqual(vault.run("log", "key", "finish", who="officer").status, 1)
        now = self.change()
        second = now["verifier_key"]
        self.assertNotEqual(second, self.first)
        self.assertEqual([key["key"] for key in now["keys"]], [self.first, second])
        self.wait(lambda: self.lines() == 2, "one key signs")
        self.assertIn("signed with two keys", vault.must("status", who="operator").stdout)
        # While both sign, who knows of no change goes on; and so does who does.
        between = self.proof("between.tlog-proof")
        changes = vault.path("key-changes")
        self.show("-o", changes)
        for path, key, with_changes, good in ((before, self.first, None, True), (between, self.first, None, True),
                                              (before, second, changes, True), (between, second, None, True),
                                              (before, second, None, False)):
            self.assertEqual(self.both(path, key, with_changes), good, (path, key, with_changes))
        self.assertTrue(self.tool(self.copy("both", changes=False), self.first))
        vault.must("log", "verify", who="auditor")
        vault.kill()
        vault.serve()
        self.assertTrue(self.show()["changing"])

        vault.must("log", "key", "finish", "--reason", "all know it", who="officer")
        self.find()
        self.wait(lambda: self.lines() == 1, "the old key still signs")
        self.assertEqual(self.show()["verifier_key"], second)
        after = self.proof("after.tlog-proof")
        for path, key, with_changes, good in ((before, self.first, None, True), (after, self.first, None, False),
                                              (after, self.first, changes, True), (after, second, None, True),
                                              (before, second, changes, True)):
            self.assertEqual(self.both(path, key, with_changes), good, (path, key, with_changes))
        self.assertFalse(self.tool(self.copy("cut", changes=False), self.first))
        whole = self.copy("whole")
        for key in (self.first, second):
            self.assertTrue(self.tool(whole, key))
        # Credentials from before the change, all of them.
        vault.must("log", "verify", who="auditor")
        vault.must("log", "verify", whole, who="auditor")
        vault.must("verify", vault.dir, who=None)
        self.assertEqual(self.find().status, 0)
        self.assertIn("signed with a fresh key", vault.must("log", "tail", "-n", "40", who="auditor").stdout)
        for who in ("clerk", "operator", "officer", "auditor"):
            vault.must("log", "key", "show", who=who)
        # Whoever pins the newest does not need the way there any more.
        self.show("--pin")
        vault.must("me", who="clerk")
        with open(os.path.join(vault.dir, "credentials", "clerk.json"), encoding="utf-8") as file:
            self.assertNotIn(json.load(file)["log_key"], self.first)
        vault.restart()
        # What the store's owner may do: edit the changes. Nobody follows, and the start mends it.
        with open(os.path.join(whole, "key-changes"), "r+b") as file:
            file.seek(60)
            file.write(b"x")
        self.assertFalse(self.tool(whole, second))
        self.assertEqual(vault.run("log", "verify", whole, who="auditor").status, 1)
        vault.must("backup", vault.path("b"), who="operator")
        vault.must("verify", vault.path("b"), who=None)

    def test_a_witness_is_waited_for(self):
        vault = self.vault
        folder = vault.path("witness")
        witness = Witness(folder, "--name", "witness.example/1", "--log", self.first)
        self.addCleanup(lambda: witness.process.poll() is None and witness.end())
        with open(witness.said["ca"], encoding="ascii") as file:
            authority = file.read()
        policy = vault.json("policy", "show", who="officer")
        policy["witnesses"] = {"list": [{"key": witness.said["witness"], "url": witness.said["url"], "ca_pem": authority}]}
        vault.apply_policy("policy.yaml", json.dumps(policy))
        self.wait(lambda: self.find().status == 0, "the witness does not cosign")
        self.change()
        self.wait(lambda: self.lines() == 2, "one key signs")
        time.sleep(2)
        self.assertEqual(self.find().status, 0, "the witness goes on by the old key")
        refused = vault.run("log", "key", "finish", who="officer")
        self.assertEqual(refused.status, 1)
        self.assertIn("--key-changes", refused.stderr)
        changes = vault.path("key-changes")
        self.assertEqual(self.show("-o", changes)["following"], [])
        at = witness.said["url"].rpartition("/")[2]
        witness.end()
        witness = Witness(folder, "--key-changes", changes, listen=at)
        self.assertEqual(witness.said["logs"], [self.show()["verifier_key"]])
        self.find()
        self.wait(lambda: self.show()["following"] == ["witness.example/1"], "the witness does not take the new key")
        vault.must("log", "key", "finish", who="officer")
        self.find()
        self.wait(lambda: self.lines() == 1, "the old key still signs")
        size = int(vault.json("status", who="officer")["log_size"])
        self.wait(lambda: int(vault.json("status", who="officer")["witnessed_size"]) >= size, "it cosigns no more")
        self.assertEqual(self.find().status, 0)
        witness.end()


if __name__ == "__main__":
    unittest.main(verbosity=2)
