"""The two doors as a stranger, a thief and a careless clerk meet them: what is refused, how and why."""

import base64
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import time
import unittest

from vault import door, needs_door, Vault

PERSON = 1
STREET = "测试市测试路1号"


@needs_door
class DoorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.vault = cls.enterClassContext(Vault())
        rows = "".join(f"测试{i:03d},1380013{i:04d},1980-01-31,{STREET}\n" for i in range(120))
        cls.vault.import_csv("person", "name,phone,dob,address\n" + rows)
        cls.clerk = cls.vault.door()

    def ticket(self, **options):
        return door.sign_ticket(self.clerk.credential, PERSON, **options)

    def find(self, ticket, phone="13800130001", by=None, **more):
        return (by or self.clerk).find(PERSON, [("phone", phone)], ticket=ticket, **more)

    def assert_refused(self, reply, status, code, ours, text):
        self.assertEqual((reply.status, reply.code, reply.headers["strongroom-code"]), (status, code, ours), reply.body)
        self.assertIn(text, reply.json["message"])
        self.assertNotIn("records", reply.json)
        self.assertNotIn("13800130001", reply.body.decode())


@needs_door
class Transport(DoorTest):
    def address(self, which="gateway"):
        host, _, port = self.vault.ports[which].rpartition(":")
        return host, int(port)

    def test_plain_http_is_hung_up_on(self):
        for which in ("gateway", "keyserver"):
            with socket.create_connection(self.address(which), 30) as plain:
                plain.settimeout(30)
                plain.sendall(b"POST /strongroom.v1.VaultService/Find HTTP/1.1\r\n"
                              b"host: x\r\ncontent-length: 2\r\n\r\n{}")
                answer = b""
                try:
                    while piece := plain.recv(4096):
                        answer += piece
                except ConnectionResetError:
                    pass
            self.assertNotIn(b"HTTP/", answer)

    def test_tls_before_1_3_is_refused(self):
        context = self.clerk.credential.tls()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            with socket.create_connection(self.address(), 30) as raw, \
                    context.wrap_socket(raw, server_hostname=self.address()[0]):
                pass

    def test_a_client_that_does_not_trust_the_certificate_refuses(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            with socket.create_connection(self.address(), 30) as raw, \
                    ssl.create_default_context().wrap_socket(raw, server_hostname=self.address()[0]):
                pass

    def test_the_command_line_refuses_a_server_of_another_authority(self):
        other = self.vault.path("other")
        self.vault.must("init", other, "--dev", who=None)
        with open(os.path.join(other, "credentials", "clerk.json"), encoding="utf-8") as file:
            stranger = json.load(file)
        with open(self.vault.credential("clerk"), encoding="utf-8") as file:
            credential = json.load(file)
        credential["ca_pem"] = stranger["ca_pem"]
        path = self.vault.write("mixed.json", json.dumps(credential))
        outcome = self.vault.run("find", "person", "phone=13800130001", "--purpose", "service", who=path)
        self.assertEqual((outcome.status, outcome.stdout), (1, ""))
        self.assertIn("certificate is not of the expected authority", outcome.stderr)
        self.assertEqual(outcome.stderr.count("\n"), 1)

    def test_malformed_calls_are_refused_before_they_are_read(self):
        path = door.VAULT + "Find"
        self.assertEqual(self.clerk.post(door.VAULT + "Steal", b"{}").status, 404)
        self.assertEqual(self.clerk.post(path + "?phone=1", b"{}").status, 404)
        self.assertEqual(self.clerk.post(path, b"{}", {"content-type": "text/plain"}).status, 415)
        self.assertEqual(self.clerk.post(path, b"{}", {"content-encoding": "gzip"}).status, 501)
        self.assertEqual(self.clerk.post(path, b'{"drop": 1}').code, "invalid_argument")
        self.assertEqual(self.clerk.post(path, b"not json").code, "invalid_argument")
        self.assertEqual(self.clerk.post(path, b"\xff\xff", {"content-type": "application/proto"}).code,
                         "invalid_argument")

    def test_an_oversized_body_is_refused(self):
        host, port = self.address()
        head = b"POST /strongroom.v1.VaultService/Find HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        with socket.create_connection((host, port), 60) as raw, \
                self.clerk.credential.tls().wrap_socket(raw, server_hostname=host) as tls:
            tls.sendall(head + b"content-length: 40000000\r\n\r\n")
            try:
                for _ in range(40):
                    tls.sendall(b" " * 1_000_000)
            except (ConnectionError, ssl.SSLError):
                pass  # It may hang up before all of it has come.
            answer = b""
            try:
                answer = tls.recv(4096)
            except (ConnectionError, ssl.SSLError):
                pass
            self.assertTrue(answer == b"" or b" 413 " in answer, answer)
        self.assertEqual(self.find(self.ticket()).status, 200)

    @unittest.skipUnless(shutil.which("curl"), "curl is not installed")
    def test_curl_finds_a_record(self):
        ca = self.vault.write("ca.pem", self.clerk.credential.ca_pem)
        body = self.vault.write("find.json", json.dumps({
            "ticket": self.ticket(), "request_id": door.b64(os.urandom(16)),
            "terms": [{"field": "phone", "value": "13800130001"}]}))
        outcome = subprocess.run(
            ["curl", "-sS", "--cacert", ca, "--tlsv1.3", "-H", "content-type: application/json", "--data", "@" + body,
             f"https://{self.vault.ports['gateway']}{door.VAULT}Find"], capture_output=True, timeout=60)
        self.assertEqual(outcome.returncode, 0, outcome.stderr)
        self.assertEqual(json.loads(outcome.stdout)["records"][0]["fields"]["name"], "测试001")

    def test_binary_protobuf_finds_the_same_and_is_refused_in_json(self):
        def request(ticket):
            term = door.field(1, "phone") + door.field(3, "13800130001")
            return (door.field(1, door.ticket_as_proto(ticket)) + door.field(2, os.urandom(16)) + door.field(3, term))
        binary = {"content-type": "application/proto"}
        reply = self.clerk.post(door.VAULT + "Find", request(self.ticket()), binary)
        self.assertEqual((reply.status, reply.headers["content-type"]), (200, "application/proto"))
        record = next(door.parse(value) for number, value in door.parse(reply.body) if number == 1)
        pairs = [dict(door.parse(value)) for number, value in record if number == 2]
        fields = {pair[1]: pair[2] for pair in pairs}
        self.assertEqual(fields[b"name"].decode(), "测试001")
        refused = self.clerk.post(door.VAULT + "Find", request(self.ticket(gateway="gw2")), binary)
        self.assertEqual(refused.headers["content-type"], "application/json")
        self.assert_refused(refused, 401, "unauthenticated", "unauthenticated", "another gateway")


@needs_door
class Tickets(DoorTest):
    def assert_unauthenticated(self, ticket, text):
        self.assert_refused(self.find(ticket), 401, "unauthenticated", "unauthenticated", text)

    def test_a_good_ticket_is_good_for_several_searches(self):
        ticket = self.ticket()
        for _ in range(2):
            self.assertEqual(self.find(ticket).json["records"][0]["fields"]["name"], "测试001")

    def test_no_ticket(self):
        reply = self.clerk.call("Find", {"requestId": door.b64(os.urandom(16)),
                                         "terms": [{"field": "phone", "value": "13800130001"}]})
        self.assert_refused(reply, 401, "unauthenticated", "unauthenticated", "needs a ticket")
        self.assertNotIn("records", reply.json)

    def test_an_expired_one(self):
        self.assert_unauthenticated(self.ticket(issued_ms=int(time.time() * 1000) - 7_200_000), "expired")

    def test_one_from_the_future(self):
        self.assert_unauthenticated(self.ticket(issued_ms=int(time.time() * 1000) + 600_000), "in the future")

    def test_one_that_lives_too_long(self):
        self.assert_unauthenticated(self.ticket(lifetime_ms=3_600_000), "longer than the policy allows")

    def test_another_gateways(self):
        self.assert_unauthenticated(self.ticket(gateway="gw2"), "another gateway")

    def test_another_vaults(self):
        self.assert_unauthenticated(self.ticket(vault=os.urandom(16)), "another vault")

    def test_a_forged_one(self):
        ticket = self.ticket()
        raw = bytearray(base64.b64decode(ticket["signature"]))
        raw[7] ^= 1
        self.assert_unauthenticated({**ticket, "signature": door.b64(bytes(raw))}, "signature")

    def test_one_whose_words_were_changed_after_signing(self):
        ticket = self.ticket(records_max=1)
        raw = door.encode_ticket(self.clerk.credential, PERSON, records_max=1000)
        self.assert_unauthenticated({**ticket, "ticket": door.b64(raw)}, "signature")

    def test_one_signed_by_another_principal(self):
        auditor = self.vault.door("auditor").credential
        self.assert_unauthenticated(door.sign_ticket(auditor, PERSON, principal="clerk"), "signature")

    def test_one_of_nobody(self):
        reply = self.find(self.ticket(principal="mallory"))
        self.assert_refused(reply, 401, "unauthenticated", "unauthenticated", "not registered")

    def test_one_with_a_nonce_that_is_in_use(self):
        nonce = os.urandom(16)
        self.assertEqual(self.find(self.ticket(nonce=nonce)).status, 200)
        self.assert_unauthenticated(self.ticket(nonce=nonce, case="B-2"), "nonce")

    def test_a_spent_one_opens_nothing_more(self):
        ticket = self.ticket(records_max=2)
        for _ in range(2):
            self.assertEqual(len(self.find(ticket).json["records"]), 1)
        self.assert_refused(self.find(ticket), 429, "resource_exhausted", "budget_exhausted", "This ticket is spent")

    def test_one_for_fewer_records_than_asked_opens_none(self):
        reply = self.clerk.find(PERSON, [("address", STREET)], limit=5, ticket=self.ticket(records_max=4))
        self.assert_refused(reply, 429, "resource_exhausted", "budget_exhausted", "This ticket is spent")

    def test_a_request_is_answered_once(self):
        request = {"ticket": self.ticket(), "requestId": door.b64(os.urandom(16)),
                   "terms": [{"field": "phone", "value": "13800130001"}]}
        self.assertEqual(self.clerk.call("Find", request).status, 200)
        self.assert_refused(self.clerk.call("Find", request), 409, "aborted", "replayed", "already answered")
        # Nor after a restart: what was answered is in the log.
        self.vault.restart()
        type(self).clerk = self.vault.door()
        self.assert_refused(self.clerk.call("Find", request), 409, "aborted", "replayed", "already answered")

    def test_a_request_without_an_id(self):
        reply = self.clerk.call("Find",
                                {"ticket": self.ticket(), "terms": [{"field": "phone", "value": "13800130001"}]})
        self.assert_refused(reply, 400, "invalid_argument", "invalid_argument", "request id")


@needs_door
class Policy(DoorTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # A role that may see names but no phones.
        policy = cls.vault.must("policy", "show", who="officer").stdout
        policy = policy.replace("roles:\n", "roles:\n"
                                "  - name: greeter\n"
                                "    grants:\n"
                                "      - collection: person\n"
                                "        purposes: [service]\n"
                                "        groups: [identity]\n"
                                "        search_hidden: [phone]\n"
                                "        actions: [FIND]\n"
                                "        budget: {records_per_hour: 10, records_per_day: 10, searches_per_hour: 100,\n"
                                "                 searches_per_day: 100}\n", 1)
        cls.vault.apply_policy("greeter.yaml", policy)
        cls.greeter = cls.vault.add_principal("greeter", "greeter")

    def assert_denied(self, reply, text):
        self.assert_refused(reply, 403, "permission_denied", "permission_denied", text)

    def assert_command_refused(self, outcome, text):
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        self.assertEqual(outcome.stderr.count("\n"), 1, outcome.stderr)
        self.assertIn(text, outcome.stderr)

    def test_a_purpose_that_is_none(self):
        self.assert_denied(self.find(self.ticket(purpose="curiosity")), "no such purpose")

    def test_a_purpose_of_another_role(self):
        self.assert_denied(self.find(self.ticket(purpose="import")), "not open to your role")

    def test_a_purpose_that_needs_a_case_reference(self):
        self.assert_denied(self.find(self.ticket(case="")), "case reference")
        self.assert_denied(self.find(self.ticket(case="  ")), "case reference")
        outcome = self.vault.run("find", "person", "phone=13800130001", "--purpose", "investigation")
        self.assert_command_refused(outcome, "--case")
        self.assertEqual(self.find(self.ticket(purpose="service", case="")).status, 200)

    def test_a_group_that_is_not_granted(self):
        found = self.vault.json("find", "person", "phone=13800130002", "--purpose", "service", who=self.greeter)
        self.assertEqual(found["records"][0]["fields"], {"name": "测试002", "dob": "1980-01-31"})
        for what in (["--fields", "phone"], ["--fields", "name,phone"], ["--masked"]):
            outcome = self.vault.run("find", "person", "phone=13800130002", "--purpose", "service", *what,
                                     who=self.greeter)
            self.assert_command_refused(outcome, "may not open some of the fields")

    def test_a_hidden_field_is_searched_by_whole_values_if_at_all(self):
        for term, field in (("phone^138", "phone"), ("phone!=13800130001", None), (f"address={STREET}", "address"),
                            ("address!=nowhere", "address")):
            outcome = self.vault.run("find", "person", "name^测", term, "--purpose", "service", "--explain", "--limit", "1",
                                     who=self.greeter)
            if field is None:
                self.assertEqual(outcome.status, 0, outcome)
                self.assertNotIn("postings known", outcome.stderr)
            else:
                self.assert_command_refused(outcome, f"{field}: Your role may not open this field")
        refused = self.vault.run("find", "person", f"address={STREET}", "--purpose", "service", "--json",
                                 who=self.greeter)
        self.assertEqual(json.loads(refused.stdout)["error"]["code"], "search_denied")

    def test_an_action_that_is_not_granted(self):
        outcome = self.vault.run("count", "person", "phone=13800130002", "--purpose", "service", who=self.greeter)
        self.assert_command_refused(outcome, "may not do this")
        found = self.vault.json("find", "person", "phone=13800130002", "--purpose", "service", who=self.greeter)
        outcome = self.vault.run("get", "person", found["records"][0]["id"], "--purpose", "service", who=self.greeter)
        self.assert_command_refused(outcome, "may not")

    def test_who_has_no_grant_finds_nothing(self):
        for who in ("auditor", "officer", "operator", "approver1"):
            for purpose in ("service", "investigation", "import", "audit"):
                outcome = self.vault.run("find", "person", "phone=13800130001", "--purpose", purpose, "--case", "X",
                                         who=who)
                self.assert_command_refused(outcome, "our role")

    def test_a_clerk_neither_imports_nor_administers(self):
        rows = self.vault.write("more.csv", "name\n王五\n")
        for command in (["import", "person", rows], ["import", "person", rows, "--purpose", "service"],
                        ["policy", "apply", self.vault.path("greeter.yaml")], ["principal", "disable", "auditor"],
                        ["log", "tail"], ["status"]):
            outcome = self.vault.run(*command)
            self.assertEqual((outcome.status, outcome.stdout), (1, ""), command)
            self.assertRegex(outcome.stderr, "[Yy]our role")
        self.assertEqual(self.vault.count("person", "name=王五"), 0)

    def test_a_credential_with_another_ones_key(self):
        with open(self.vault.credential("clerk"), encoding="utf-8") as file:
            credential = json.load(file)
        with open(self.vault.credential("auditor"), encoding="utf-8") as file:
            credential["private_key"] = json.load(file)["private_key"]
        path = self.vault.write("stolen.json", json.dumps(credential))
        outcome = self.vault.run("find", "person", "phone=13800130001", "--purpose", "service", who=path)
        self.assertEqual((outcome.status, outcome.stdout), (1, ""))
        self.assertIn("registered key", outcome.stderr)

    def test_a_search_without_terms_or_of_an_unindexed_field(self):
        reply = self.clerk.find(PERSON, [])
        self.assertEqual((reply.status, reply.code), (400, "invalid_argument"))
        reply = self.clerk.find(PERSON, [("salary", "1")])
        self.assertEqual((reply.status, reply.code), (400, "invalid_argument"))

    def test_a_collection_that_is_none(self):
        outcome = self.vault.run("find", "nobody", "phone=13800130001", "--purpose", "service")
        self.assert_command_refused(outcome, "no such collection")


@needs_door
class Budgets(DoorTest):
    def test_the_hundred_and_first_record_in_an_hour_is_refused(self):
        ticket = self.ticket()
        too_many = self.clerk.find(PERSON, [("address", STREET)], limit=51, ticket=ticket)
        self.assert_refused(too_many, 403, "permission_denied", "permission_denied", "more records in one query")
        self.assertEqual(too_many.headers["strongroom-number"], "50")
        ids = []
        for _ in range(2):
            reply = self.clerk.find(PERSON, [("address", STREET)], limit=50, ticket=ticket)
            self.assertEqual((reply.status, reply.json["more"]), (200, True), reply.body)
            ids += [record["id"] for record in reply.json["records"]]
        self.assertEqual(len(ids), 100)
        reply = self.find(ticket)
        self.assert_refused(reply, 429, "resource_exhausted", "budget_exhausted", "")
        # The window moves in steps, so it may be a step more than an hour.
        self.assertTrue(3000 < int(reply.headers["retry-after"]) <= 3700, reply.headers["retry-after"])
        self.assertTrue(3_000_000 < int(reply.headers["strongroom-retry-after-ms"]) <= 3_700_000)

        # Neither a new ticket, nor get, nor another case, nor a restart gives more.
        self.assert_refused(self.find(self.ticket(case="B-2")), 429, "resource_exhausted", "budget_exhausted", "")
        got = self.clerk.call("Get", {"ticket": self.ticket(), "requestId": door.b64(os.urandom(16)), "ids": ids[:1]})
        self.assert_refused(got, 429, "resource_exhausted", "budget_exhausted", "")
        self.vault.restart()
        outcome = self.vault.run("find", "person", "phone=13800130001", "--purpose", "investigation", "--case", "A-1")
        self.assertEqual((outcome.status, outcome.stdout, outcome.stderr.count("\n")), (1, "", 1))
        self.assertRegex(outcome.stderr, r"again in \d+ min")

        # Another purpose has a budget of its own, and counting opens nothing.
        self.assertEqual(len(self.vault.find("person", "phone=13800130001", purpose="service")["records"]), 1)
        self.assertEqual(self.vault.count("person", f"address={STREET}"), 120)


@needs_door
class SearchBudgets(DoorTest):
    def test_searches_are_limited_too(self):
        policy = self.vault.must("policy", "show", who="officer").stdout
        policy = policy.replace("searches_per_hour: 600", "searches_per_hour: 3")
        self.vault.must("policy", "apply", self.vault.write("few.yaml", policy), who="officer")
        clerk = self.vault.door()
        ticket = door.sign_ticket(clerk.credential, 3, purpose="service")
        for _ in range(3):
            self.assertEqual(clerk.count(3, [("tracking_no", "A1")], ticket=ticket).status, 200)
        reply = clerk.count(3, [("tracking_no", "A1")], ticket=ticket)
        self.assertEqual((reply.status, reply.code), (429, "resource_exhausted"))
        self.assertIn("retry-after", reply.headers)


@needs_door
class Administration(DoorTest):
    def admin(self, who="auditor"):
        return self.vault.door(who)

    def test_an_unsigned_call_is_refused(self):
        at = self.clerk.credential.keyserver_at
        for headers in ({}, {"strongroom-authorization": "v1 auditor 0 AAAA AAAA"}):
            reply = self.admin().post(door.ADMIN + "LogCheckpoint", b"{}", headers, at)
            self.assertEqual((reply.status, reply.code), (401, "unauthenticated"))

    def test_a_call_is_answered_once_and_its_answer_is_signed(self):
        import hashlib
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        auditor = self.admin()
        path, nonce, t_ms = door.ADMIN + "LogCheckpoint", os.urandom(16), int(time.time() * 1000)
        signed = (b"strongroom admin v1\0" + auditor.credential.vault + struct.pack(">Q", t_ms) + nonce +
                  hashlib.sha256(path.encode()).digest() + hashlib.sha256(b"{}").digest())
        header = {"strongroom-authorization":
                  f"v1 auditor {t_ms} {door.b64(nonce)} {door.b64(auditor.credential.key.sign(signed))}"}
        reply = auditor.post(path, b"{}", header, auditor.credential.keyserver_at)
        self.assertEqual(reply.status, 200)
        Ed25519PublicKey.from_public_bytes(auditor.credential.log_key).verify(
            base64.b64decode(reply.headers["strongroom-signature"]),
            b"strongroom reply v2\0" + hashlib.sha256(header["strongroom-authorization"].encode()).digest() +
            b"\1" + hashlib.sha256(path.encode()).digest() + hashlib.sha256(b"{}").digest() +
            struct.pack(">HIII", 200, 0, 0, 0) + hashlib.sha256(reply.body).digest())
        again = auditor.post(path, b"{}", header, auditor.credential.keyserver_at)
        self.assertEqual((again.status, again.code), (409, "aborted"))
        other_path = auditor.post(door.ADMIN + "ShowPolicy", b"{}", header, auditor.credential.keyserver_at)
        self.assertEqual(other_path.status, 401)

    def test_the_gateway_does_not_serve_what_is_the_key_servers(self):
        self.assertEqual(self.clerk.post(door.ADMIN + "ShowPolicy", b"{}").status, 404)

    def test_roles_keep_to_their_powers(self):
        self.assertEqual(self.admin("clerk").admin("LogEntries", {"count": 1}).code, "permission_denied")
        self.assertEqual(self.admin("auditor").admin("ApplyPolicy", {"policy": {}}).code, "permission_denied")
        self.assertEqual(self.admin("auditor").admin("DisablePrincipal", {"name": "clerk"}).code, "permission_denied")


if __name__ == "__main__":
    unittest.main(verbosity=2)
