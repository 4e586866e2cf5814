"""Both doors as any client sees them: HTTPS, Connect calls, tickets signed by hand.

Written from docs/spec/ticket.md and docs/spec/wire.md alone, with no code of strongroom's. Needs `cryptography`.
"""

import base64
import hashlib
import http.client
import json
import os
import ssl
import struct
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VAULT = "/strongroom.v1.VaultService/"
ADMIN = "/strongroom.v1.AdminService/"


# -- protobuf, the little of it that is needed ----------------------------------------------------


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def field(number, value):
    """One field: a non-negative integer, text or bytes. Absent where it is empty, as proto3 has it."""
    if isinstance(value, str):
        value = value.encode()
    if not value:
        return b""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def _take_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def parse(data):
    """[(field number, value)]: integers, or bytes for everything with a length."""
    out, at = [], 0
    while at < len(data):
        key, at = _take_varint(data, at)
        if key & 7 == 0:
            value, at = _take_varint(data, at)
        elif key & 7 == 2:
            size, at = _take_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError("a wire type that strongroom does not use")
        out.append((key >> 3, value))
    return out


def b64(data):
    return base64.b64encode(data).decode()


# -- credentials and tickets ----------------------------------------------------------------------


class Credential:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            raw = json.load(file)
        self.principal = raw["principal"]
        self.vault = bytes.fromhex(raw["vault"])
        self.gateway = raw["gateway"]
        self.gateway_at = raw["gateway_at"]
        self.keyserver_at = raw["keyserver_at"]
        self.ca_pem = raw["ca_pem"]
        self.log_key = base64.b64decode(raw["log_key"])
        self.key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(raw["private_key"]))

    def tls(self):
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


def encode_ticket(credential, collection, purpose="investigation", case="A-2026-117", records_max=1000,
                  lifetime_ms=600_000,
                  issued_ms=None, nonce=None, **other):
    """The bytes of a Ticket. `other` overrides vault, gateway or principal."""
    issued_ms = issued_ms or int(time.time() * 1000)
    return b"".join((field(1, other.get("vault", credential.vault)), field(2, other.get("gateway", credential.gateway)),
                     field(3, other.get("principal", credential.principal)), field(4, purpose), field(5, case),
                     field(6, collection), field(7, records_max), field(8, nonce or os.urandom(16)),
                     field(9, issued_ms + lifetime_ms), field(10, issued_ms)))


def sign_ticket(credential, *args, **options):
    """A SignedTicket in its JSON form."""
    ticket = encode_ticket(credential, *args, **options)
    return {"ticket": b64(ticket), "signature": b64(credential.key.sign(b"strongroom ticket v1\0" + ticket))}


def ticket_as_proto(ticket):
    return field(1, base64.b64decode(ticket["ticket"])) + field(2, base64.b64decode(ticket["signature"]))


def authorization(credential, path, body, nonce=None):
    """The header under which somebody signs a call of the administration."""
    nonce, t_ms = nonce or os.urandom(16), int(time.time() * 1000)
    signed = b"strongroom admin v1\0" + credential.vault + struct.pack(">Q", t_ms) + nonce
    signed += hashlib.sha256(path.encode()).digest() + hashlib.sha256(body).digest()
    return f"v1 {credential.principal} {t_ms} {b64(nonce)} {b64(credential.key.sign(signed))}"


# -- calls ----------------------------------------------------------------------------------------


class Reply:
    """Status, headers and body of an answer."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """Connect's code of a refusal; None if it was granted."""
        return None if self.status == 200 else self.json["code"]


class Door:
    """One keep-alive connection to each of a vault's two doors."""

    def __init__(self, credential_path, source=None):
        """source: the address to call from."""
        self.credential = Credential(credential_path)
        self._source = source and (source, 0)
        self._connections = {}
        self._tickets = {}

    def close(self):
        for connection in self._connections.values():
            connection.close()
        self._connections = {}

    def _connection(self, at):
        if at not in self._connections:
            host, _, port = at.rpartition(":")
            self._connections[at] = http.client.HTTPSConnection(host, int(port), timeout=120,
                                                                context=self.credential.tls(),
                                                                source_address=self._source)
        return self._connections[at]

    def post(self, path, body, headers=None, at=None):
        at = at or self.credential.gateway_at
        connection = self._connection(at)
        try:
            connection.request("POST", path, body, {"content-type": "application/json", **(headers or {})})
            return Reply(connection.getresponse())
        except (OSError, http.client.HTTPException):
            connection.close()
            self._connections.pop(at, None)
            raise

    def ticket(self, collection, **options):
        """A ticket used for many calls, signed anew before it expires."""
        key = (collection, *sorted(options.items()))
        made, ticket = self._tickets.get(key, (0, None))
        if time.monotonic() - made > 300 or ticket is None:
            ticket = sign_ticket(self.credential, collection, records_max=10**9, **options)
            self._tickets[key] = (time.monotonic(), ticket)
        return ticket

    def call(self, method, message):
        """A Connect call in JSON. The reply, whatever it is."""
        return self.post(VAULT + method, json.dumps(message).encode())

    def find(self, collection, terms, limit=20, ticket=None, **more):
        """terms: [(field, value)]. The Reply."""
        return self.call("Find", {"ticket": ticket or self.ticket(collection), "requestId": b64(os.urandom(16)),
                                  "terms": [{"field": f, "value": v} for f, v in terms], "limit": limit, **more})

    def count(self, collection, terms, ticket=None):
        return self.call("Count", {"ticket": ticket or self.ticket(collection), "requestId": b64(os.urandom(16)),
                                   "terms": [{"field": f, "value": v} for f, v in terms]})

    def admin(self, method, message):
        """A signed call to the key server's own listener."""
        path, body = ADMIN + method, json.dumps(message).encode()
        header = authorization(self.credential, path, body)
        return self.post(path, body, {"strongroom-authorization": header}, self.credential.keyserver_at)


def log_entries(auditor, first=0):
    """All entries of the release log from `first` on, through an auditor's Door: (leaf, type, items in base64)."""
    while True:
        reply = auditor.admin("LogEntries", {"first": str(first), "count": 200})
        if reply.status != 200:
            raise AssertionError(f"the log cannot be read: {reply.body!r}")
        answer = reply.json
        for entry in answer.get("entries", []):
            leaf = int(entry.get("leaf", 0))
            yield leaf, entry["type"], entry.get("items", [])
            first = leaf + 1
        if first >= int(answer["size"]):
            return


def releases(auditor, first=0):
    """{leaf: [record index]} of all releases in the log."""
    out = {}
    for leaf, kind, items in log_entries(auditor, first):
        if kind == "release":
            out[leaf] = [dict(parse(value)).get(1, 0) for item in items
                         for number, value in parse(base64.b64decode(item)) if number == 2]
    return out
