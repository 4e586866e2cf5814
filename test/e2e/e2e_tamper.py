"""Files of a vault are edited, cut, swapped, deleted and put back behind its back. Each time it starts, or says why not; and
whatever it answers then is true, or an error.

    e2e_tamper.py [--attacks N] [--seed S] [--only FOLDER]

A vault with both kinds of lane, changed and erased records, a merge and a write-ahead log is killed, and copied at two times. Each attack
takes the newer copy, does one thing to one or two of its files (of the key server, its mirror, the gateway or the store), starts it, and
asks for people by phone and counts them by date of birth, and for a log that goes on from the one before. Outcomes:

    refused     `serve` does not start, with a reason
    told        it starts, and an answer that it cannot give rightly is an error
    harmless    it starts, and every answer is right: the file was healed, or is not needed

Anything else is a wrong answer, people missing without a word, a crash or a hang, and fails.
"""

import collections
import json
import os
import random
import shutil
import sys
import time
import unittest

from vault import START_S, national_id, needs_door, seed_from, Vault, wait_gone

try:
    import door
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
    import log_verify
except ImportError:
    door = None

PEOPLE = 600
ASKED = 6  # People asked for by phone in each round.
FOLDERS = ("keyserver/log", "keyserver/state", "keyserver-mirror/state", "keyserver/counters", "keyserver", "gateway", "store")
# Their loss or edit is an operator's, not a thief's: they say who listens where, and hold nothing.
IGNORED = ("LOG", "LOG.old", "LOCK", "IDENTITY", "dev-root.key", "keyserver.sock")


def arguments():
    out = {"--attacks": "30", "--seed": "1", "--only": ""}
    for name in out:
        if name in sys.argv:
            at = sys.argv.index(name)
            out[name] = sys.argv[at + 1]
            del sys.argv[at:at + 2]
    return int(out["--attacks"]), seed_from(out["--seed"]), out["--only"]


# -- what is done to a file -------------------------------------------------------------------------


def flip(rng, data, _old):
    if not data:
        return None
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1:]


def scribble(rng, data, _old):
    if not data:
        return None
    at = rng.randrange(len(data))
    size = min(len(data) - at, 1 << rng.randrange(12))
    return data[:at] + rng.randbytes(size) + data[at + size:]


def zero(rng, data, _old):
    if not data:
        return None
    at = rng.randrange(len(data))
    size = min(len(data) - at, 1 << rng.randrange(14))
    return data[:at] + bytes(size) + data[at + size:]


def truncate(rng, data, _old):
    return data[:rng.randrange(len(data))] if data else None


def extend(rng, data, _old):
    return data + rng.choice((rng.randbytes, bytes))(1 << rng.randrange(14))


def cut_out(rng, data, _old):
    if len(data) < 2:
        return None
    at = rng.randrange(len(data) - 1)
    return data[:at] + data[min(len(data), at + (1 << rng.randrange(12))):]


def swap_ranges(rng, data, _old):
    size = 1 << rng.randrange(3, 12)
    if len(data) < 2 * size:
        return None
    a = rng.randrange(len(data) - 2 * size + 1)
    b = rng.randrange(a + size, len(data) - size + 1)
    return data[:a] + data[b:b + size] + data[a + size:b] + data[a:a + size] + data[b + size:]


def repeat(rng, data, _old):
    if not data:
        return None
    at = rng.randrange(len(data))
    size = min(len(data) - at, 1 << rng.randrange(12))
    return data[:at] + 2 * data[at:at + size] + data[at + size:]


def empty(_rng, data, _old):
    return b"" if data else None


def put_back(_rng, data, old):
    return None if old is None or old == data else old


def put_back_part(rng, data, old):
    if not old or len(old) < 2:
        return None
    at = rng.randrange(len(old))
    size = 1 << rng.randrange(4, 16)
    return data[:at] + old[at:at + size] + data[at + size:]


EDITS = (flip, flip, scribble, zero, truncate, extend, cut_out, swap_ranges, repeat, empty, put_back, put_back_part)


@needs_door
class Tamper(unittest.TestCase):
    attacks, seed, only = 30, 1, ""

    @classmethod
    def setUpClass(cls):
        cls.rng = random.Random(cls.seed)
        cls.vault = cls.enterClassContext(Vault())
        cls.fill()

    # -- the vault and its two copies -----------------------------------------------------------------

    @classmethod
    def fill(cls):
        vault = cls.vault
        vault.raise_budgets()
        # Two imports: a packed lane, and rows of open lanes.
        people = [(f"王{chr(0x5b50 + i)}", f"138{i:08d}", f"{1950 + i % 50}-01-01", f"路{i}号",
                   national_id(110101, f"{1950 + i % 50}0101", i)) for i in range(PEOPLE)]
        rows = [",".join(person) for person in people]
        head = "name,phone,dob,address,national_id\n"
        vault.import_csv("person", head + "\n".join(rows[:PEOPLE - 40]) + "\n", "--key", "national_id", name="a.csv")
        vault.import_csv("person", head + "\n".join(rows[PEOPLE - 40:]) + "\n", "--key", "national_id", name="b.csv")
        vault.kill()
        cls.old = vault.path("old")
        shutil.copytree(vault.dir, cls.old, ignore=cls.sockets)
        vault.serve()
        # Behind the older copy: people move, a few are erased, more come.
        moved = range(0, PEOPLE, 25)
        cls.before = {}
        for i in moved:
            cls.before[people[i][1]] = people[i][3]
            people[i] = (*people[i][:3], f"新路{i}号", people[i][4])
        text = head + "".join(",".join(people[i]) + "\n" for i in moved)
        vault.import_csv("person", text, "--key", "national_id", name="c.csv")
        cls.addresses = {person[1]: person[3] for person in people}
        cls.erased = [people[i][1] for i in (7, 313, PEOPLE - 3)]
        for phone in cls.erased:
            found = vault.json("find", "person", f"phone={phone}", "--purpose", "service")["records"][0]["id"]
            vault.must("erase", "person", found, "--purpose", "erasure", "--case", "E-2026-1", "--yes")
            cls.addresses.pop(phone)
        left = [person for person in people if person[1] in cls.addresses]
        cls.births = collections.Counter(person[2] for person in left)
        for i in range(5):
            vault.run("freeze", f"purpose:none{i}", who="officer")
        cls.pinned = vault.json("log", "checkpoint", who="auditor")["verifier_key"]
        time.sleep(1.5)
        vault.kill()
        cls.new = vault.path("new")
        shutil.copytree(vault.dir, cls.new, ignore=cls.sockets)
        note = cls.read(os.path.join(cls.new, "keyserver/log/checkpoint"))
        cls.keys = log_verify.LogKeys(log_verify.parse_verifier_key(cls.pinned), cls.pinned.split("+")[0])
        cls.size, cls.root = cls.keys.verify(note)
        cls.files = {folder: cls.files_of(folder) for folder in FOLDERS if not cls.only or folder == cls.only}

    @staticmethod
    def sockets(folder, names):
        return [name for name in names if name.endswith(".sock") or os.path.basename(folder) == "run"]

    @classmethod
    def files_of(cls, folder):
        """Those of one folder; of a log's and the store's also below."""
        out = []
        for at, folders, names in os.walk(os.path.join(cls.new, folder)):
            out += [os.path.relpath(os.path.join(at, name), cls.new) for name in names if name not in IGNORED]
            if folder in ("keyserver", "gateway"):
                folders.clear()
        return sorted(out)

    @staticmethod
    def read(path):
        with open(path, "rb") as file:
            return file.read()

    # -- one attack -----------------------------------------------------------------------------------

    def attack(self):
        """Does one thing to a fresh copy. What it was, or None where there was nothing to do."""
        rng, vault = self.rng, self.vault
        shutil.rmtree(vault.dir)
        shutil.copytree(self.new, vault.dir)
        folder = rng.choice([name for name, files in self.files.items() if files])
        name = rng.choice(self.files[folder])
        path = os.path.join(vault.dir, name)
        what = rng.randrange(len(EDITS) + 3)
        if what < len(EDITS):
            old = os.path.join(self.old, name)
            data = EDITS[what](rng, self.read(path), self.read(old) if os.path.exists(old) else None)
            if data is None:
                return None
            with open(path, "wb") as file:
                file.write(data)
            return f"{EDITS[what].__name__} {name}"
        if what == len(EDITS):
            os.remove(path)
            return f"delete {name}"
        if what == len(EDITS) + 1:
            other = rng.choice(self.files[folder])
            if other == name:
                return None
            os.rename(path, path + ".x")
            os.rename(os.path.join(vault.dir, other), path)
            os.rename(path + ".x", os.path.join(vault.dir, other))
            return f"swap {name} and {other}"
        # All of a folder, as it was: or all but one file.
        shutil.rmtree(os.path.join(vault.dir, folder))
        if os.path.exists(os.path.join(self.old, folder)):
            shutil.copytree(os.path.join(self.old, folder), os.path.join(vault.dir, folder))
        return f"put back {folder}"

    def start(self):
        """Whether it serves; else why not."""
        vault = self.vault
        os.makedirs(os.path.join(vault.dir, "run"), mode=0o700, exist_ok=True)
        open(vault.serve_output, "w", encoding="utf-8").close()
        vault.start()
        line = vault._first_line()
        if line and "gateway" in json.loads(line):
            vault.ports = json.loads(line)
            vault.pids += vault.children()
            return True, ""
        status = vault._wait()
        said = (line or "") + vault.serve_text()
        self.assertGreater(status, 0, f"`serve` died of a signal: {said}")
        self.assertTrue(said.strip(), "it does not say why")
        return False, said

    def ask(self):
        """(wrong answers, answers that lack something or are older, errors)"""
        wrong, stale, errors = [], [], []
        client = door.Door(self.vault.credential("clerk"))
        client.credential.gateway_at = self.vault.ports["gateway"]
        client.credential.keyserver_at = self.vault.ports["keyserver"]
        try:
            phones = self.rng.sample(sorted(self.addresses), ASKED) + self.erased[:1] + [self.rng.choice(sorted(self.before))]
            for phone in phones:
                reply = client.find(1, [("phone", phone)])
                if reply.status != 200:
                    errors.append(reply.code)
                    continue
                found = [record["fields"].get("address") for record in reply.json.get("records", [])]
                expected = [self.addresses[phone]] if phone in self.addresses else []
                if found == expected:
                    continue
                as_of_then = [self.before[phone]] if phone in self.before else expected
                (stale if found in ([], as_of_then) else wrong).append((phone, found, expected))
            birth = self.rng.choice(sorted(self.births))
            reply = client.count(1, [("dob", birth)])
            if reply.status != 200:
                errors.append(reply.code)
            elif int(reply.json.get("count", 0)) != self.births[birth]:
                stale.append((birth, reply.json, self.births[birth]))
        finally:
            client.close()
        return wrong, stale, errors

    def check_log(self):
        """The tree of the log, as the outsider's tool has it, has that of before at its beginning."""
        folder = log_verify.Folder(os.path.join(self.vault.dir, "keyserver/log"))
        size = self.keys.verify(folder.read("checkpoint"))[0]
        self.assertGreaterEqual(size, self.size, "the log lost entries")
        hashes = []
        for n in range((size + 255) // 256):
            width = min(256, size - n * 256)
            data = folder.tile("entries", n, width, width * 51)
            hashes += [log_verify.leaf_hash(data[i * 51 + 2:i * 51 + 51]) for i in range(width)]
        self.assertEqual(log_verify.tree_hash(hashes[:self.size]), self.root, "the past of the log has changed")

    def end(self):
        self.vault.stop()
        left = [pid for pid in self.vault.pids if not wait_gone(pid, START_S)]
        self.assertEqual(left, [], "a process hangs")
        self.vault.pids.clear()

    def test_untouched_it_answers_everything(self):
        """So that errors below are of what was done."""
        shutil.rmtree(self.vault.dir)
        shutil.copytree(self.new, self.vault.dir)
        self.assertEqual(self.start(), (True, ""))
        try:
            self.assertEqual(self.ask(), ([], [], []))
            self.check_log()
        finally:
            self.end()

    def test_what_is_lost_can_be_accepted(self):
        """The store as of the older copy: refused, until somebody says so; then the log has it, and the next start needs no flag."""
        vault = self.vault
        shutil.rmtree(vault.dir)
        shutil.copytree(self.new, vault.dir)
        shutil.rmtree(os.path.join(vault.dir, "store"))
        shutil.copytree(os.path.join(self.old, "store"), os.path.join(vault.dir, "store"))
        moved = sorted(self.before)[0]
        self.assertEqual(self.start(), (True, ""))
        try:
            outcome = vault.run("find", "person", f"phone={moved}", "--purpose", "service")
            self.assertEqual((outcome.status, outcome.stdout), (1, ""))
            self.assertIn("--accept-lost-writes", outcome.stderr)
            self.assertIn("lacks writes", vault.serve_text())
        finally:
            self.end()
        for options in (["--accept-lost-writes"], []):
            vault.serve_options = options
            self.assertEqual(self.start(), (True, ""))
            try:
                found = vault.json("find", "person", f"phone={moved}", "--purpose", "service")["records"]
                self.assertEqual([one["fields"]["address"] for one in found], [self.before[moved]])
                time.sleep(2)
                lost = "WITH WRITES LOST" in vault.must("log", "tail", "-n", "50", who="auditor").stdout
                self.assertTrue(lost)
            finally:
                self.end()
        vault.serve_options = []

    def test_the_list_of_files_without_its_end_is_told(self):
        """RocksDB takes it for what a crash leaves, opens the older store, and removes the files it no longer knows."""
        vault = self.vault
        shutil.rmtree(vault.dir)
        shutil.copytree(self.new, vault.dir)
        store = os.path.join(vault.dir, "store")
        path = os.path.join(store, max(name for name in os.listdir(store) if name.startswith("MANIFEST-")))
        os.truncate(path, os.path.getsize(path) - 1)
        for _ in range(2):  # The second finds a list that RocksDB has made anew.
            self.assertEqual(self.start(), (True, ""))
            try:
                outcome = vault.run("find", "person", f"phone={sorted(self.addresses)[0]}", "--purpose", "service")
                self.assertEqual((outcome.status, outcome.stdout), (1, ""))
                self.assertIn("--accept-lost-writes", outcome.stderr)
            finally:
                self.end()

    def test_what_is_done_to_files_makes_no_wrong_answer(self):
        print(f"\nseed {self.seed}, {self.attacks} attacks", flush=True)
        counts = collections.defaultdict(collections.Counter)
        told = collections.Counter()
        started, done = time.monotonic(), 0
        while done < self.attacks:
            what = self.attack()
            if what is None:
                continue
            done += 1
            folder = max((name for name in self.files if name in what), key=len)
            with self.subTest(number=done, what=what):
                serves, said = self.start()
                try:
                    if not serves:
                        counts[folder]["refused"] += 1
                        self.assertNotIn("Aborted", said)
                        continue
                    wrong, stale, errors = self.ask()
                    self.assertEqual(wrong, [], what)
                    self.assertTrue(not stale or errors, (what, stale))
                    self.check_log()
                    counts[folder]["told" if errors else "harmless"] += 1
                    told.update(errors)
                finally:
                    self.end()
            if done % 100 == 0:
                rate = done / (time.monotonic() - started)
                print(f"{done} of {self.attacks}, {rate:.1f}/s, {(self.attacks - done) / rate / 60:.0f} min left", flush=True)
        total = collections.Counter()
        for folder, outcomes in sorted(counts.items()):
            total += outcomes
            print(f"{folder:24}", dict(outcomes))
        print(f"{'all':24}", dict(total), "errors", dict(told), f"in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    Tamper.attacks, Tamper.seed, Tamper.only = arguments()
    unittest.main(verbosity=2)
