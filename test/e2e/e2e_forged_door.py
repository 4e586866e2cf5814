"""A false door: somebody between the command line and the key server who has stolen the authority's key, so that TLS
believes them. What the vault's own key has not signed must never pass for the vault's answer."""

import base64
import collections
import datetime
import hashlib
import http.client
import http.server
import ipaddress
import json
import os
import re
import ssl
import struct
import sys
import threading
import time
import unittest

from e2e_founding import encode
from vault import door, SOURCE, Vault

if door:
    from cryptography.exceptions import InvalidSignature
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PHONE = "13800130001"
LIST = ("officer", "principal", "list")
DISABLE = ("officer", "principal", "disable", "operator")
FIND = ("clerk", "find", "person", f"phone={PHONE}", "--purpose", "service")
STATUS = ("officer", "status")

SEALED = ("the vault is sealed; its share holders open it with `strongroom unseal` "
          "(not verified: a sealed vault cannot sign what it says)")
NOT_VERIFIED = "not verified: a sealed vault cannot sign what it says\n"
NOT_SIGNED = "not signed by this vault's key"
SIGNATURE = "strongroom-signature"
SHARE = encode(bytes([1, 1, 2]) + bytes(48)).encode()
# Connect's code and the HTTP status of each of our codes: docs/spec/wire.md.
CODES = {
    "invalid_argument": ("invalid_argument", 400), "unauthenticated": ("unauthenticated", 401),
    "permission_denied": ("permission_denied", 403), "budget_exhausted": ("resource_exhausted", 429),
    "replayed": ("aborted", 409), "conflict": ("aborted", 409), "too_broad": ("out_of_range", 400),
    "not_found": ("not_found", 404), "already_exists": ("already_exists", 409),
    "failed_precondition": ("failed_precondition", 400), "unavailable": ("unavailable", 503),
    "log_unavailable": ("unavailable", 503), "data_loss": ("data_loss", 500), "no_space": ("resource_exhausted", 429),
    "deadline_exceeded": ("deadline_exceeded", 504), "internal": ("internal", 500)}


# -- calls and replies ----------------------------------------------------------------------------


class Reply(collections.namedtuple("Reply", "status headers body")):
    def having(self, **headers):
        """With other headers; None leaves one out."""
        changed = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._replace(headers={name: value for name, value in changed.items() if value is not None})


def success(body):
    return Reply(200, {"content-type": "application/proto"}, body)


def refusal(code, text="so says the door"):
    connect, status = CODES[code]
    return Reply(status, {"content-type": "application/json", "strongroom-code": code},
                 json.dumps({"code": connect, "message": text}).encode())


def put(text):
    return struct.pack(">I", len(text)) + text.encode()


class Call:
    """A call of the administration, as it came through the false door."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.method = path.rpartition("/")[2]
        self.nonce = base64.b64decode(headers["strongroom-authorization"].split(" ")[3])

    def message(self, reply):
        """What is signed under a reply, by docs/spec/ticket.md."""
        header = self.headers["strongroom-authorization"]
        code, number, retry = (reply.headers.get("strongroom-" + name, "")
                               for name in ("code", "number", "retry-after-ms"))
        return (b"strongroom reply v2\0" + hashlib.sha256(header.encode()).digest()
                + bytes([self.headers["content-type"] == "application/json"])
                + hashlib.sha256(self.path.encode()).digest() + hashlib.sha256(self.body).digest()
                + struct.pack(">H", reply.status) + put(code) + put(number) + put(retry)
                + hashlib.sha256(reply.body).digest())

    def signed(self, key, reply):
        return reply.having(strongroom_signature=door.b64(key.sign(self.message(reply))))


def relay(call, authorization=None, path=None, body=None, **others):
    """What the true key server says to a call, or to another one in its place."""
    connection = http.client.HTTPSConnection(*vault.ports["keyserver"].split(":"), timeout=30,
                                             context=door.Credential(vault.credential("clerk")).tls())
    headers = {name: call.headers[name] for name in ("content-type", "strongroom-authorization")}
    if authorization:
        headers["strongroom-authorization"] = authorization
    headers.update((name.replace("_", "-"), value) for name, value in others.items())
    try:
        connection.request("POST", path or call.path, call.body if body is None else body, headers)
        response = connection.getresponse()
        kept = {k: v for k, v in response.getheaders() if k.startswith("strongroom-") or k == "content-type"}
        return Reply(response.status, kept, response.read())
    finally:
        connection.close()


def relay_own(who, call, path=None, body=None):
    """What the true key server says to somebody else's call under the nonce of this one."""
    path, body = path or call.path, call.body if body is None else body
    return relay(call, door.authorization(door.Credential(vault.credential(who)), path, body, call.nonce), path, body)


# -- the door -------------------------------------------------------------------------------------


def certificate(authority, address="127.0.0.1"):
    """A server certificate and its key, signed by the stolen authority of a vault. The path of the file."""
    with open(os.path.join(authority, "keyserver", "ca.pem"), "rb") as file:
        issuer = x509.load_pem_x509_certificate(file.read())
    with open(os.path.join(authority, "keyserver", "ca.key"), "rb") as file:
        issuer_key = serialization.load_pem_private_key(file.read(), None)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "strongroom server")]))
            .issuer_name(issuer.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
            .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(issuer_key, hashes.SHA256()))
    return vault.write("false-door.pem", made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


class FalseDoor(http.server.ThreadingHTTPServer):
    """Listens while in its `with`. answer(call) makes the Reply to each call."""

    daemon_threads = False  # So that closing waits for them.

    def __init__(self, certificate_path):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.load_cert_chain(certificate_path)
        self.answer = None
        self.methods = []  # Of the calls that came.
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def finish_request(self, request, client_address):
        request.settimeout(30)
        with self.tls.wrap_socket(request, server_side=True) as tls:
            super().finish_request(tls, client_address)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # A client may hang up on this door.
            super().handle_error(request, client_address)

    def leads(self, who):
        """The path of somebody's credential that has this door in the key server's place."""
        with open(vault.credential(who), encoding="utf-8") as file:
            credential = json.load(file)
        credential["keyserver_at"] = f"127.0.0.1:{self.server_port}"
        return vault.write(f"led-{self.server_port}-{who}.json", json.dumps(credential))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        call = Call(self.path, self.headers, self.rfile.read(int(self.headers["content-length"])))
        self.server.methods.append(call.method)
        reply = self.server.answer(call)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(reply.body)
        self.close_connection = True

    def log_message(self, *_):
        pass


# -- one vault and one false door for all tests ---------------------------------------------------


def setUpModule():
    global vault, false_door, led, genuine, commands
    if not door:
        raise unittest.SkipTest("python3-cryptography is not installed")
    vault = unittest.enterModuleContext(Vault())
    # The second is erased below. It must be no canary, which would freeze whoever does it: those are planted later, anywhere.
    vault.import_csv("person", f"name,phone,dob,address\n测试,{PHONE},1980-01-31,测试市测试路1号\n"
                     "测试,13800130009,1980-01-31,测试市测试路9号\n")
    vault.allow_export()
    false_door = unittest.enterModuleContext(FalseDoor(certificate(vault.dir)))
    led = {who: false_door.leads(who) for who in ("officer", "operator", "clerk", "auditor", "approver1", "privacy")}
    # Everything once through a door that passes all on: so each command works, and its genuine reply is known.
    genuine = {}
    log_key = [Ed25519PublicKey.from_public_bytes(door.Credential(vault.credential("clerk")).log_key)]

    def record(call):
        reply = genuine[call.method] = relay(call)
        if call.method == "LogKeys":
            verifier_keys = re.findall(rb"\n\S+\+[0-9a-f]{8}\+(\S+)", reply.body)
            log_key[1:] = [Ed25519PublicKey.from_public_bytes(base64.b64decode(key)[1:]) for key in verifier_keys[-1:]]
        try:
            log_key[-1].verify(base64.b64decode(reply.headers[SIGNATURE]), call.message(reply))
        except InvalidSignature:  # The log's key has changed: its client finds that out in the next call.
            genuine.pop(call.method)
        return reply

    false_door.answer = record
    commands = every_command()
    for who, *command in commands:
        vault.must(*command, who=led[who])
    commands += destruction_commands()
    commands += log_key_commands()
    commands += root_commands()


def every_command():
    """(who, command...) for all that talk to the key server; that of `status` first."""
    for name in ("mallory", "other"):
        vault.must("key", "new", "-o", vault.path(name + ".key"), who=None)
    policy = vault.must("policy", "show", who="officer").stdout.replace("title: Clerk", "title: Clerks")
    person = vault.must("collection", "show", "person", who="operator").stdout.replace("title: People", "title: All")
    rows = vault.write("more.csv", "name,phone,dob,address\n试,13800130002,1981-01-31,x\n")
    canaries = vault.write("canaries.csv", vault.generate("person", 50, 9))
    backup = vault.json("backup", vault.path("backup"), who="operator")["id"]
    add = ("principal", "add", "mallory", "--role", "auditor", "--public-key", vault.path("mallory.key.pub"))
    return [
        STATUS, LIST, FIND,
        ("officer", *add),
        ("officer", "principal", "disable", "approver2"),
        ("officer", "principal", "rekey", "approver2", "--public-key", vault.path("other.key.pub")),
        ("officer", "requests"),
        ("approver1", "approve", "2", "--yes"),
        ("officer", "request", "withdraw", "3"),
        ("officer", "freeze", "purpose:none"),
        ("officer", "thaw", "purpose:none"),
        ("clerk", "me"),
        ("auditor", "principal", "review"),
        ("auditor", "alarms"),
        ("operator", "canary", "plant", "person", "--count", "2", "--into", canaries),
        ("auditor", "canary", "test"),
        ("auditor", "review"),
        ("auditor", "review", "--accept"),
        ("officer", "policy", "show"),
        ("officer", "policy", "apply", vault.write("policy.yaml", policy)),
        ("operator", "collection", "list"),
        ("operator", "collection", "show", "person"),
        ("operator", "collection", "apply", vault.write("person.yaml", person)),
        ("operator", "import", "person", rows),
        ("operator", "backup", "--destroyed", backup),
        ("auditor", "log", "tail"),
        ("auditor", "log", "checkpoint"),
        ("auditor", "log", "verify"),
        ("operator", "export", "person", f"phone={PHONE}", "--fields", "name", "--records", "1", "--purpose", "exports",
         "--case", "R-1", "-o", vault.path("people.csv")),
        ("auditor", "policy", "review"),
        ("clerk", "count", "person", f"phone={PHONE}", "--purpose", "service"),
        ("clerk", "get", "person", "0000000000", "--purpose", "service"),
        ("clerk", "erase", "person", "0000000001", "--purpose", "erasure", "--case", "E-2026-1", "--yes", "--statement",
         vault.path("erasure.tlog-proof")),
        ("privacy", "subject", "report", "person", "--id", "0000000000", "--purpose", "subject-access", "--case",
         "SAR-2026-1"),
        ("privacy", "hold", "place", "C-1", "person", "0000000000"),
        ("auditor", "hold", "list"),
        ("privacy", "hold", "lift", "C-1"),
        ("operator", "collection", "renew-terms", "person"),
        ("privacy", "subject", "lift-embargo", "--purpose", "investigation", "--case", "A-1", "--reason", "an order"),
    ]


def destruction_commands():
    """Old records: asked for, scheduled, cancelled."""
    time.sleep(1.1)  # --before has whole seconds.
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    request = ("operator", "destruction", "request", "person", "--before", before)
    number = vault.json(*request[1:], who=led["operator"])["request"]
    for who in ("approver1", "approver3"):
        vault.must("approve", number, "--yes", who=who)
    listed = vault.json("destruction", "list", who=led["auditor"])["destructions"][0]["id"]
    vault.must("destruction", "cancel", listed, who=led["officer"])
    return [request, ("auditor", "destruction", "list"), ("officer", "destruction", "cancel", listed)]


def log_key_commands():
    """The log's key: changed, and the old one ended."""
    change = ("officer", "log", "key", "change")
    number = vault.json(*change[1:], who=led["officer"])["request"]
    for who in ("approver1", "approver3"):
        vault.must("approve", number, "--yes", who=who)
    deadline = time.monotonic() + 60
    while not vault.json("log", "key", "show", who=led["clerk"])["changing"]:
        assert time.monotonic() < deadline, "the key does not change"
        time.sleep(0.2)
    vault.must("log", "key", "finish", who=led["officer"])
    return [change, ("clerk", "log", "key", "show"), ("officer", "log", "key", "finish")]


def root_commands():
    """Those of a change of the root key, begun and left open. A vault that opens itself is not sealed: its reply is made up."""
    change = ("officer", "root", "change", "--holder", "clerk", "--holder", "officer", "--threshold", "1")
    request = vault.json(*change[1:], who=led["officer"])["request"]
    for who in ("approver1", "approver3"):
        vault.must("approve", request, "--yes", who=who)
    share = vault.json("root", "take", who=led["clerk"])["share"]
    vault.must("root", "confirm", who=led["clerk"], stdin=share.encode())
    genuine["Seal"] = success(b"")
    return [change, ("clerk", "root", "take"), ("clerk", "root", "confirm"), ("officer", "seal")]


class Test(unittest.TestCase):
    def run_led(self, who, *command, **options):
        false_door.methods.clear()
        outcome = vault.run(*command, who=led[who], **options)
        first, *more = false_door.methods
        self.assertIn(more, ([], ["LogKeys"]), "it asks once, and whether the key has changed, and no more")
        self.assertTrue(first)
        return outcome

    def assert_failed(self, outcome, text):
        self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)
        self.assertEqual(outcome.stderr.count("\n"), 1, outcome)
        self.assertIn(text, outcome.stderr)

    def assert_not_believed(self, answer, *of):
        """None of the commands takes such an answer for the vault's."""
        false_door.answer = answer
        for who, *command in of:
            with self.subTest(command=command[:2]):
                self.assert_failed(self.run_led(who, *command), NOT_SIGNED)


class Successes(Test):
    def test_a_door_that_passes_all_on_is_believed(self):
        """So what the other tests see refused is refused for its signature, and no call is forgotten."""
        with open(os.path.join(SOURCE, "proto", "strongroom", "v1", "admin.proto"), encoding="utf-8") as file:
            calls = set(re.findall(r"rpc (\w+)\(", file.read()))
        # ProveReport takes a witness; what it says is checked against the log's key besides.
        self.assertEqual(set(genuine), calls - {"Unseal", "ProveReport"})
        self.assertEqual({reply.status for reply in genuine.values()}, {200})

    def test_an_unsigned_one_is_refused(self):
        self.assert_not_believed(lambda call: genuine[call.method].having(strongroom_signature=None), *commands[1:])

    def test_an_unsigned_one_is_refused_in_json_and_no_file_is_written(self):
        false_door.answer = lambda call: genuine[call.method].having(strongroom_signature=None)
        path = vault.path("trudy.json")
        outcome = self.run_led("officer", "principal", "add", "trudy", "--role", "auditor", "--public-key",
                               vault.path("mallory.key.pub"), "-o", path, "--json")
        self.assertEqual((outcome.status, outcome.stderr), (1, ""))
        error = json.loads(outcome.stdout)["error"]
        self.assertEqual(error["code"], "unauthenticated")
        self.assertIn(NOT_SIGNED, error["message"])
        self.assertFalse(os.path.exists(path))

    def test_one_signed_by_another_key_is_refused(self):
        key = Ed25519PrivateKey.generate()
        self.assert_not_believed(lambda call: call.signed(key, genuine[call.method]), *commands)

    def test_one_signed_by_the_callers_own_key_is_refused(self):
        key = door.Credential(vault.credential("officer")).key
        self.assert_not_believed(lambda call: call.signed(key, genuine[call.method]), LIST)

    def test_one_with_a_signature_that_is_none_is_refused(self):
        for text in ("", "=", "AAAA", door.b64(bytes(64)), door.b64(bytes(65)), "x" * 8000):
            self.assert_not_believed(lambda call, s=text: genuine[call.method].having(strongroom_signature=s), LIST)

    def test_one_altered_under_its_genuine_signature_is_refused(self):
        def altered(call):
            reply = relay(call)
            return reply._replace(body=reply.body.replace(b"operator", b"operatox"))
        self.assert_not_believed(altered, LIST)

    def test_the_genuine_one_to_an_earlier_call_is_refused(self):
        self.assert_not_believed(lambda call: genuine[call.method], *commands)

    def test_the_genuine_one_to_another_method_is_refused(self):
        self.assert_not_believed(lambda call: genuine["ListCollections"], LIST, DISABLE)
        self.assert_not_believed(lambda call: relay_own("clerk", call, door.ADMIN + "ShowPolicy", b""), LIST, FIND)

    def test_a_genuine_refusal_dressed_as_one_is_refused(self):
        def dressed(call):
            reply = relay_own("clerk", call)
            self.assertEqual(reply.status, 403)
            return success(reply.body).having(strongroom_signature=reply.headers[SIGNATURE])
        false_door.answer = dressed
        for who, *command in (LIST, DISABLE):
            outcome = self.run_led(who, *command)
            self.assertEqual((outcome.status, outcome.stdout), (1, ""), outcome)

    def test_a_thiefs_own_is_not_the_officers(self):
        """An officer disables the stolen operator. Its thief has another disabled and shows the reply to that."""
        def own(call):
            return relay_own("operator", call, body=door.field(1, "approver2"))
        self.assert_not_believed(own, DISABLE)


class Refusals(Test):
    def test_an_unsigned_one_is_believed_by_no_command(self):
        self.assert_not_believed(lambda call: refusal("permission_denied"), *commands[1:])

    def test_an_unsigned_one_is_believed_under_no_code_but_one(self):
        for code in CODES.keys() - {"unavailable"}:
            with self.subTest(code=code):
                self.assert_not_believed(lambda call, code=code: refusal(code), DISABLE, FIND)

    def test_an_unsigned_not_open_is_believed_as_that_and_nothing_else(self):
        false_door.answer = lambda call: refusal("unavailable", "send your share to evil.example").having(
            strongroom_number="4", strongroom_retry_after_ms="1")
        self.assert_failed(self.run_led(*DISABLE), SEALED)
        for who, *command in commands:
            with self.subTest(command=command[:2]):
                outcome = self.run_led(who, *command, "--json")
                self.assertEqual((outcome.status, outcome.stderr), (1, ""))
                self.assertEqual(json.loads(outcome.stdout).keys(), {"error"})
                error = json.loads(outcome.stdout)["error"]
                error.pop("about", None)  # The file of ours that it was about.
                self.assertEqual(error, {"code": "unavailable", "message": SEALED})

    def test_what_only_looks_like_not_open_is_not_believed(self):
        not_open = refusal("unavailable")
        for reply in (not_open._replace(status=200), not_open._replace(status=500), not_open.having(strongroom_code=None),
                      not_open.having(strongroom_signature=door.b64(bytes(64))),
                      genuine["ListPrincipals"].having(strongroom_signature=None, strongroom_code="unavailable")):
            self.assert_not_believed(lambda call, reply=reply: reply, LIST, DISABLE)

    def test_one_signed_by_another_key_is_not_believed(self):
        key = Ed25519PrivateKey.generate()
        for code in ("unavailable", "permission_denied"):
            self.assert_not_believed(lambda call, code=code: call.signed(key, refusal(code)), LIST, DISABLE)

    def test_a_strangers_own_is_not_the_officers(self):
        def own(call):
            return relay(call, f"v1 nobody {int(time.time() * 1000)} {door.b64(call.nonce)} {door.b64(bytes(64))}")
        self.assert_not_believed(own, LIST)

    def test_a_genuine_success_dressed_as_one_is_not_believed(self):
        def dressed(call):
            return relay(call)._replace(status=403).having(strongroom_code="permission_denied")
        self.assert_not_believed(dressed, LIST)

    def test_the_code_of_a_genuine_one_cannot_be_changed(self):
        false_door.answer = lambda call: relay(call).having(strongroom_code="no_space")
        outcome = self.run_led("officer", "principal", "disable", "nobody", "--json")
        error = json.loads(outcome.stdout)["error"]
        self.assertEqual(error["code"], "unauthenticated")
        self.assertIn(NOT_SIGNED, error["message"])

    def test_the_numbers_of_a_genuine_one_cannot_be_changed(self):
        """Nor left out, nor put in: they say when to come again, and what was spent."""
        for number in ("strongroom_number", "strongroom_retry_after_ms"):
            for text in ("7", "0", "-1"):
                self.assert_not_believed(lambda call: relay(call).having(**{number: text}), LIST,
                                         ("officer", "principal", "disable", "nobody"))

    def test_no_part_of_a_genuine_one_can_be_moved(self):
        def moved(call):
            reply = relay(call)
            return reply.having(strongroom_code=None, strongroom_number=reply.headers.get("strongroom-code"))
        self.assert_not_believed(moved, ("officer", "principal", "disable", "nobody"))

    def test_one_before_the_call_was_looked_at_is_not_believed(self):
        """The call would still be good: who believed it refused would see it carried out a moment later."""
        for others in ({"content_type": "text/plain"}, {"connect_protocol_version": "2"},
                       {"content_type": "application/json"}, {"connect_timeout_ms": "x"}):
            def spoilt(call, others=others):
                reply = relay(call, **others)
                self.assertIn(reply.status, (400, 415))
                return reply
            self.assert_not_believed(spoilt, DISABLE)


class Sealed(Test):
    """A sealed vault has no key to sign with. So it is believed unsigned that it is sealed, and no more than that."""

    def test_a_door_may_say_that_the_vault_is_sealed(self):
        sealed = door.field(1, "0.1.0") + door.field(3, "x") + door.field(5, 1) + door.field(7, 3)
        false_door.answer = lambda call: success(sealed)
        outcome = self.run_led(*STATUS)
        self.assertEqual(outcome.stdout, "x - strongroom 0.1.0\nSEALED: 0 of 3 shares given\n")
        self.assertEqual(outcome.stderr, NOT_VERIFIED)

    def test_nothing_else_that_it_says_with_it_is_shown(self):
        said = door.field(1, "0\x1b[2J") + door.field(3, "\x9b2Jx") + door.field(5, 1) + door.field(7, 3)
        said += door.field(8, 77) + door.field(21, "trust me")
        false_door.answer = lambda call: success(said)
        outcome = self.run_led(*STATUS)
        self.assertEqual(outcome.stdout, " 2Jx - strongroom 0 [2J\nSEALED: 0 of 3 shares given\n")
        shown = json.loads(self.run_led(*STATUS, "--json").stdout)
        self.assertEqual((shown["verified"], shown["sealed"], shown["shares_needed"]), (False, True, 3))
        others = [name for name, value in shown.items() if value not in (False, 0, "0", "", [])]
        self.assertEqual(sorted(others), ["name", "sealed", "shares_needed", "version"])

    def test_what_is_no_status_is_not_that_of_a_sealed_vault(self):
        for body in (b"", b"\x2a", b"SEALED", door.field(5, 1) + b"\xff"):
            self.assert_not_believed(lambda call, body=body: success(body), STATUS)

    def test_it_may_not_say_that_the_vault_is_open(self):
        self.assert_not_believed(lambda call: genuine["Status"].having(strongroom_signature=None), STATUS)

    def test_it_may_not_say_that_the_status_is_refused(self):
        self.assert_not_believed(lambda call: refusal("permission_denied"), STATUS)

    def test_it_may_not_say_that_a_share_opened_the_vault(self):
        false_door.answer = lambda call: success(b"")
        self.assert_failed(self.run_led("officer", "unseal", stdin=b"a share\n"), NOT_SIGNED)
        false_door.answer = lambda call: genuine["Status"]
        self.assert_failed(self.run_led("officer", "unseal", stdin=b"a share\n"), NOT_SIGNED)

    def test_it_may_say_that_a_share_was_taken(self):
        false_door.answer = lambda call: success(door.field(1, 1) + door.field(2, 1) + door.field(3, 2))
        outcome = self.run_led("officer", "unseal", stdin=SHARE + b"\n")
        self.assertEqual(outcome, (0, "Taken: 1 of 2 shares\n", NOT_VERIFIED))
        outcome = self.run_led("officer", "unseal", "--json", stdin=SHARE + b"\n")
        self.assertEqual(json.loads(outcome.stdout),
                         {"verified": False, "sealed": True, "shares_given": 1, "shares_needed": 2})

    def test_it_may_refuse_a_share_only_in_words_that_are_ours(self):
        given = "this share was given already; another one is needed"
        false_door.answer = lambda call: refusal("already_exists", given)
        self.assert_failed(self.run_led("officer", "unseal", stdin=SHARE + b"\n"), given + " (not verified")
        for code, text in (("already_exists", "read it aloud"), ("invalid_argument", given),
                           ("permission_denied", "no"), ("data_loss", "all is lost")):
            with self.subTest(code=code):
                false_door.answer = lambda call, code=code, text=text: refusal(code, text)
                self.assert_failed(self.run_led("officer", "unseal", stdin=SHARE + b"\n"), NOT_SIGNED)
                # What is no share is told without its help.
                self.assert_failed(self.run_led("officer", "unseal", stdin=SHARE[:-1] + b"\n"),
                                   "some are missing or too many")


class Strangers(Test):
    def assert_hears_nothing(self, path):
        with FalseDoor(path) as stranger:
            stranger.answer = lambda call: genuine[call.method]
            for who, *command in (LIST, FIND):
                self.assert_failed(vault.run(*command, who=stranger.leads(who)),
                                   "certificate is not of the expected authority or name")
            self.assertEqual(stranger.methods, [])

    def test_a_door_of_another_authority_hears_nothing(self):
        other = vault.path("other")
        vault.must("init", other, "--dev", who=None)
        self.assert_hears_nothing(certificate(other))

    def test_a_door_of_another_address_hears_nothing(self):
        self.assert_hears_nothing(certificate(vault.dir, "127.0.0.2"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
