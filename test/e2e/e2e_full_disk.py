"""A disk that is really full: a file system of its own, filled to the last byte under a vault that serves."""

import ctypes
import os
import subprocess
import time
import unittest

from vault import needs_door, Vault

PERSON = 1
PEOPLE = 300
SIZE_MIB = 160
TRIES = 20_000  # Each release takes some bytes of what the log has set aside.


class SmallDisk:
    """A tmpfs, unmounted with the `with`."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        os.mkdir(self.path)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "strongroom-test", self.path],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            os.rmdir(self.path)
            raise unittest.SkipTest("no file system may be mounted here: " + mounted.stderr.strip())
        return self

    def __exit__(self, *_):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.umount2(self.path.encode(), 0) != 0:
            libc.umount2(self.path.encode(), 2)  # MNT_DETACH
            raise AssertionError("somebody still uses the disk")

    def fill(self):
        with open(os.path.join(self.path, "filler"), "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        file.write(b"f" * size)
                except OSError:
                    pass

    def make_room(self):
        os.remove(os.path.join(self.path, "filler"))


def people(count, first=0):
    return "name,phone,dob,address\n" + "".join(
        f"测试{i % 1000:03d},139{i:08d},1980-01-31,Marker Street\n" for i in range(first, first + count))


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a file system")
@needs_door
class FullDisk(unittest.TestCase):
    def setUp(self):
        self.vault = Vault()
        self.addCleanup(self.vault.close)
        self.disk = self.enterContext(SmallDisk(self.vault.path("disk")))
        self.addCleanup(self.vault.stop)
        self.vault.dir = self.vault.path("disk/v")
        self.vault.__enter__()
        self.vault.import_csv("person", people(PEOPLE))
        self.vault.raise_budgets()

    def fill_to_the_last(self):
        """Until what the log had set aside is used up, too. How many were released, and the first refusal."""
        self.disk.fill()
        clerk = self.vault.door()
        for released in range(TRIES):
            reply = clerk.find(PERSON, [("address", "Marker Street")], limit=200)
            if reply.status != 200:
                return released, reply
        self.fail("it never fills up")

    def find(self):
        return self.vault.run("find", "person", "phone=13900000007", "--purpose", "service")

    def test_nothing_leaves_a_freeze_does_and_it_goes_on_when_there_is_room(self):
        vault = self.vault
        before = int(vault.json("status", who="officer")["log_size"])
        released, refused = self.fill_to_the_last()
        self.assertGreater(released, 0, refused.body)
        self.assertIn("full", refused.json["message"])
        self.assertNotIn("Marker", str(refused.json))
        self.assertEqual(self.find().status, 1)
        self.assertIn("The disk is full", vault.must("status", who="officer").stdout)
        vault.must("freeze", "principal:auditor", "--reason", "in the middle of it", who="officer")
        again = vault.run("import", "person", vault.write("more.csv", people(50_000, 1000)), who="operator")
        self.assertEqual(again.status, 1)
        self.assertNotIn("Marker", again.stderr)
        self.disk.make_room()
        until = time.monotonic() + 10  # It looks once a second.
        while self.find().status != 0:
            self.assertLess(time.monotonic(), until, "it goes on without a restart")
            time.sleep(0.1)
        self.assertGreaterEqual(int(vault.json("status", who="officer")["log_size"]), before + released + 1)
        vault.must("import", "person", vault.path("more.csv"), who="operator")
        self.assertEqual(vault.count("person", "address=Marker Street"), PEOPLE + 50_000)
        vault.restart()
        self.assertEqual(vault.count("person", "address=Marker Street"), PEOPLE + 50_000)
        self.assertIn("frozen", vault.run("log", "tail", who="auditor").stderr)
        vault.must("verify", vault.dir, who=None)

    def test_killed_on_a_full_disk_it_loses_nothing(self):
        vault = self.vault
        self.fill_to_the_last()
        vault.kill()
        outcome = vault.serve_refused()
        self.assertEqual((outcome.status, outcome.stderr.count("\n")), (1, 1), outcome)
        self.assertIn("full: make room", outcome.stderr)
        self.disk.make_room()
        vault.serve()
        self.assertEqual(self.find().status, 0)
        self.assertEqual(vault.count("person", "address=Marker Street"), PEOPLE)
        vault.must("log", "verify", who="auditor")


if __name__ == "__main__":
    unittest.main(verbosity=2)
