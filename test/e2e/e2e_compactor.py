"""Lanes are merged in the background: searches find what they found, whatever is killed meanwhile.

    e2e_compactor.py [--rounds N] [--seed S]
"""

import csv
import io
import os
import random
import signal
import sys
import time
import unittest

from vault import alive, seed_from, Vault, wait_gone

PEOPLE = 40_000
CHUNK = 5_000
MERGE_S = 60
SWEEP_S = 60


def arguments():
    """--rounds N --seed S, taken out of sys.argv."""
    out = {"--rounds": "6", "--seed": ""}
    for name in out:
        if name in sys.argv:
            at = sys.argv.index(name)
            out[name] = sys.argv[at + 1]
            del sys.argv[at:at + 2]
    return int(out["--rounds"]), seed_from(out["--seed"])


def until(what, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


class Compactor(unittest.TestCase):
    rounds, seed = 6, 0

    def start_vault(self, *options):
        vault = Vault(CHUNK, ["--merge-idle-ms", "50", "--query-deadline-ms", "2000", *options])
        vault.__enter__()
        self.addCleanup(vault.close)
        vault.raise_budgets()
        return vault

    def import_people(self, vault, count=PEOPLE, seed=1):
        text = vault.generate("person", count, seed)
        result = vault.import_csv("person", text, "--key", "national_id")
        self.assertEqual(result["imported"], count)
        return list(csv.DictReader(io.StringIO(text)))

    def lanes(self, vault):
        return int(vault.json("status", who="officer")["lanes_live"])

    def merged(self, vault):
        return int(vault.json("status", who="officer")["lanes_merged"])

    def check_finds(self, vault, people, rng, n=15):
        for person in rng.sample(people, n):
            found = vault.find("person", "national_id=" + person["national_id"])
            self.assertEqual([r["fields"]["name"] for r in found["records"]], [person["name"]])
        names = rng.sample(sorted({p["name"] for p in people}), 3)
        for name in names:
            expected = sum(p["name"].strip() == name.strip() for p in people)
            self.assertEqual(vault.count("person", "name=" + name), expected, "a name's count")

    def test_lanes_are_merged_and_everything_is_found(self):
        rng = random.Random(self.seed)
        vault = self.start_vault()
        people = self.import_people(vault)
        self.assertTrue(until(lambda: self.lanes(vault) <= 4 and self.merged(vault) >= 5, MERGE_S),
                        vault.serve_text())
        self.check_finds(vault, people, rng)
        vault.restart()
        self.check_finds(vault, people, rng)

    def test_without_a_compactor_lanes_stay(self):
        vault = self.start_vault("--no-compactor")
        self.assertEqual(vault.ports["compactor_pid"], 0)
        self.import_people(vault)
        time.sleep(0.5)
        self.assertGreater(self.lanes(vault), 4)
        self.assertEqual(self.merged(vault), 0)
        # What was left, a later one merges.
        vault.serve_options.remove("--no-compactor")
        vault.restart()
        self.assertTrue(until(lambda: self.lanes(vault) <= 4, MERGE_S), vault.serve_text())

    def test_a_killed_compactor_is_started_again_and_nothing_else_ends(self):
        vault = self.start_vault("--merge-rate", "100000")
        people = self.import_people(vault)
        os.kill(vault.ports["compactor_pid"], signal.SIGKILL)
        self.assertTrue(wait_gone(vault.ports["compactor_pid"], 10))
        self.check_finds(vault, people, random.Random(self.seed), 3)
        self.assertTrue(alive(vault.ports["gateway_pid"]))
        self.assertTrue(until(lambda: self.lanes(vault) <= 4, MERGE_S), vault.serve_text())
        self.check_finds(vault, people, random.Random(self.seed), 3)

    def test_kills_in_the_middle_of_merges_lose_nothing(self):
        rng = random.Random(self.seed)
        # Slow enough that a kill hits a merge.
        vault = self.start_vault("--merge-lanes", "1", "--merge-rate", "150000")
        people = self.import_people(vault)
        for number in range(self.rounds):
            time.sleep(rng.uniform(0.1, 3))
            vault.kill(rng.choice(("serve", "gateway", "keyserver")))
            vault.serve()
            changed = rng.sample(people, 40)
            for person in changed:
                person["address"] = f"Changed {number}"
            out = io.StringIO()
            writer = csv.DictWriter(out, people[0].keys())
            writer.writeheader()
            writer.writerows(changed)
            result = vault.import_csv("person", out.getvalue(), "--key", "national_id", name=f"changed{number}.csv")
            self.assertEqual(result["updated"] + result["unchanged"], 40)
            self.check_finds(vault, people, rng, 5)
        self.assertTrue(until(lambda: self.lanes(vault) <= 2, MERGE_S), vault.serve_text())
        self.check_finds(vault, people, rng)
        for person in rng.sample(changed, 5):
            found = vault.find("person", "national_id=" + person["national_id"])
            self.assertEqual([r["fields"]["address"] for r in found["records"]], [person["address"]])
        # What was merged leaves the store: its size is that of one lane, not of all that ever were.
        self.assertTrue(until(lambda: not os.path.exists(os.path.join(vault.dir, "store", "merge-copy")), 10))
        self.assertTrue(until(lambda: not os.listdir(os.path.join(vault.dir, "store", "merge-tmp")), 10))


if __name__ == "__main__":
    Compactor.rounds, Compactor.seed = arguments()
    unittest.main()
