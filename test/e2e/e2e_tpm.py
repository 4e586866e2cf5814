"""A TPM, in software: it opens the vault at each start, and what its epochs ended is gone for whoever has all shares and old disks."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from e2e_founding import Founded, FoundedTest
from e2e_keys import ask, confirm, take
from vault import Restored, START_S

SWTPM = "/usr/bin/swtpm"


def free_ports():
    """One that is free, and the next one, as far as that can be known."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Swtpm:
    """Ended with the `with`; what it holds stays in its folder until then."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="strongroom-tpm-")
        self.start()
        return self

    def start(self, port=None):
        for _ in range(20):
            self.port = port or free_ports()
            self.process = subprocess.Popen(
                [SWTPM, "socket", "--tpm2", "--tpmstate", f"dir={self.dir},mode=0600",
                 "--server", f"type=tcp,bindaddr=127.0.0.1,port={self.port}",
                 "--ctrl", f"type=tcp,bindaddr=127.0.0.1,port={self.port + 1}", "--flags", "not-need-init,startup-clear"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until = time.monotonic() + START_S
            while self.process.poll() is None and time.monotonic() < until:
                try:
                    socket.create_connection(("127.0.0.1", self.port + 1), 1).close()
                    return
                except OSError:
                    time.sleep(0.02)
        raise AssertionError("swtpm does not start")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(START_S)

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.dir)

    @property
    def tcti(self):
        return f"swtpm:host=127.0.0.1,port={self.port}"


@unittest.skipUnless(os.access(SWTPM, os.X_OK), "swtpm is not installed: apt-get install swtpm")
class Tpm(FoundedTest):
    epochs = ()

    @classmethod
    def setUpClass(cls):
        cls.tpm = cls.enterClassContext(Swtpm())
        cls.vault = cls.enterClassContext(Founded("--tpm", cls.tpm.tcti, *cls.epochs))

    def assert_open(self):
        self.assertFalse(self.vault.json("status", who="officer")["sealed"])

    def test_it_opens_by_itself_but_not_once_sealed_on_command(self):
        self.assert_open()
        self.vault.restart()
        self.assert_open()
        self.assertIn(", or the TPM", self.vault.must("status", who="officer").stdout)
        self.vault.must("seal", who="officer")
        self.vault.await_restart()
        self.assert_given(0)
        self.vault.restart()
        self.assert_given(0)
        self.vault.open(1, 2)
        self.assert_open()
        self.vault.restart()
        self.assert_open()

    def test_a_new_root_key_is_sealed_to_it_too(self):
        ask(self.vault, "operator", "officer")
        fresh = {who: take(self.vault, who) for who in ("operator", "officer")}
        for who, share in fresh.items():
            self.assertEqual(confirm(self.vault, who, share).status, 0)
        old, self.vault.shares = self.vault.shares, list(fresh.values())
        self.vault.restart()
        self.assert_open()
        self.vault.must("seal", who="officer")
        self.vault.await_restart()
        self.assert_refused(self.vault.give(old[0]), "was replaced by newer ones")
        self.vault.open(1, 2)
        self.assert_open()

    def test_killed_at_any_moment_it_opens_again(self):
        for _ in range(3):
            self.vault.kill("keyserver")
            self.vault.serve()
            self.assert_open()

    def test_without_its_tpm_it_says_so(self):
        self.vault.stop()
        self.tpm.stop()
        try:
            if self.epochs:
                outcome = self.vault.serve_refused()
                self.assertEqual(outcome.status, 1)
                self.assertIn("swtpm does not listen there", outcome.stderr)
            else:
                self.vault.serve()
                self.assertIn("the TPM does not answer; shares open the vault", self.vault.serve_text())
                self.vault.open(1, 2)
                self.assert_open()
                self.vault.stop()
        finally:
            self.tpm.start(self.tpm.port)
            self.vault.serve()
        self.assert_open()


class BoundToIt(Tpm):
    epochs = ("--tpm-epochs", )

    def test_shares_and_a_disk_of_an_ended_epoch_open_nothing(self):
        vault = self.vault
        self.assertIn("; bound to it", vault.must("status", who="officer").stdout)
        copies = {}
        vault.stop()
        for place in ("keyserver", "keyserver-mirror"):
            copies[place] = vault.path("copy-" + place)
            shutil.copytree(os.path.join(vault.dir, place, "state"), copies[place])
        vault.serve()  # Which begins the next epoch.
        self.assert_open()
        vault.stop()
        today = vault.path("today")
        shutil.copytree(vault.dir, today)
        for place, copy in copies.items():
            shutil.rmtree(os.path.join(vault.dir, place, "state"))
            shutil.copytree(copy, os.path.join(vault.dir, place, "state"))
        outcome = vault.serve_refused()
        self.assertIn("The TPM has no secret of this key state any more", outcome.stderr)
        # What is of today opens.
        shutil.rmtree(vault.dir)
        shutil.move(today, vault.dir)
        vault.serve()
        self.assert_open()

    def test_a_backup_opens_on_a_machine_without_it(self):
        vault = self.vault
        shares = "".join(share + "\n" for share in vault.shares[:2]).encode()
        to, keys = vault.path("backup"), vault.path("keys")
        taken = vault.json("backup", to, "--keys", keys, who="operator")
        vault.must("verify", keys, who=None)
        self.assertIn(taken["id"], [one["id"] for one in vault.json("status", who="officer")["key_backups"]])
        vault.stop()
        self.assertFalse(os.path.exists(os.path.join(vault.dir, "keyserver", "state-copy")))
        self.tpm.stop()
        try:
            said = vault.must("restore", to, vault.path("elsewhere"), "--keys", keys, who=None, stdin=shares).stdout
            self.assertIn("No TPM opens it here", said)
            with Restored(vault, "elsewhere") as again:
                for share in vault.shares[:2]:
                    again.must("unseal", who="operator", stdin=share.encode())
                status = again.must("status", who="operator").stdout
                self.assertIn("RESTORED", status)
                self.assertNotIn("the TPM", status)
        finally:
            self.tpm.start(self.tpm.port)
        vault.must("restore", to, vault.path("bound"), "--keys", keys, "--tpm", self.tpm.tcti, "--tpm-epochs", who=None, stdin=shares)
        with Restored(vault, "bound") as again:
            self.assertFalse(again.json("status", who="operator")["sealed"], "this machine's TPM opens it")
            self.assertIn("; bound to it", again.must("status", who="operator").stdout)
        vault.serve()
        self.assert_open()


if __name__ == "__main__":
    unittest.main(verbosity=2)
