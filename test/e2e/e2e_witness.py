"""A real `strongroom witness` watches a real log, asked by tools that are not ours: Python's http.client and
tools/log_verify.py. Proofs of single entries are checked by both."""

import base64
import csv
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import unittest

from vault import BIN, Restored, Vault, wait_gone

TOOLS = os.path.join(os.path.dirname(__file__), "..", "..", "tools")
sys.path.insert(0, TOOLS)
import log_verify  # noqa: E402


class Witness:
    """A `strongroom witness` process."""

    def __init__(self, folder, *options, listen="127.0.0.1:0"):
        self.process = subprocess.Popen([BIN, "witness", folder, "--listen", listen, "--json", *options],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        line = self.process.stdout.readline()
        self.said = json.loads(line) if line else None

    def ask(self, method, path, body=None):
        """(status, content type, body)"""
        port = int(self.said["url"].rpartition(":")[2])
        tls = ssl.create_default_context(cafile=self.said["ca"])
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=tls, timeout=30)
        try:
            connection.request(method, path, body)
            reply = connection.getresponse()
            return reply.status, reply.headers["content-type"], reply.read()
        finally:
            connection.close()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        wait_gone(self.process.pid, 30)
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def range_hash(hashes, lo, hi):
    return log_verify.tree_hash(hashes[lo:hi])


def consistency(hashes, old, lo=0, hi=None, known=True):
    """RFC 6962, section 2.1.2: SUBPROOF, from the leaf hashes themselves."""
    hi = len(hashes) if hi is None else hi
    if old == hi:
        return [] if known else [range_hash(hashes, lo, hi)]
    k = 1
    while k * 2 < hi - lo:
        k *= 2
    if old <= lo + k:
        return consistency(hashes, old, lo, lo + k, known) + [range_hash(hashes, lo + k, hi)]
    return consistency(hashes, old, lo + k, hi, False) + [range_hash(hashes, lo, lo + k)]


class WitnessTest(unittest.TestCase):
    def setUp(self):
        self.vault = self.enterContext(Vault())
        people = self.vault.generate("person", 300)
        self.person = next(csv.DictReader(io.StringIO(people)))
        self.vault.import_csv("person", people, name="people.csv")
        self.log = os.path.join(self.vault.dir, "keyserver", "log")
        self.key = json.loads(self.vault.must("log", "checkpoint", "--json", who="auditor").stdout)["verifier_key"]
        self.folder = self.vault.path("witness")

    def start(self, *options, **more):
        witness = Witness(self.folder, *options, **more)
        self.addCleanup(lambda: witness.process.poll() is None and witness.end())
        return witness

    def note(self):
        """The newest checkpoint and its size."""
        with open(os.path.join(self.log, "checkpoint"), "rb") as file:
            note = file.read()
        return note, int(note.split(b"\n")[1])

    def grow(self):
        _, size = self.note()
        self.vault.run("find", "person", "phone=13800000000", "--purpose", "service", who="clerk")
        for _ in range(100):
            if self.note()[1] > size:
                return
            time.sleep(0.1)
        self.fail("no new checkpoint came")

    def leaf_hashes(self, size):
        folder, hashes = log_verify.Folder(self.log), []
        for n in range((size + 255) // 256):
            width = min(256, size - n * 256)
            data = folder.tile("entries", n, width, width * 51)
            hashes += [log_verify.leaf_hash(data[i * 51 + 2:i * 51 + 51]) for i in range(width)]
        return hashes

    def request(self, old, note, size):
        proof = consistency(self.leaf_hashes(size), old) if 0 < old < size else []
        lines = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
        return f"old {old}\n{lines}\n".encode() + note

    def test_a_log_is_watched_and_its_entries_are_proven_to_outsiders(self):
        witness = self.start("--name", "witness.example/1", "--log", self.key)
        self.assertEqual(witness.said["logs"], [self.key])
        note, size = self.note()
        status, kind, body = witness.ask("POST", "/add-checkpoint", self.request(0, note, size))
        self.assertEqual(status, 200, body)
        self.grow()
        newer, newer_size = self.note()
        # It was told of the first one, and says so to whoever forgot.
        self.assertEqual(witness.ask("POST", "/add-checkpoint", self.request(0, newer, newer_size)),
                         (409, "text/x.tlog.size", f"{size}\n".encode()))
        witness.end(signal.SIGKILL)
        # Started again it remembers, without being told of the log a second time.
        witness = self.start()
        self.assertEqual(witness.said["logs"], [self.key])
        status, _, line = witness.ask("POST", "/add-checkpoint", self.request(size, newer, newer_size))
        self.assertEqual(status, 200, line)
        origin = self.key.split("+")[0]
        status, _, cosigned = witness.ask("GET", f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")
        self.assertEqual((status, cosigned), (200, newer + line))
        # The old checkpoint under an old size: a key server put back to yesterday.
        self.assertEqual(witness.ask("POST", "/add-checkpoint", self.request(size, note, size))[0], 409)
        # The whole log with the cosigned checkpoint, by the outsider's tool.
        copy = self.vault.path("copy")
        shutil.copytree(self.log, copy)
        with open(os.path.join(copy, "checkpoint"), "wb") as file:
            file.write(cosigned)
        report = self.tool(copy, "--witness", witness.said["witness"])
        self.assertEqual((report["size"], list(report["witnesses"])), (newer_size, ["witness.example/1"]))
        verified = json.loads(self.vault.must("log", "verify", copy, "--json", who="auditor").stdout)
        self.assertEqual(base64.b64encode(bytes.fromhex(verified["root"])).decode(), report["root"])
        self.proofs(witness, cosigned, newer_size)

    def proofs(self, witness, cosigned, size):
        file = self.vault.path("release.tlog-proof")
        for leaf in {0, size // 2, size - 1}:
            self.vault.must("log", "prove", str(leaf), "-o", file, who="auditor")
            ours = self.vault.run("log", "check", file, "--log", self.key, "--json", who=None)
            self.assertEqual(ours.status, 0, ours)
            theirs = self.tool(file)
            self.assertEqual({name: json.loads(ours.stdout)[name] for name in ("leaf", "type", "t_ms", "size")},
                             {name: theirs[name] for name in ("leaf", "type", "t_ms", "size")})
            self.assertNotEqual(
                self.vault.run("log", "check", file, "--log", self.key, "--witness", witness.said["witness"],
                               who=None).status, 0, "its checkpoint is not cosigned yet")
            with open(file, "rb") as read:
                text = read.read()
            entry = text.index(b"extra ") + 12
            for at in (entry, text.index(b"index ") + 6, text.rindex(b"\n\n") - 5):
                with open(file, "wb") as write:
                    write.write(text[:at] + (b"B" if text[at:at + 1] != b"B" else b"C") + text[at + 1:])
                self.assertEqual(self.vault.run("log", "check", file, "--log", self.key, who=None).status, 1, at)
                self.tool(file, refused=True)
        # A proof against the cosigned checkpoint holds for both.
        hashes = self.leaf_hashes(size)
        with open(file, "wb") as write:
            write.write(text.partition(b"\n\n")[0] + b"\n\n" + cosigned)
        with_path = self.with_path(file, hashes)
        self.assertTrue(with_path)
        proven = self.vault.run("log", "check", file, "--log", self.key, "--witness", witness.said["witness"], who=None)
        self.assertEqual(proven.status, 0, proven)
        self.assertEqual(list(self.tool(file, "--witness", witness.said["witness"])["witnesses"]), ["witness.example/1"])

    def with_path(self, file, hashes):
        """Puts the path of entry 0 of a tree of these leaves into the proof."""
        def path(lo, hi):
            if hi - lo == 1:
                return []
            k = 1
            while k * 2 < hi - lo:
                k *= 2
            return path(lo, lo + k) + [range_hash(hashes, lo + k, hi)]
        folder = log_verify.Folder(self.log)
        entry = folder.tile("entries", 0, min(256, len(hashes)), min(256, len(hashes)) * 51)[2:51]
        with open(file, "rb") as read:
            note = read.read().partition(b"\n\n")[2]
        lines = ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(entry).decode(), "index 0"]
        lines += [base64.b64encode(step).decode() for step in path(0, len(hashes))]
        with open(file, "wb") as write:
            write.write("\n".join(lines).encode() + b"\n\n" + note)
        return lines

    def tool(self, what, *options, refused=False):
        """tools/log_verify.py, written apart from ours."""
        done = subprocess.run([sys.executable, "-B", os.path.join(TOOLS, "log_verify.py"), what, self.key, "--json",
                               *options], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 1 if refused else 0, done.stderr)
        return None if refused else json.loads(done.stdout)

    def until(self, what, seconds=60):
        """The first outcome that is as wanted; None if it never came."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if outcome := what():
                return outcome
            time.sleep(0.1)
        return None

    def look(self, vault=None):
        return (vault or self.vault).run("find", "person", "phone=13800000000", "--purpose", "service", who="clerk")

    def leaves(self):
        return self.until(lambda: self.look().status == 0)

    def refused(self, text, vault=None):
        return self.until(lambda: text in self.look(vault).stderr)

    def bound(self, witness, **limits):
        """The policy asks for this witness from now on."""
        with open(witness.said["ca"], encoding="ascii") as file:
            authority = file.read()
        policy = self.vault.json("policy", "show", who="officer")
        policy["witnesses"] = {"list": [{"key": witness.said["witness"], "url": witness.said["url"], "ca_pem": authority}],
                               **limits}
        self.vault.apply_policy("policy.yaml", json.dumps(policy))

    def test_nothing_leaves_that_no_witness_will_see(self):
        vault = self.vault
        witness = self.start("--name", "witness.example/1", "--log", self.key)
        self.bound(witness, seconds_max=6)
        self.assertTrue(self.leaves(), self.look())
        self.assertIn("witness witness.example/1: ", vault.must("status", who="officer").stdout)
        # A proof carries the cosignature by itself.
        leaf = vault.json("find", "person", "phone=13800000000", "--purpose", "service", who="clerk")["leaf"]
        file = vault.path("own.tlog-proof")
        self.assertTrue(self.until(lambda: vault.run("log", "prove", str(leaf), "-o", file, who="auditor").status == 0
                                   and vault.run("log", "check", file, "--log", self.key, "--witness",
                                                 witness.said["witness"], who=None).status == 0))
        # So does what a person is told of who looked.
        vault.must("find", "person", "phone=" + self.person["phone"], "--purpose", "service")
        report = vault.path("report.json")
        told = vault.must("subject", "report", "person", "phone=" + self.person["phone"], "--purpose",
                          "subject-access", "--case", "S-1", "-o", report, who="privacy")
        self.assertIn("cosigned by witnesses", told.stderr)
        checked = vault.must("subject", "check", report, "--log", self.key, "--witness", witness.said["witness"],
                             who=None)
        self.assertIn("cosigned by 1", checked.stdout)
        keys = log_verify.LogKeys(log_verify.parse_verifier_key(self.key), self.key.split("+")[0])
        with open(report, "rb") as file:
            said = log_verify.verify_report(file.read(), keys,
                                            (log_verify.parse_verifier_key(witness.said["witness"], 4),))
        self.assertEqual(len(said["witnesses"]), 1)
        # The witness is away: at first it goes on, then it does not; and again when the witness is back.
        at = witness.said["url"].rpartition("/")[2]
        witness.end(signal.SIGKILL)
        self.assertTrue(self.refused("Not enough witnesses"))
        witness = self.start(listen=at)
        self.assertTrue(self.leaves(), self.look())
        # The key server's folder of yesterday: whatever left since would be unknown to it.
        vault.stop()
        keyserver = os.path.join(vault.dir, "keyserver")
        shutil.copytree(keyserver, vault.path("yesterday"))
        shutil.copytree(keyserver + "-mirror", vault.path("yesterday-mirror"))
        vault.serve()
        self.assertTrue(self.leaves(), self.look())
        size = self.note()[1]
        self.assertTrue(self.until(lambda: vault.json("status", who="officer").get("witnesses", [{}])[0].get("size", 0)
                                   and int(vault.json("status", who="officer")["witnessed_size"]) >= size))
        vault.stop()
        for name, copy in ((keyserver, "yesterday"), (keyserver + "-mirror", "yesterday-mirror")):
            shutil.rmtree(name)
            shutil.copytree(vault.path(copy), name)
        vault.serve()
        self.assertTrue(self.refused("put back to an older state"), self.look())
        self.assertIn("witness.example/1 does not cosign", vault.serve_text())
        time.sleep(2)
        self.assertNotEqual(self.look().status, 0, "and stays so")
        # Put back again and grown beyond what the witness has seen: another story of the same log.
        vault.stop()
        for name, copy in ((keyserver, "yesterday"), (keyserver + "-mirror", "yesterday-mirror")):
            shutil.rmtree(name)
            shutil.copytree(vault.path(copy), name)
        witness.end()
        seen = self.note()[1]
        vault.serve()
        for i in range(8):
            vault.must("freeze", f"principal:p{i}", who="officer")
        self.assertTrue(self.until(lambda: self.note()[1] > seen + 8))
        self.start(listen=at)
        self.assertTrue(self.refused("put back to an older state"), self.look())

    def test_what_was_restored_goes_on_when_the_witness_has_been_told(self):
        vault = self.vault
        witness = self.start("--name", "witness.example/1", "--log", self.key)
        self.bound(witness, seconds_max=6)
        self.assertTrue(self.leaves(), self.look())
        vault.must("backup", vault.path("backup"), who="operator")
        self.grow()
        vault.stop()
        origin = vault.json("restore", vault.path("backup"), vault.path("restored"), who=None)["origin"]
        with Restored(vault, "restored") as again:
            again.told_of(origin)
            self.assertTrue(self.refused("Not enough witnesses", again), self.look(again))
            self.assertIn("witness.example/1", again.must("status", who="officer").stdout)
            key = again.json("log", "checkpoint", who="auditor")["verifier_key"]
            self.assertTrue(key.startswith(origin + "+"))
            witness.end()
            self.start("--log", key, listen=witness.said["url"].rpartition("/")[2])
            self.assertTrue(self.until(lambda: self.look(again).status == 0), self.look(again))
            self.assertTrue(again.json("log", "verify", who="auditor")["verified"])

    def test_one_witness_to_a_folder_and_one_name_to_a_witness(self):
        witness = self.start("--name", "witness.example/1")
        self.assertEqual(witness.said["logs"], [])
        second = Witness(self.folder)
        self.assertIn("another `strongroom witness`", json.dumps(second.said))
        second.end()
        note, size = self.note()
        self.assertEqual(witness.ask("POST", "/add-checkpoint", self.request(0, note, size))[0], 404)
        for method, path, status in (("GET", "/", 404), ("POST", "/checkpoint", 404), ("DELETE", "/add-checkpoint", 405),
                                     ("GET", "/../key/checkpoint", 404), ("POST", "/add-checkpoint", 400)):
            self.assertEqual(witness.ask(method, path, b"x")[0], status, path)
        witness.end()
        renamed = Witness(self.folder, "--name", "witness.example/2")
        self.assertIn("needs a new folder", json.dumps(renamed.said))
        renamed.end()


if __name__ == "__main__":
    unittest.main(verbosity=2)
