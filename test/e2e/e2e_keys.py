"""Keys that stay and keys that go: sealed on command, and a root key changed while serving, over kill -9."""

import json
import os
import random
import threading
import time
import unittest

from e2e_founding import decode, encode, Founded, FoundedTest, root_of, spellings, Y
from vault import fingerprint, seed_from

HOLDERS = ("operator", "officer", "approver3")
WHY = ("--reason", "a share is lost")


def ask(vault, *holders, threshold=2):
    """A change of the root key, asked for and approved."""
    named = [word for holder in holders for word in ("--holder", holder)]
    asked = vault.json("root", "change", *named, "--threshold", str(threshold), *WHY, who="officer")
    vault.approve(asked["request"])


def take(vault, who):
    # Not by vault.run: a share is what this prints.
    return json.loads(super(Founded, vault).run("root", "take", "--json", who=who).stdout)["share"]


def confirm(vault, who, share, *args):
    return vault.run("root", "confirm", *args, who=who, stdin=(share + "\n").encode())


class Keys(FoundedTest):
    def setUp(self):
        if self.vault.json("status", who="officer").get("sealed"):
            self.vault.open(1, 2)

    def assert_open(self):
        self.assertFalse(self.vault.json("status", who="officer")["sealed"])

    def test_sealed_on_command_and_opened_again(self):
        vault = self.vault
        self.assert_refused(vault.run("seal", who="operator"), "Your role lacks the power to do this")
        self.assert_open()
        sealed = vault.json("seal", "--reason", "break-in", who="officer")
        vault.await_restart()
        status = vault.must("status", who="operator").stdout
        self.assertRegex(status, r"\nSEALED: 0 of 2 shares given\nsealed on command by officer at 20")
        said = vault.json("status", who="operator")
        self.assertEqual((said["sealed"], said["last_seal"]["author"], said["last_seal"]["reason"]), (True, "officer", ""))
        self.assert_refused(vault.run("principal", "list", who="officer"), "the vault is sealed")
        self.assert_refused(vault.run("seal", who="officer"), "the vault is sealed")
        vault.open(1, 3)
        status = vault.must("status", who="officer").stdout
        self.assertIn("sealed on command last by officer at ", status)
        self.assertIn(f", entry {sealed['leaf']}: break-in\n", status)
        tail = vault.must("log", "tail", "-n", "1000", who="officer").stdout
        self.assertIn("sealed the vault, by officer", tail)
        self.assertTrue(vault.json("log", "verify", who="officer")["verified"])
        # Started anew by hand, it does not say so any more.
        vault.restart()
        self.assertNotIn("on command", vault.must("status", who="officer").stdout)
        vault.open(1, 2)

    def test_a_lost_share_is_made_good_while_serving(self):
        vault = self.vault
        old, old_root = list(vault.shares), root_of(*vault.shares[:2])
        ask(vault, *HOLDERS)
        self.assert_refused(vault.run("root", "take", who="approver1"), "No change of the root key is under way")
        fresh = [take(vault, who) for who in HOLDERS]
        self.assertIn("taken already", vault.run("root", "take", who="operator").stderr)
        for wrong, why in ((fresh[1], "another holder's share"), (old[0], "the root key that is to be replaced"),
                           (encode(bytes([1, 1, 2]) + bytes(48)), "of another vault"), (fresh[0][:-1] + "0", "mistyped"),
                           ("", "")):
            if wrong != fresh[0]:
                self.assert_refused(confirm(vault, "operator", wrong), why)
        for number, (who, share) in enumerate(zip(HOLDERS, fresh), 1):
            status = vault.must("status", who="officer").stdout
            self.assertRegex(status, fr"! NEW ROOT KEY, entry \d+: 3 of 3 shares taken, {number - 1} given back; missing: ")
            outcome = confirm(vault, who, share, "--json")
            self.assertEqual(outcome.status, 0, outcome)
            self.assertEqual(json.loads(outcome.stdout)["changed"], number == 3)
        vault.shares = fresh
        self.assertIn("any 2 of 3 shares: operator, officer, approver3; since 20",
                      vault.must("status", who="officer").stdout)
        self.assertTrue(vault.json("log", "verify", who="officer")["verified"])
        vault.restart()
        self.assert_refused(vault.give(old[0]), "of another vault, or was replaced by newer ones; it was not taken")
        vault.open(3, 1)
        self.assert_open()
        # What was shown once lies nowhere, and of the old root key nothing is left.
        vault.stop()
        files = fingerprint(vault.base)
        for share in fresh + old:
            for text in spellings(decode(share)[Y:]):
                self.assertEqual([path for path, data in files.items() if text in data], [])
        for root in (old_root, root_of(*fresh[:2])):
            for text in spellings(root):
                self.assertEqual([path for path, data in files.items() if text in data], [])
        self.assertEqual([path for path in files if path.endswith((".next", "dev-root.key"))], [])
        vault.serve()
        vault.open(1, 2)

    def test_killed_at_any_moment_the_old_shares_or_the_new_ones_open_it(self):
        vault = self.vault
        rng = random.Random(seed_from(os.environ.get("SEED")))
        ends = {"old": 0, "new": 0}
        for _ in range(6):
            old = list(vault.shares)
            ask(vault, "operator", "officer", "approver3")
            fresh = [take(vault, who) for who in HOLDERS]
            for who, share in zip(HOLDERS[:2], fresh):
                self.assertEqual(confirm(vault, who, share).status, 0)
            last = vault.popen("root", "confirm", who=HOLDERS[2], stdin=-1)
            killer = threading.Thread(target=lambda: (time.sleep(rng.uniform(0, 0.06)), vault.kill("keyserver")))
            killer.start()
            out, err = last.communicate((fresh[2] + "\n").encode(), 60)
            killer.join()
            vault.serve()
            which = "new" if vault.give(fresh[0]).status == 0 else "old"
            if last.returncode == 0:
                self.assertEqual(which, "new", "what was answered is done")
            other = old if which == "new" else fresh
            self.assert_refused(vault.give(other[1]), "it was not taken")
            vault.shares = fresh if which == "new" else old
            vault.open(*(2, ) if which == "new" else (1, 2))
            self.assert_open()
            self.assertTrue(vault.json("log", "verify", who="officer")["verified"])
            ends[which] += 1
        print(f"killed 6 times: {ends}", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
