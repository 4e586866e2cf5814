"""An index added to people who are there: refused until it is whole, approved by several, killed halfway, gone on with."""

import csv
import io
import json
import threading
import time
import unittest

from vault import Vault

PEOPLE = 2000
STEP = 100


class Reindex(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())
        self.vault.raise_budgets()
        text = self.vault.generate("person", PEOPLE, 7)
        self.people = list(csv.DictReader(io.StringIO(text)))
        self.vault.import_csv("person", text)

    def allow(self, per_hour):
        """The operator may reindex, so many records an hour."""
        policy = self.vault.json("policy", "show", who="officer")
        policy.pop("version", None)
        policy["purposes"] = [p for p in policy["purposes"] if p["name"] != "reindexing"] + [{"name": "reindexing"}]
        for role in policy["roles"]:
            for grant in role.get("grants", []):
                grant["budget"] = {name: int(most) for name, most in grant["budget"].items()}
            if role["name"] == "operator":
                role["grants"] = [g for g in role["grants"] if g["purposes"] != ["reindexing"]] + [{
                    "collection": "person", "purposes": ["reindexing"], "groups": ["identity", "contact"],
                    "actions": ["REINDEX"],
                    "budget": {"reindexed_per_hour": per_hour, "reindexed_per_day": 10**9}}]
        self.vault.apply_policy("policy.yaml", json.dumps(policy))

    def add_index(self):
        """Addresses by longer prefixes, and by words. The request for several to sign."""
        person = self.vault.json("collection", "show", "person", who="operator")
        for field in person["fields"]:
            if field["name"] == "address":
                field["index"].append("WORDS")
                field["prefixes"].append(8)
        path = self.vault.write("person.yaml", json.dumps(person))
        applied = self.vault.json("collection", "apply", path, who="operator")
        self.assertFalse(applied["changed"])
        return applied["request"]

    def reindex(self, **options):
        return self.vault.popen("reindex", "person", "--purpose", "reindexing", "--step", str(STEP), "--json",
                                who="operator", **options)

    def refused(self, *args, who="operator"):
        outcome = self.vault.run(*args, who=who)
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        return outcome.stderr

    def search(self, prefix):
        return self.vault.run("find", "person", "address^" + prefix, "--purpose", "service", "--limit", "1000",
                              "--json")

    def with_prefix(self, prefix):
        return sorted(p["name"] for p in self.people if p["address"].startswith(prefix))

    def test_an_index_is_added_and_nothing_is_missed(self):
        self.allow(10**9)
        self.assertIn("No index", self.refused("reindex", "person", "--purpose", "reindexing"))
        request = self.add_index()
        self.assertIn("No index", self.refused("reindex", "person", "--purpose", "reindexing"))
        self.vault.approve(request)

        prefixes = sorted({p["address"][:8] for p in self.people if len(p["address"]) >= 8})[:40]
        self.assertIn("still being built", self.search(prefixes[0]).stdout)

        killed = []
        for target in ("client", "gateway", "serve", None):
            process = self.reindex()
            time.sleep(0.15)
            if process.poll() is None and target:
                killed.append(target)
                if target == "client":
                    process.kill()
                else:
                    self.vault.kill(target)
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:
                break
            if self.vault.server is None:
                self.vault.serve()
            found = self.search(prefixes[0])
            self.assertEqual(found.status, 1, "half an index answered")
            self.assertIn("still being built", found.stdout)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(json.loads(out), {"indexed": PEOPLE, "renewed": False, "finished": True})
        self.assertTrue(killed, "it was too fast to be killed")

        for prefix in prefixes:
            found = self.search(prefix)
            self.assertEqual(found.status, 0, found.stderr)
            names = sorted(r["fields"]["name"] for r in json.loads(found.stdout)["records"])
            self.assertEqual(names, self.with_prefix(prefix))
        for person in self.people[:30]:
            found = self.vault.find("person", "national_id=" + person["national_id"])
            self.assertEqual([r["fields"]["address"] for r in found["records"]], [person["address"]])
            word = self.vault.find("person", "national_id=" + person["national_id"], "address:" + person["address"])
            self.assertEqual(len(word["records"]), 1)
        self.assertEqual(self.vault.count("person", "national_id^" + self.people[0]["national_id"][:6]),
                         sum(p["national_id"].startswith(self.people[0]["national_id"][:6]) for p in self.people))
        self.assertIn("No index", self.refused("reindex", "person", "--purpose", "reindexing"))

    def renew(self):
        request = self.vault.json("collection", "renew-terms", "person", "--reason", "a gateway was stolen",
                                  who="operator")["request"]
        shown = self.vault.must("approve", request, "--yes", who="approver1").stdout
        self.assertIn("all its terms under a fresh key", shown)
        self.vault.must("approve", request, "--yes", who="approver2")

    def test_terms_are_renewed_while_searches_go_on(self):
        """Somebody looks people up all the while: each answer is right, or the vault was just killed."""
        vault = self.vault
        self.allow(10**9)
        self.renew()
        self.assertIn("imports wait", vault.run("import", "person", vault.path("rows.csv"), "--key", "national_id",
                                                who="operator").stderr)
        wrong, asked, stop, calm = [], [0], threading.Event(), threading.Event()
        calm.set()

        def clerk():
            while not stop.is_set():
                person = self.people[asked[0] * 37 % PEOPLE]
                was_calm = calm.is_set()
                found = vault.run("find", "person", "national_id=" + person["national_id"], "--purpose", "service",
                                  "--json")
                names = [r["fields"]["name"] for r in json.loads(found.stdout).get("records", [])]
                asked[0] += 1
                if found.status == 0 and names != [person["name"]]:
                    wrong.append((person["national_id"], found))
                if found.status != 0 and was_calm and calm.is_set():
                    wrong.append(found)

        watch = threading.Thread(target=clerk)
        watch.start()
        self.addCleanup(stop.set)
        killed = []
        for target in ("client", "gateway", "serve", None):
            process = self.reindex()
            time.sleep(0.2)
            if process.poll() is None and target:
                killed.append(target)
                if target == "client":
                    process.kill()
                else:
                    calm.clear()
                    vault.kill(target)
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:
                break
            if vault.server is None:
                vault.serve()
            calm.set()
        stop.set()
        watch.join()
        self.assertEqual(process.returncode, 0, err)
        self.assertTrue(json.loads(out)["renewed"])
        self.assertEqual(len(killed), 3, "it was too fast to be killed")
        self.assertEqual(wrong, [])
        self.assertGreater(asked[0], 5)
        for again in (False, True):
            if again:
                vault.restart()
            for person in self.people[:50]:
                found = vault.find("person", "phone=" + person["phone"], "name=" + person["name"])
                self.assertEqual(len(found["records"]), 1)
        self.assertEqual(vault.import_file("person", vault.path("rows.csv"), "--key", "national_id"),
                         {"imported": 0, "updated": 0, "unchanged": PEOPLE, "rejected": 0})
        self.assertIn("No index", self.refused("reindex", "person", "--purpose", "reindexing"))

    def test_a_budget_bounds_its_pace_and_a_freeze_stops_it(self):
        self.allow(STEP * 3)
        self.vault.approve(self.add_index())
        process = self.reindex()
        time.sleep(2)
        self.assertIsNone(process.poll(), "it waits for its budget")
        used = self.vault.json("me", who="operator")
        self.assertIn('"reindexed"', json.dumps(used).lower())
        self.vault.must("freeze", "purpose:reindexing", "--reason", "drill", who="officer")
        process.terminate()
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, err)
        self.assertIn("frozen", self.refused("reindex", "person", "--purpose", "reindexing").lower())


if __name__ == "__main__":
    unittest.main(verbosity=2)
