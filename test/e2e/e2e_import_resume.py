"""kill -9 of an import's client, of the gateway, of the key server and of the whole `serve`, at random points.

Afterwards the same command is run until it is done, and then: every row is there exactly once; a second run by
--key changes nothing; a changed row replaced the old one; and every record that a client received meanwhile is in
the release log.

    e2e_import_resume.py [--rounds N] [--seed S]
"""

import json
import os
import random
import signal
import sys
import threading
import time
import unittest

from vault import door, needs_door, seed_from, Vault

PARCEL = 3
ROWS = 30_000
HEADER = "tracking_no,sent,sender_name,sender_phone,recipient_name,recipient_phone,address,content\n"
ROUNDS_PER_VAULT = 20  # Lanes are not merged yet, and each kill leaves one behind.
ATTEMPTS_MAX = 40


def arguments():
    """--rounds N --seed S, taken out of sys.argv."""
    out = {"--rounds": "6", "--seed": ""}
    for name in out:
        if name in sys.argv:
            at = sys.argv.index(name)
            out[name] = sys.argv[at + 1]
            del sys.argv[at:at + 2]
    return int(out["--rounds"]), seed_from(out["--seed"])


class Finder(threading.Thread):
    """Finds known parcels without pause, whatever is killed, and keeps what it received: (leaf, [record index])."""

    def __init__(self, vault, rng):
        super().__init__()
        self.vault, self.rng = vault, rng
        self.known = []      # Tracking numbers whose import was acknowledged. Only ever extended.
        self.received = []
        self.wrong = []
        self.ending = False

    def run(self):
        client = None
        while not self.ending:
            if not self.known:
                time.sleep(0.01)
                continue
            time.sleep(0.002)  # The import is what is tested; this one may not take its processor.
            number = self.rng.choice(self.known)
            try:
                client = client or door.Door(self.vault.credential("clerk"))
                reply = client.find(PARCEL, [("tracking_no", number)], ticket=client.ticket(PARCEL, purpose="service"))
                answer = reply.json
            except (OSError, ValueError, door.http.client.HTTPException):
                if client:
                    client.close()
                client = None
                time.sleep(0.01)
                continue
            if reply.status == 200:
                ids = [int(record["id"], 16) for record in answer.get("records", [])]
                if ids:
                    self.received.append((int(answer["leaf"]), ids))
                if [record["fields"]["tracking_no"] for record in answer.get("records", [])] != [number]:
                    self.wrong.append(answer)
            elif answer["code"] != "unavailable":
                self.wrong.append(answer)
        if client:
            client.close()

    def end(self):
        self.ending = True
        self.join()


class Import:
    """A file's import, with kills at random points, until it is done."""

    def __init__(self, vault, rng, path, options):
        self.vault, self.rng, self.path, self.options = vault, rng, path, options
        self.killed = []

    def run(self, kills):
        for _ in range(ATTEMPTS_MAX):
            if self.vault.server is None:
                self.vault.import_chunk = self.rng.choice((1500, 5000, 12000))
                self.vault.serve()
            process = self.vault.popen("import", "parcel", self.path, "--json", *self.options, who="operator")
            if len(self.killed) < kills:
                time.sleep(self.rng.uniform(0.02, 0.7))
                target = self.rng.choice(("client", "gateway", "serve", "keyserver"))
                if process.poll() is None:
                    self.killed.append(target)
                    if target == "client":
                        process.send_signal(signal.SIGKILL)
                    else:
                        self.vault.kill(target)
            out, err = process.communicate(timeout=120)
            if process.returncode == 0:
                return json.loads(out)
            if process.returncode > 0 and b'"unavailable"' not in out and b'"not_found"' not in out:
                raise AssertionError(f"import refused: {out!r} {err!r}")
        raise AssertionError(f"the import is not done after {ATTEMPTS_MAX} attempts")


@needs_door
class ImportResume(unittest.TestCase):
    rounds, seed = 6, 0

    def start_vault(self, rng):
        vault = Vault(import_chunk=5000)
        vault.__enter__()
        vault.raise_budgets()
        finder = Finder(vault, random.Random(rng.random()))
        finder.start()
        return vault, finder

    @staticmethod
    def rows(tag):
        """30,000 parcels: [number, phone]."""
        return [[f"{tag}-{i:05d}", f"139{i:08d}"] for i in range(ROWS)]

    def write(self, vault, tag, rows, name):
        return vault.write(name, HEADER + "".join(
            f"{number},2022-06-{1 + i % 30:02d},寄件人,,收件人,{phone},{tag},{'纸' * (i % 9)}\n"
            for i, (number, phone) in enumerate(rows)))

    def check_rows(self, vault, rng, tag, rows, changed=()):
        client = vault.door()
        ticket = door.sign_ticket(client.credential, PARCEL, purpose="service", records_max=10**6)

        def count(*terms):
            reply = client.count(PARCEL, terms, ticket=ticket)
            self.assertEqual(reply.status, 200, reply.body)
            return int(reply.json.get("count", 0))

        self.assertEqual(count(("address", tag)), ROWS, f"rows of {tag}")
        for i in [0, ROWS - 1, *rng.sample(range(ROWS), 20)]:
            self.assertEqual(count(("tracking_no", rows[i][0])), 1, rows[i][0])
            self.assertEqual(count(("recipient_phone", rows[i][1]), ("address", tag)), 1, rows[i][0])
        for i, old in changed:
            self.assertEqual(count(("recipient_phone", old), ("tracking_no", rows[i][0])), 0, rows[i][0])
            self.assertEqual(count(("recipient_phone", rows[i][1]), ("tracking_no", rows[i][0])), 1, rows[i][0])
            found = client.find(PARCEL, [("tracking_no", rows[i][0])], ticket=ticket).json["records"]
            self.assertEqual([record["fields"]["recipient_phone"] for record in found], ["+86" + rows[i][1]])

    def check_log(self, vault, finder, first):
        """Everything that was received is in the log. The leaf to go on from."""
        received, finder.received = finder.received, []
        logged = door.releases(vault.door("auditor"), first)
        for leaf, ids in received:
            if leaf >= first:
                self.assertEqual(sorted(logged.get(leaf, [])), sorted(ids), f"release {leaf}")
        self.assertFalse(finder.wrong)
        return max(logged, default=first)

    def one_round(self, vault, finder, rng, tag):
        by_key = rng.random() < 0.5
        options = ["--key", "tracking_no"] if by_key else []
        rows = self.rows(tag)
        path = self.write(vault, tag, rows, tag + ".csv")
        work = Import(vault, rng, path, options)
        counts = work.run(rng.choice((1, 1, 2)))
        self.assertEqual((counts["imported"] + counts["unchanged"], counts["updated"], counts["rejected"]),
                         (ROWS, 0, 0),
                         (tag, work.killed, counts))
        # Acknowledged a moment ago: a kill changes nothing about that.
        vault.kill(rng.choice(("gateway", "serve", "keyserver")))
        vault.serve()
        self.check_rows(vault, rng, tag, rows)
        finder.known += [number for number, _ in rng.sample(rows, 500)]
        again = vault.import_file("parcel", path, *options)
        self.assertEqual((again["imported"], again["updated"], again["unchanged"], again["rejected"]), (0, 0, ROWS, 0))
        killed = list(work.killed)
        if by_key:
            changed = [(i, rows[i][1]) for i in sorted({0, *rng.sample(range(ROWS), 500)})]
            for i, _ in changed:
                rows[i][1] = f"138{i:08d}"
            work = Import(vault, rng, self.write(vault, tag, rows, tag + "-changed.csv"), options)
            counts = work.run(rng.randint(0, 1))
            self.assertEqual((counts["imported"], counts["updated"] + counts["unchanged"], counts["rejected"]),
                             (0, ROWS, 0),
                             (tag, work.killed, counts))
            self.assertLessEqual(counts["updated"], len(changed))
            if not work.killed:
                self.assertEqual(counts["updated"], len(changed))
            self.check_rows(vault, rng, tag, rows, rng.sample(changed, 30))
            killed += work.killed
        os.remove(path)
        return by_key, killed

    def test_killed_imports_end_with_every_row_exactly_once(self):
        rng = random.Random(self.seed)
        vault = finder = None
        received = 0
        try:
            for number in range(self.rounds):
                if number % ROUNDS_PER_VAULT == 0:
                    if vault:
                        finder.end()
                        vault.close()
                    vault, finder = self.start_vault(rng)
                    first = 0
                by_key, killed = self.one_round(vault, finder, rng, f"R{number}")
                received += len(finder.received)
                first = self.check_log(vault, finder, first)
                print(f"round {number}: {'by key' if by_key else 'plain'}, killed {', '.join(killed) or 'nothing'}; "
                      f"{received} finds received so far, all logged", file=sys.stderr, flush=True)
            self.assertTrue(vault.json("log", "verify", who="auditor")["verified"])
            self.assertGreater(received, 0)
        finally:
            if vault:
                finder.end()
                vault.close()

    def test_two_imports_at_once_of_overlapping_files_are_right(self):
        rng = random.Random(self.seed + 1)
        with Vault(import_chunk=5000) as vault:
            vault.raise_budgets()
            for tag, options, expected in (("KEY", ["--key", "tracking_no"], (ROWS, 10_000, 0)),
                                           ("NEW", [], (ROWS, 0, 10_000))):
                rows = self.rows(tag)
                paths = [self.write(vault, tag, rows[:20_000], tag + "-a.csv"),
                         self.write(vault, tag, rows[10_000:], tag + "-b.csv")]
                running = [vault.popen("import", "parcel", path, "--json", *options, who="operator") for path in paths]
                results = []
                for process in running:
                    out, err = process.communicate(timeout=120)
                    self.assertEqual(process.returncode, 0, err)
                    results.append(json.loads(out))
                total = {name: sum(result[name] for result in results) for name in results[0]}
                # The files differ in a row's other values by its place, so a shared row may also be an update.
                self.assertEqual((total["imported"], total["unchanged"] + total["updated"], total["rejected"]),
                                 expected, results)
                self.check_rows(vault, rng, tag, rows)
                vault.restart()
                self.check_rows(vault, rng, tag, rows)


if __name__ == "__main__":
    ImportResume.rounds, ImportResume.seed = arguments()
    unittest.main(verbosity=2)
