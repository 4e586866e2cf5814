"""Backups of a vault that serves: taken while it imports, added to, cut off, damaged, and restored on a bare folder; and
what a restored vault knows of erasures."""

import glob
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import time
import unittest

from vault import BIN, COMMAND_S, Restored, Vault

ROWS = 30
WHY = ("--purpose", "erasure", "--case", "R-2026-31")


def people(count, first=0):
    return "name,phone,dob,address\n" + "".join(
        f"测试{i % 1000:03d},139{i:08d},1980-01-31,Marker Street {i}\n" for i in range(first, first + count))


def flip(path, at=-1):
    """One bit of a file."""
    with open(path, "r+b") as file:
        file.seek(at, 2 if at < 0 else 0)
        byte = file.read(1)[0]
        file.seek(at, 2 if at < 0 else 0)
        file.write(bytes([byte ^ 1]))


def manifest_of(part):
    (path,) = glob.glob(os.path.join(part, "manifest*.json"))
    return path


def objects(part):
    """{name: where it lies} of a part of a backup."""
    with open(manifest_of(part), encoding="utf-8") as file:
        files = json.load(file)["files"]
    return {one["name"]: os.path.join(part, "files", one["sha256"]) for one in files}


class Backups(unittest.TestCase):
    serve_options = ()

    def setUp(self):
        self.vault = self.enterContext(Vault(serve_options=self.serve_options))
        self.to = self.vault.path("backup")
        self.keys = self.vault.path("share-holders")
        self.vault.import_csv("person", people(ROWS))

    def backup(self, *options):
        return self.vault.json("backup", self.to, *options, who="operator")

    def verify(self, folder):
        outcome = self.vault.run("verify", folder, "--json", who=None)
        report = json.loads(outcome.stdout)
        self.assertEqual(outcome.status, 0 if report["sound"] else 1, report)
        return report

    def restore(self, name="restored", *options):
        return self.vault.json("restore", self.to, self.vault.path(name), *options, who=None)

    def ids(self, i, vault=None):
        found = (vault or self.vault).json("find", "person", f"phone=139{i:08d}", "--purpose", "service")
        return [record["id"] for record in found["records"]]


class Renewed(Backups):
    def allow(self, most, vault=None):
        """So many records may be opened in a day for an index."""
        vault = vault or self.vault
        policy = vault.json("policy", "show", who="officer")
        policy.pop("version", None)
        policy["purposes"] = [one for one in policy["purposes"] if one["name"] != "reindexing"] + [{"name": "reindexing"}]
        for role in policy["roles"]:
            role["grants"] = [grant for grant in role.get("grants", []) if grant["purposes"] != ["reindexing"]]
            for grant in role["grants"]:
                grant["budget"] = {name: int(most) for name, most in grant["budget"].items()}
            if role["name"] == "operator":
                role["grants"].append({"collection": "person", "purposes": ["reindexing"], "actions": ["REINDEX"],
                                       "groups": ["identity", "contact"], "budget": {"reindexed_per_day": most}})
        vault.apply_policy("renewing.yaml", json.dumps(policy))

    def renew(self):
        self.vault.approve(self.vault.json("collection", "renew-terms", "person", who="operator")["request"])

    def test_terms_under_a_fresh_key_are_found_in_what_was_restored(self):
        vault = self.vault
        self.allow(10**6)
        before = self.ids(3)
        self.backup()
        self.renew()
        vault.must("reindex", "person", "--purpose", "reindexing", who="operator")
        self.assertEqual(self.ids(3), before)
        self.restore("of before")
        with Restored(vault, "of before") as again:
            self.assertEqual(self.ids(3, again), before, "by the key of then")
        self.backup()
        self.restore("of after")
        with Restored(vault, "of after") as again:
            self.assertEqual(self.ids(3, again), before)
            again.import_csv("person", people(3, 900), name="new.csv")
            self.assertEqual(len(self.ids(901, again)), 1)

    def test_a_renewal_that_was_half_done_goes_on_in_what_was_restored(self):
        vault = self.vault
        self.allow(ROWS // 2)
        before = [self.ids(i) for i in range(ROWS)]
        self.renew()
        job = ("reindex", "person", "--purpose", "reindexing", "--step", "5")
        process = vault.popen(*job, who="operator")
        with self.assertRaises(subprocess.TimeoutExpired, msg="its budget is for half of them: it waits"):
            process.communicate(timeout=3)
        process.kill()
        process.communicate()
        self.backup()
        self.restore("half")
        with Restored(vault, "half") as again:
            self.assertEqual([self.ids(i, again) for i in range(ROWS)], before, "by the key of then")
            self.allow(10**6, again)
            again.must(*job, who="operator")
            self.assertEqual([self.ids(i, again) for i in range(ROWS)], before)
            again.import_csv("person", people(3, 900), name="new.csv")
            self.assertEqual(len(self.ids(901, again)), 1)


class Life(Backups):
    def test_taken_restored_and_served(self):
        taken = self.backup()
        self.assertGreater(taken["bytes"], 0)
        self.assertTrue(self.verify(self.to)["sound"])
        self.vault.import_csv("person", people(5, ROWS), name="later.csv")
        before = self.ids(3)
        restored = self.restore()
        self.assertEqual((restored["id"], restored["newest_log"]), (taken["id"], False))
        with Restored(self.vault, "restored") as again:
            self.assertEqual(self.ids(3, again), before)
            self.assertEqual(self.ids(ROWS + 1, again), [], "written behind the backup")
            again.import_csv("person", people(3, 900), name="new.csv")
            self.assertEqual(len(self.ids(901, again)), 1)
            status = again.must("status", who="officer").stdout
            self.assertIn("! RESTORED at", status)
            self.assertIn("are lost", status)
            self.assertIn("RESTORED from backup " + taken["id"], again.must("log", "tail", who="auditor").stdout)
            self.assertTrue(self.verify(again.dir)["sound"])
        with open(self.vault.credential("clerk"), encoding="utf-8") as file:
            self.assertNotEqual(restored["origin"], json.load(file)["log_origin"])

    def test_each_backup_adds_what_is_new_and_the_log_says_which_keys_are_out(self):
        first = self.backup("--keys", self.keys)
        self.assertFalse(os.path.exists(os.path.join(self.to, "keys")))
        self.vault.must("erase", "person", *self.ids(4), *WHY, "--yes")
        status = self.vault.json("status", who="officer")
        self.assertEqual([(one["id"], int(one["erased_since"])) for one in status["key_backups"]], [(first["id"], 1)])
        self.assertIn("opens 1 erased record", self.vault.must("status", who="officer").stdout)
        second = self.backup("--keys", self.keys)
        self.assertLess(second["bytes_written"], first["bytes_written"] + second["bytes"])
        status = self.vault.json("status", who="officer")
        self.assertEqual([(one["id"], int(one["erased_since"])) for one in status["key_backups"]], [(second["id"], 0)])
        unchanged = set(os.listdir(os.path.join(self.to, "store", "files")))
        third = self.backup("--keys", self.keys)
        self.assertTrue(unchanged & set(os.listdir(os.path.join(self.to, "store", "files"))))
        self.vault.must("backup", "--destroyed", third["id"], who="operator")
        self.assertEqual(self.vault.json("status", who="officer")["key_backups"], [])
        self.assertEqual(self.vault.run("backup", "--destroyed", third["id"], who="operator").status, 1)
        said = self.vault.must("log", "tail", who="auditor").stdout
        self.assertIn("key files destroyed, backup " + first["id"], said)

    def test_what_was_erased_stays_erased_with_the_newest_log(self):
        self.backup()
        (gone,), (kept,) = self.ids(4), self.ids(5)
        self.vault.must("erase", "person", gone, *WHY, "--yes")
        self.vault.import_csv("person", people(5000, 1000), name="many.csv")
        refused = self.vault.run("restore", self.to, self.vault.path("none"), "--log", self.vault.dir, who=None)
        self.assertIn("still grows", refused.stderr)
        self.vault.stop()
        restored = self.restore("newest", "--log", self.vault.dir)
        self.assertTrue(restored["newest_log"])
        with Restored(self.vault, "newest") as again:
            self.assertEqual(again.run("get", "person", gone, "--purpose", "service").status, 1)
            self.assertEqual((self.ids(4, again), self.ids(5, again)), ([], [kept]))
            self.assertEqual(self.ids(1001, again), [], "not in the backup")
            again.import_csv("person", people(5000, 1000), name="many.csv")
            self.assertEqual(len(self.ids(1001, again)), 1)
            self.assertTrue(again.json("log", "verify", who="auditor")["verified"])
            again.restart()
            self.assertEqual((self.ids(4, again), self.ids(5, again)), ([], [kept]))
        self.restore("without")
        with Restored(self.vault, "without") as again:
            self.assertEqual(self.ids(4, again), [gone], "as the documentation says")

    def test_restored_where_something_is_is_refused(self):
        self.backup()
        os.mkdir(self.vault.path("full"))
        precious = self.vault.write("full/precious", "x")
        for name in ("full", "v"):
            outcome = self.vault.run("restore", self.to, self.vault.path(name), who=None)
            self.assertEqual(outcome.status, 1)
            self.assertIn("not empty", outcome.stderr)
        self.assertEqual(os.listdir(self.vault.path("full")), ["precious"])
        self.assertTrue(os.path.exists(precious))
        self.assertEqual(self.vault.run("restore", self.vault.path("full"), self.vault.path("x"), who=None).status, 1)
        self.assertFalse(os.path.exists(self.vault.path("x")))

    def test_parts_of_two_backups_do_not_make_a_vault(self):
        self.backup("--keys", self.keys)
        shutil.copytree(self.keys, self.vault.path("old-keys"))
        self.backup("--keys", self.keys)
        outcome = self.vault.run("restore", self.to, self.vault.path("x"), "--keys", self.vault.path("old-keys"),
                                 who=None)
        self.assertEqual(outcome.status, 1)
        self.assertIn("no store part of the backup that the keys are of", outcome.stderr)

    def test_no_secret_is_in_a_backup_in_the_clear(self):
        self.backup("--keys", self.keys)
        with open(os.path.join(self.vault.dir, "gateway", "term.key"), "rb") as file:
            term_key = file.read().strip()
        with open(os.path.join(self.vault.dir, "keyserver", "ca.key"), "rb") as file:
            authority = file.read().splitlines()[1]
        for folder in (self.to, self.keys):
            for root, _, names in os.walk(folder):
                for name in names:
                    with open(os.path.join(root, name), "rb") as file:
                        data = file.read()
                    for secret in (term_key, bytes.fromhex(term_key.decode()), authority):
                        self.assertNotIn(secret, data, name)
        self.assertNotIn("keyserver/dev-root.key", objects(os.path.join(self.to, "store")))

    def test_who_may_not_is_told_so(self):
        outcome = self.vault.run("backup", self.to, who="clerk")
        self.assertEqual(outcome.status, 1)
        self.assertNotIn("key_backups\":[{", self.vault.must("status", "--json", who="officer").stdout)
        self.assertEqual(self.vault.run("verify", self.vault.base, who=None).status, 1)
        self.assertEqual(self.vault.run("backup", who="operator").status, 2)


class WhileItWorks(Backups):
    serve_options = ("--import-chunk", "4096", "--merge-idle-ms", "50", "--merge-lanes", "1")

    def test_while_an_import_runs_and_lanes_are_merged(self):
        path = self.vault.write("many.csv", people(60_000, 1000))
        importing = self.vault.popen("import", "person", path, "--json", who="operator")
        taken = 0
        while importing.poll() is None:
            self.backup()
            taken += 1
        self.assertEqual(importing.returncode, 0, importing.communicate())
        importing.communicate()
        self.assertGreater(taken, 0)
        self.assertTrue(self.verify(self.to)["sound"])
        self.assertTrue(self.verify(self.vault.dir)["sound"], "while it serves")
        self.vault.stop()
        self.restore()
        with Restored(self.vault, "restored") as again:
            again.raise_budgets()
            for i in (3, 7):
                self.assertEqual(len(self.ids(i, again)), 1)
            # Everything that is there is found; the import goes on where the backup has it.
            again.import_file("person", path)
            for i in range(1000, 61_000, 5000):
                self.assertGreaterEqual(len(self.ids(i, again)), 1, i)

    def test_killed_it_goes_on(self):
        self.vault.import_csv("person", people(30_000, 1000), name="many.csv")
        self.backup()
        point = objects(os.path.join(self.to, "store"))
        self.vault.import_csv("person", people(30_000, 40_000), name="more.csv")
        for delay in (0.02, 0.05, 0.1, 0.2):
            process = self.vault.popen("backup", self.to, who="operator")
            time.sleep(delay)
            process.kill()
            process.communicate()
            report = self.verify(self.to)
            self.assertTrue(report["sound"], report)
            to = f"cut-{delay}"
            self.restore(to)
            shutil.rmtree(self.vault.path(to))
        self.assertTrue(point)
        taken = self.backup()
        self.assertTrue(self.verify(self.to)["sound"])
        status = self.vault.json("status", who="officer")
        self.assertEqual([one["id"] for one in status["key_backups"]], [taken["id"]],
                         "keys of those that were cut off are gone, and the log says so")
        self.assertFalse(os.path.exists(os.path.join(self.to, "store", "unfinished.json")))
        self.restore()
        with Restored(self.vault, "restored") as again:
            self.assertEqual(len(self.ids(40_001, again)), 1)

    def test_a_restore_that_was_killed_goes_on_and_is_no_vault_before(self):
        self.vault.import_csv("person", people(30_000, 1000), name="many.csv")
        self.backup()
        to = self.vault.path("restored")
        for delay in (0.02, 0.05, 0.1):
            process = self.vault.popen("restore", self.to, to, who=None)
            time.sleep(delay)
            process.kill()
            process.communicate()
            if os.path.exists(os.path.join(to, "restoring")):
                outcome = self.vault.run("serve", to, who=None)
                self.assertEqual(outcome.status, 1, outcome)
        cut_off = os.path.exists(os.path.join(to, "restoring")) or not os.path.exists(os.path.join(to, "gateway"))
        if cut_off:
            self.restore()
        with Restored(self.vault, "restored") as again:
            self.assertEqual(len(self.ids(1001, again)), 1)

    def test_a_restore_that_was_killed_at_its_very_first_file_goes_on(self):
        self.backup()
        to = self.vault.path("restored")
        os.mkdir(to)
        self.assertEqual(self.vault.run("serve", to, who=None).status, 1, "an empty folder is no vault")
        half = os.path.join(to, "restoring.tmp")
        for name in ("restoring.tmp", "kept.txt"):
            with open(os.path.join(to, name), "wb") as file:
                file.write(b"01")
        refused = self.vault.run("restore", self.to, to, who=None)
        self.assertIn("not empty", refused.stderr, "a file of somebody else")
        os.remove(os.path.join(to, "kept.txt"))
        self.restore()
        self.assertFalse(os.path.exists(half))
        with Restored(self.vault, "restored") as again:
            self.assertEqual(len(self.ids(3, again)), 1)

    def test_on_a_full_disk_the_point_before_stays(self):
        self.backup()
        before = objects(os.path.join(self.to, "store"))
        self.vault.import_csv("person", people(30_000, 1000), name="many.csv")

        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        process = self.vault.popen("backup", self.to, who="operator", preexec_fn=limit)
        _, said = process.communicate(timeout=COMMAND_S)
        self.assertEqual(process.returncode, 1)
        self.assertIn(b"full", said)
        self.assertEqual(objects(os.path.join(self.to, "store")), before)
        self.assertTrue(self.verify(self.to)["sound"])
        self.assertEqual(len(self.ids(1001)), 1)
        self.backup()
        self.assertTrue(self.verify(self.to)["sound"])


class Damage(Backups):
    def test_every_file_of_a_backup(self):
        self.backup()
        for part in ("store", "keys"):
            folder = os.path.join(self.to, part)
            for name, path in objects(folder).items():
                if os.path.getsize(path) == 0:
                    continue
                flip(path)
                report = self.verify(self.to)
                self.assertEqual([one["file"] for one in report["damaged"]], [path], name)
                self.assertIn(name, report["damaged"][0]["what"])
                outcome = self.vault.run("restore", self.to, self.vault.path("x"), who=None)
                self.assertEqual(outcome.status, 1, name)
                self.assertIn(path, outcome.stderr)
                shutil.rmtree(self.vault.path("x"))
                flip(path)
            flip(manifest_of(folder), 5)
            self.assertFalse(self.verify(self.to)["sound"])
            flip(manifest_of(folder), 5)
        self.assertTrue(self.verify(self.to)["sound"])
        self.restore()

    def test_a_store_put_together_anew_is_refused(self):
        """Whoever has the store's part alone may write its manifest as they like."""
        self.backup("--keys", self.keys)
        manifest = manifest_of(os.path.join(self.to, "store"))
        with open(manifest, encoding="utf-8") as file:
            text = file.read()
        with open(manifest, "w", encoding="utf-8") as file:
            file.write(text.replace('"taken_ms"', '"taken_ms" '))
        outcome = self.vault.run("restore", self.to, self.vault.path("x"), "--keys", self.keys, who=None)
        self.assertEqual(outcome.status, 1)
        self.assertIn("the store's manifest was changed", outcome.stderr)

    def test_every_kind_of_file_of_a_vault(self):
        self.vault.must("erase", "person", *self.ids(4), *WHY, "--yes")
        self.assertTrue(self.verify(self.vault.dir)["sound"], "while it serves; which has rows written to files")
        self.vault.stop()
        self.assertTrue(self.verify(self.vault.dir)["sound"])

        def newest(pattern):
            return sorted(glob.glob(os.path.join(self.vault.dir, pattern)))[-1]

        def tile(level):
            """The one that the checkpoint needs: partial ones of checkpoints before it stay for a while."""
            found = glob.glob(os.path.join(self.vault.dir, "keyserver/log/tile", level, "000.p/*"))
            return max(found, key=lambda path: int(os.path.basename(path)))

        for path, at in ((newest("keyserver/log/entries-*.log"), 200), (newest("keyserver/log/checkpoint"), 40),
                         (tile("entries"), 10), (tile("0"), 10), (newest("keyserver/state/state-*"), 100),
                         (newest("keyserver-mirror/state/state-*"), 100), (newest("keyserver/vault.json"), 0),
                         (newest("store/*.sst"), 30)):
            flip(path, at)
            report = self.verify(self.vault.dir)
            self.assertFalse(report["sound"], path)
            self.assertTrue(any(path in one["file"] for one in report["damaged"]), (path, report))
            flip(path, at)
        self.assertTrue(self.verify(self.vault.dir)["sound"])
        os.rename(newest("store/*.sst"), self.vault.path("lost.sst"))
        self.assertFalse(self.verify(self.vault.dir)["sound"])


class Shares(unittest.TestCase):
    def test_restored_by_its_share_holders(self):
        import e2e_founding
        vault = self.enterContext(e2e_founding.Founded())
        for share in vault.shares[:2]:
            vault.must("unseal", who="operator", stdin=share.encode())
        to, keys = vault.path("backup"), vault.path("keys")
        vault.must("backup", to, "--keys", keys, who="operator")
        self.assertNotIn("keyserver/dev-root.key", objects(keys))
        vault.must("verify", to, who=None)
        vault.must("verify", keys, who=None)
        few = vault.run("restore", to, vault.path("restored"), "--keys", keys, who=None,
                        stdin=(vault.shares[0] + "\n").encode())
        self.assertEqual(few.status, 1)
        self.assertIn("not enough shares", few.stderr)
        twice = vault.run("restore", to, vault.path("restored"), "--keys", keys, who=None,
                          stdin=(vault.shares[0] + "\n" + vault.shares[0] + "\n").encode())
        self.assertEqual(twice.status, 1)
        vault.must("restore", to, vault.path("restored"), "--keys", keys, who=None,
                   stdin=(vault.shares[2] + "\n" + vault.shares[0] + "\n").encode())
        vault.stop()
        with Restored(vault, "restored") as again:
            self.assertTrue(again.json("status", who="operator")["sealed"])
            for share in vault.shares[1:]:
                again.must("unseal", who="operator", stdin=share.encode())
            self.assertFalse(again.json("status", who="operator")["sealed"])
            self.assertIn("RESTORED", again.must("status", who="operator").stdout)


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class AsNobody(unittest.TestCase):
    def test_without_privileges(self):
        """The whole round as an unprivileged user, and not as another one than serves."""
        user = pwd.getpwnam("nobody")
        vault = Vault()
        base = vault.base

        def become():
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

        def run(*args, check=True):
            done = subprocess.run([BIN, *args], cwd=base, preexec_fn=become, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=COMMAND_S)
            if check and done.returncode != 0:
                raise AssertionError(f"{args[0]}: {done.stderr or done.stdout}")
            return done

        try:
            os.chown(base, user.pw_uid, user.pw_gid)
            run("init", vault.dir, "--dev")
            with open(os.path.join(base, "out"), "wb") as out:
                server = subprocess.Popen([BIN, "serve", vault.dir, "--listen", "127.0.0.1:0", "--json"],
                                          preexec_fn=become, stdout=subprocess.PIPE, stderr=out)
            try:
                self.assertTrue(server.stdout.readline())
                operator = ("--credential", os.path.join(vault.dir, "credentials", "operator.json"))
                run("backup", os.path.join(base, "b"), *operator)
                run("verify", vault.dir)
            finally:
                server.terminate()
                server.wait(60)
                server.stdout.close()
            run("verify", os.path.join(base, "b"))
            run("restore", os.path.join(base, "b"), os.path.join(base, "r"))
            run("verify", os.path.join(base, "r"))
            os.mkdir(os.path.join(base, "roots"), 0o700)
            refused = run("restore", os.path.join(base, "b"), os.path.join(base, "roots", "r"), check=False)
            self.assertEqual(refused.returncode, 1)
        finally:
            shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    unittest.main()
