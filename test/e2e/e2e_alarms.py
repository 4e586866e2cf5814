"""Thefts are noticed: canaries, alarms and where they are sent, by the real program.

    e2e_alarms.py
"""

import csv
import hashlib
import hmac
import http.server
import io
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import unittest

from vault import Vault

SECRET = "0123456789abcdef0123456789abcdef"
WAIT_S = 60


def until(what, seconds=WAIT_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


class Receiver:
    """A webhook of somebody's: TLS 1.3 with a certificate of its own; refuses the first `refuse` requests."""

    def __init__(self, folder, refuse=0):
        self.got, self.refused = [], 0
        key, self.certificate = os.path.join(folder, "hook.key"), os.path.join(folder, "hook.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", self.certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                refused = receiver.refused < refuse
                receiver.refused += refused
                if not refused:
                    receiver.got.append((self.path, self.headers["strongroom-signature"], body))
                self.send_response(503 if refused else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(self.certificate, key)
        self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Alarms(unittest.TestCase):
    def start_vault(self):
        vault = Vault()
        vault.__enter__()
        self.addCleanup(vault.close)
        return vault

    def plant(self, vault, people, canaries, *options):
        text = vault.generate("person", people, 5)
        with open(vault.path("people.csv"), "w", encoding="utf-8") as file:
            file.write(text)
        planted = vault.json("canary", "plant", "person", "--count", str(canaries), "--into", "people.csv",
                             *options, who="operator")
        self.assertEqual(planted["planted"], canaries)
        self.assertEqual(planted["imported"], people)
        return list(csv.DictReader(io.StringIO(text)))

    def ids(self, total):
        return [f"{n:010x}" for n in range(total)]

    def test_a_thief_who_opens_record_after_record_meets_a_canary_and_is_cut_off(self):
        vault = self.start_vault()
        people = self.plant(vault, 70, 5, "--key", "national_id")
        tested = {c["name"]: c for c in vault.json("canary", "test", who="auditor")["collections"]}
        self.assertEqual((tested["person"]["canaries"], tested["person"]["alive"]), ("5", "5"))
        self.assertNotEqual(tested["person"]["leaf"], "0")
        real = {p["national_id"] for p in people}
        opened = []
        for record in self.ids(75):
            outcome = vault.run("get", "person", record, "--purpose", "service", "--json")
            if outcome.status != 0:
                break
            opened.append(json.loads(outcome.stdout)["records"][0]["fields"]["national_id"])
        else:
            self.fail("no canary was met")
        self.assertLessEqual(set(opened), real, "what left was no canary")
        alarms = [a for a in vault.json("alarms", who="auditor")["alarms"] if not a["alarm"]["test"]]
        hit = [a for a in alarms if a["alarm"]["rule"] == "CANARY"]
        self.assertEqual(len(hit), 1)
        self.assertEqual((hit[0]["alarm"]["principal"], hit[0]["alarm"]["action"]), ("clerk", "FREEZE"))
        # Cut off, over a restart too; others are not.
        self.assertNotEqual(vault.run("count", "person", "dob=1989-03-30", "--purpose", "service").status, 0)
        vault.restart()
        self.assertNotEqual(vault.run("count", "person", "dob=1989-03-30", "--purpose", "service").status, 0)
        self.assertEqual(len([a for a in vault.json("alarms", who="auditor")["alarms"]
                              if a["alarm"]["rule"] == "CANARY" and not a["alarm"]["test"]]), 1)
        vault.must("alarms", who="officer")
        self.assertEqual(vault.run("alarms", who="clerk").status, 1)

    def test_canaries_look_like_any_record_and_stand_nowhere_in_particular(self):
        vault = self.start_vault()
        vault.raise_budgets()
        policy = vault.json("policy", "show", who="officer")
        policy["watch"] = {"canary": {"action": "NOTIFY"}}
        vault.apply_policy("p.yaml", json.dumps(policy))
        people = self.plant(vault, 300, 20)
        real = {p["national_id"] for p in people}
        places = []
        for at, record in enumerate(self.ids(320)):
            found = vault.json("get", "person", record, "--purpose", "service")["records"][0]["fields"]
            self.assertEqual(set(found), {"name", "national_id", "phone", "dob", "address"})
            if found["national_id"] not in real:
                places.append(at)
        self.assertEqual(len(places), 20)
        self.assertGreater(places[-1] - places[0], 100, "spread over the import")
        hits = [a for a in vault.json("alarms", "-n", "1000", who="auditor")["alarms"] if a["alarm"]["rule"] == "CANARY"]
        self.assertEqual(len(hits), 20, "each is known, and nothing else is")
        replayed = vault.json("policy", "test", "--replay", "p.yaml", who="auditor")
        self.assertGreater(replayed["rules"]["rate"]["would"], 0)
        self.assertEqual(replayed["rules"]["rate"]["would"], replayed["rules"]["rate"]["were"])

    def test_whoever_walks_through_numbers_is_noticed_though_the_key_server_sees_none(self):
        vault = self.start_vault()
        vault.import_csv("person", vault.generate("person", 10, 3))
        for n in range(30):
            vault.must("find", "person", f"phone=138001380{n:02d}", "--purpose", "service")
        walks = [a for a in vault.json("alarms", who="auditor")["alarms"] if a["alarm"]["rule"] == "WALK"]
        self.assertEqual([a["alarm"]["measure"] for a in walks], ["NEAR_TERMS"])
        self.assertNotIn("138001380", json.dumps(walks))

    def test_every_sink_gets_every_alarm_over_a_restart(self):
        vault = self.start_vault()
        receiver = Receiver(vault.base, refuse=2)
        self.addCleanup(receiver.close)
        log = os.path.join(vault.base, "devlog")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(log)
        self.addCleanup(listener.close)
        with open(os.path.join(vault.dir, "hook.secret"), "w", encoding="utf-8") as file:
            file.write(SECRET + "\n")
        with open(os.path.join(vault.dir, "sinks.yaml"), "w", encoding="utf-8") as file:
            file.write(f"""sinks:
  - name: hook
    webhook:
      url: "https://localhost:{receiver.port}/in?from=vault"
      secret_file: hook.secret
      ca_file: {receiver.certificate}
  - name: local
    syslog: {{socket: {log}}}
  - name: siem
    ocsf: {{file: alarms.ndjson}}
""")
        vault.restart()
        self.plant(vault, 20, 3)
        vault.must("canary", "test", who="auditor")
        events = os.path.join(vault.dir, "alarms.ndjson")
        self.assertTrue(until(lambda: receiver.got and os.path.exists(events)), vault.serve_text())
        path, signature, body = receiver.got[0]
        self.assertEqual(path, "/in?from=vault")
        stamp, mac = (part.split("=", 1)[1] for part in signature.split(","))
        self.assertEqual(mac, hmac.new(SECRET.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest())
        event = json.loads(body)
        self.assertEqual((event["class_uid"], event["type_uid"]), (2004, 200401))
        self.assertEqual(event["severity_id"], 1)
        listener.settimeout(WAIT_S)
        self.assertIn(b" strongroom - alarm - auditor opened 1 canary", listener.recv(4096))
        self.assertEqual(receiver.refused, 2, "refused twice, and sent again")
        for process in ("sender_pid", "courier_pid"):
            with open(f"/proc/{vault.ports[process]}/status", encoding="ascii") as file:
                self.assertIn("Seccomp:\t2\n", file.read(), process)
        with open(events, encoding="utf-8") as file:
            self.assertEqual([json.loads(line) for line in file], [event])
        vault.restart()
        vault.must("canary", "test", who="auditor")
        # What was sent and not yet noted when it was ended is sent again: by its uid a receiver knows it.
        def uids_sent():
            return {json.loads(got[2])["metadata"]["uid"] for got in receiver.got}

        def uids_filed():
            with open(events, encoding="utf-8") as file:
                return {json.loads(line)["metadata"]["uid"] for line in file.read().splitlines()}

        self.assertTrue(until(lambda: len(uids_sent()) == 2))
        self.assertTrue(until(lambda: len(uids_filed()) == 2))
        self.assertEqual(uids_sent(), uids_filed())

    def test_a_sink_that_cannot_work_is_said_and_the_vault_serves_all_the_same(self):
        vault = self.start_vault()
        with open(os.path.join(vault.dir, "sinks.yaml"), "w", encoding="utf-8") as file:
            file.write("sinks:\n  - name: x\n    webhook: {url: 'http://a/', secret_file: none}\n")
        vault.restart()
        self.assertTrue(until(lambda: "sink x" in vault.serve_text()), vault.serve_text())
        vault.must("status", who="officer")


if __name__ == "__main__":
    unittest.main()
