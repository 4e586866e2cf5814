#!/usr/bin/python3
"""Verifies a copy of a release log as an outsider can: without a secret, and without strongroom.

log_verify.py FOLDER VERIFIER_KEY [--origin ORIGIN] [--key-changes FILE] [--witness KEY]... [--json]
log_verify.py FILE.tlog-proof VERIFIER_KEY [--origin ORIGIN] [--key-changes FILE] [--witness KEY]... [--json]
log_verify.py REPORT.json VERIFIER_KEY [--origin ORIGIN] [--key-changes FILE] [--witness KEY]... [--json]

FOLDER holds `checkpoint` and `tile/`, and `key-changes` if the log's key was changed; else that file can be named. VERIFIER_KEY is what `strongroom log checkpoint` prints as such:
ORIGIN+hash+base64. Every entry bundle is read, the tree is computed from the entries alone, and compared with
every tile and with the signed checkpoint. A proof is what `strongroom log prove` writes: that one entry, which it
brings in its extra line, is in the log. A report is what `strongroom subject report` writes: each line of it is held
against its entry. Each witness named must have cosigned the checkpoint.
Exit status: 0 it verifies, 1 it does not, 2 usage.

Written from docs/spec/log.md, docs/spec/subject_report.md, c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof and tlog-tiles, and
RFC 6962; it shares no code with src/strongroom/tlog. Needs the standard library and `cryptography` (Debian: python3-cryptography).
"""
import argparse
import base64
import binascii
import hashlib
import hmac
import json
import pathlib
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

WIDTH = 256
ENTRY_SIZE = 49
TYPES = {1: "start", 2: "release", 3: "token", 4: "grant", 5: "policy", 6: "approval", 7: "freeze", 8: "erasure",
         9: "counters", 10: "watch", 11: "report", 13: "keys", 14: "backup"}
NOTE_MAX = 128 * 1024
KEY_CHANGES_MAX = 64 * 1024
RAW = (Encoding.Raw, PublicFormat.Raw)


class Refused(Exception):
    """The log does not verify; the text says where."""


def strict_base64(text):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("base64 that is none") from None
    if base64.b64encode(data).decode() != text:
        raise Refused("base64 that is not canonical")
    return data


def parse_verifier_key(text, kind=1):
    """c2sp.org/signed-note, Verifier keys. Kind 1: a log's, 4: a witness's (tlog-cosignature)."""
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise ValueError("a verifier key is NAME+hash+base64")
    name, key_hash, material = parts[0], bytes.fromhex(parts[1]), base64.b64decode(parts[2], validate=True)
    if len(material) != 33 or material[0] != kind:
        raise ValueError("not an Ed25519 verifier key of " + ("a log" if kind == 1 else "a witness"))
    if hashlib.sha256(name.encode() + b"\n" + material).digest()[:4] != key_hash:
        raise ValueError("the verifier key's hash is not that of its name and key: copied wrongly")
    return name, key_hash, Ed25519PublicKey.from_public_bytes(material[1:])


def parse_note(note):
    """c2sp.org/signed-note: (text, [(name, key hash, signature)])."""
    if len(note) > NOTE_MAX:
        raise Refused("the checkpoint is too large to be one")
    try:
        text = note.decode()
    except UnicodeDecodeError:
        raise Refused("the checkpoint is not UTF-8") from None
    if any(ord(c) < 0x20 and c != "\n" for c in text):
        raise Refused("the checkpoint holds control characters")
    split = text.rfind("\n\n")
    if split < 0 or not text.endswith("\n"):
        raise Refused("the checkpoint has no signatures")
    lines = []
    for line in text[split + 2:].split("\n")[:-1]:
        fields = line.split(" ")
        if len(fields) != 3 or fields[0] != "\u2014" or not fields[1] or "+" in fields[1]:
            raise Refused("a signature line of the checkpoint is malformed")
        signature = strict_base64(fields[2])
        if len(signature) < 5:
            raise Refused("a signature line of the checkpoint is malformed")
        lines.append((fields[1], signature[:4], signature[4:]))
    return text[:split + 1], lines


def verify_note(note, name, key_hash, key):
    """The text of a note signed by `key`; lines of other keys are skipped."""
    body, lines = parse_note(note)
    verified = False
    for line_name, line_hash, signature in lines:
        if line_name != name or line_hash != key_hash:
            continue
        try:
            key.verify(signature, body.encode())
        except InvalidSignature:
            raise Refused("the checkpoint's signature is wrong") from None
        verified = True
    if not verified:
        raise Refused("the checkpoint is not signed by this key")
    return body


class LogKeys:
    """docs/spec/log.md, Keys: who must have signed a checkpoint, by its size."""

    def __init__(self, verifier_key, origin, changes=b""):
        self.name, self.origin = verifier_key[0], origin
        self.keys = [verifier_key[2]]
        self.until = []
        family = "/".join(origin.split("/")[:2])
        try:
            lines = changes.decode().split("\n")
        except UnicodeDecodeError:
            raise Refused("the changes of the key are not UTF-8") from None
        if len(changes) > KEY_CHANGES_MAX or lines.pop() != "" or len(lines) % 9 != 0:
            raise Refused("the changes of the key are cut off, or none")
        before = ""
        for at in range(0, len(lines), 9):
            note = "".join(line + "\n" for line in lines[at:at + 9])
            first, of, size, digest, old_text, new_text, blank = lines[at:at + 7]
            if first != "strongroom log key change v1" or of != family or blank != "":
                raise Refused("the changes of the key are of another log, or none")
            if not size.isascii() or not size.isdigit() or str(int(size)) != size or not 0 < int(size) < 2**63:
                raise Refused("a change of the key has no size")
            if strict_base64(digest) != hashlib.sha256(before.encode()).digest():
                raise Refused("a change of the key does not follow the one before")
            try:
                old, new = parse_verifier_key(old_text), parse_verifier_key(new_text)
            except ValueError as wrong:
                raise Refused(f"a change of the key: {wrong}") from None
            if old[0] != family or new[0] != family:
                raise Refused("a change of the key names another log")
            if not at:
                self.keys = [old[2]]
            raw = [key.public_bytes(*RAW) for key in self.keys]
            if old[2].public_bytes(*RAW) != raw[-1] or new[2].public_bytes(*RAW) in raw:
                raise Refused("a change of the key does not lead on from the one before")
            if self.until and int(size) <= self.until[-1]:
                raise Refused("the changes of the key are in no order")
            signers = [(name, key_hash) for name, key_hash, _ in parse_note(note.encode())[1]]
            if signers != [old[:2], new[:2]]:
                raise Refused("a change of the key is not signed by both keys")
            verify_note(note.encode(), *old)
            verify_note(note.encode(), *new)
            self.keys.append(new[2])
            self.until.append(int(size))
            before += note
        pinned = verifier_key[2].public_bytes(*RAW)
        if pinned not in [key.public_bytes(*RAW) for key in self.keys]:
            raise Refused("the changes of the key do not lead to the key given")

    def verify(self, note):
        """(size, root) of a checkpoint that the key of its size has signed."""
        body, _ = parse_note(note)
        size, root = parse_checkpoint(body, self.origin)
        key = self.keys[sum(1 for until in self.until if until < size)]
        material = b"\1" + key.public_bytes(*RAW)
        key_hash = hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:4]
        verify_note(note, self.name, key_hash, key)
        return size, root


def verify_cosignatures(note, witnesses):
    """c2sp.org/tlog-cosignature, Ed25519: {witness: newest time}. Every witness must have cosigned."""
    body, lines = parse_note(note)
    times = {}
    for name, key_hash, key in witnesses:
        for line_name, line_hash, signature in lines:
            if line_name != name or line_hash != key_hash:
                continue
            time_s = int.from_bytes(signature[:8], "big")
            try:
                key.verify(signature[8:], f"cosignature/v1\ntime {time_s}\n{body}".encode())
            except InvalidSignature:
                raise Refused(f"a cosignature of {name} is wrong") from None
            times[name] = max(time_s, times.get(name, 0))
        if not times.get(name):
            raise Refused(f"{name} has not cosigned this checkpoint")
    return times


def parse_checkpoint(body, origin):
    """c2sp.org/tlog-checkpoint: (size, root)."""
    lines = body.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise Refused("the checkpoint's text is none")
    if lines[0] != origin:
        raise Refused("the checkpoint is of another log")
    if not lines[1].isascii() or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise Refused("the checkpoint's size is no number")
    root = strict_base64(lines[2])
    if len(root) != 32:
        raise Refused("the checkpoint's root is no hash")
    return int(lines[1]), root


def leaf_hash(entry):
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def tree_hash(leaves):
    """RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(tree_hash(leaves[:k]), tree_hash(leaves[k:]))


def tile_path(level, n, width):
    """c2sp.org/tlog-tiles: three digits a folder, all but the last behind an x."""
    groups = []
    while True:
        groups.insert(0, f"{n % 1000:03d}")
        n //= 1000
        if n == 0:
            break
    path = "/".join(["tile", str(level)] + ["x" + g for g in groups[:-1]] + groups[-1:])
    return path if width == WIDTH else f"{path}.p/{width}"


class Folder:
    def __init__(self, path):
        self.path = pathlib.Path(path)

    def read(self, path):
        return (self.path / path).read_bytes()

    def tile(self, level, n, width, size):
        """A tile of `size` bytes; the front of the full one where a partial one was dropped since."""
        try:
            data = self.read(tile_path(level, n, width))
        except FileNotFoundError:
            try:
                data = self.read(tile_path(level, n, WIDTH))[:size]
            except FileNotFoundError:
                raise Refused(f"{tile_path(level, n, width)} is missing") from None
        if len(data) != size:
            raise Refused(f"{tile_path(level, n, width)} has {len(data)} bytes, not {size}")
        return data


def parse_entry(entry, leaf, after):
    """(type, t_ms); docs/spec/log.md, Entries."""
    kind, t_ms, items = entry[4], int.from_bytes(entry[5:13], "big"), int.from_bytes(entry[13:17], "big")
    if entry[:4] != b"SR1R" or not 1 <= kind <= 15 or not 1 <= items <= 65536 or t_ms < after:
        raise Refused(f"entry {leaf} is none of a release log")
    return kind, t_ms


def verify(folder, keys, witnesses=()):
    try:
        note = folder.read("checkpoint")
    except FileNotFoundError:
        raise Refused("there is no checkpoint") from None
    size, root = keys.verify(note)

    counts, first, last = {}, None, 0
    level_hashes = []
    for n in range((size + WIDTH - 1) // WIDTH):
        width = min(WIDTH, size - n * WIDTH)
        data = folder.tile("entries", n, width, width * (2 + ENTRY_SIZE))
        hashes = []
        for i in range(width):
            at = i * (2 + ENTRY_SIZE)
            if int.from_bytes(data[at:at + 2], "big") != ENTRY_SIZE:
                raise Refused(f"entry {n * WIDTH + i} has a wrong size")
            entry = data[at + 2:at + 2 + ENTRY_SIZE]
            kind, last = parse_entry(entry, n * WIDTH + i, last)
            first = last if first is None else first
            counts[TYPES.get(kind, str(kind))] = counts.get(TYPES.get(kind, str(kind)), 0) + 1
            hashes.append(leaf_hash(entry))
        level_hashes.append(hashes)

    # Level by level: each tile against what was computed, its root going up where it is full.
    level, roots = 0, []
    while level_hashes:
        above = []
        for n, hashes in enumerate(level_hashes):
            data = folder.tile(level, n, len(hashes), 32 * len(hashes))
            for i, expected in enumerate(hashes):
                if data[32 * i:32 * i + 32] != expected:
                    raise Refused(f"{tile_path(level, n, len(hashes))} is wrong, first at hash {i}")
            if len(hashes) == WIDTH:
                above.append(tree_hash(hashes))
            else:
                roots.append(hashes)
        level_hashes = [above[i:i + WIDTH] for i in range(0, len(above), WIDTH)]
        level += 1

    # The tree's root from its right edge: complete subtrees, the smallest first.
    total = None
    for hashes in roots:
        while hashes:
            cut = len(hashes) & -len(hashes)
            subtree, hashes = tree_hash(hashes[-cut:]), hashes[:-cut]
            total = subtree if total is None else node_hash(subtree, total)
    computed = hashlib.sha256(b"").digest() if total is None else total
    if computed != root:
        raise Refused("the entries' root is not the checkpoint's")
    return {"origin": keys.origin, "size": size, "root": base64.b64encode(root).decode(), "first_t_ms": first or 0,
            "last_t_ms": last, "entries": counts, "witnesses": verify_cosignatures(note, witnesses)}


def verify_inclusion(leaf, index, size, path):
    """RFC 9162, section 2.1.3.2: the root that the path leads to, or None."""
    if index >= size:
        return None
    fn, sn, root = index, size - 1, leaf
    for step in path:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            root = node_hash(step, root)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = node_hash(root, step)
        fn, sn = fn >> 1, sn >> 1
    return root if sn == 0 else None


def verify_proof(text, keys, witnesses):
    """c2sp.org/tlog-proof, with the entry in the extra line."""
    head, blank, note = text.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    if not blank or len(lines) < 3 or lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("extra "):
        raise Refused("this is no proof with its entry")
    entry = strict_base64(lines[1][6:])
    index = lines[2][6:]
    if not lines[2].startswith("index ") or not index.isdigit() or str(int(index)) != index:
        raise Refused("the proof's index is none")
    path = [strict_base64(line) for line in lines[3:]]
    if len(entry) != ENTRY_SIZE or len(path) > 63 or any(len(step) != 32 for step in path):
        raise Refused("the proof's entry or path is none")
    size, root = keys.verify(note)
    kind, t_ms = parse_entry(entry, int(index), 0)
    if verify_inclusion(leaf_hash(entry), int(index), size, path) != root:
        raise Refused("the proof does not lead from the entry to the checkpoint")
    return {"origin": keys.origin, "leaf": int(index), "type": TYPES.get(kind, str(kind)), "t_ms": t_ms, "size": size,
            "witnesses": verify_cosignatures(note, witnesses)}


def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Refused("an item of the report is none")
        value |= (data[at] & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def fields_of(data):
    """A protobuf message: {field number: [values]}; numbers, or bytes of what has a length."""
    out, at = {}, 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if at > len(data):
                raise Refused("an item of the report is none")
        else:
            raise Refused("an item of the report is none")
        out.setdefault(tag >> 3, []).append(value)
    return out


def number(fields, at):
    return fields.get(at, [0])[-1]


def text(fields, at):
    return fields.get(at, [b""])[-1].decode()


RELEASE_TYPE, REPORT_TYPE = 2, 11
RELEASE, SHOWN, REPORTED = 2, 32, 34  # Of LogItem's fields.
SHOWN_AS = ("role", "unit", "person")


def hashes_of(texts):
    hashes = [strict_base64(t) for t in texts]
    if len(hashes) > 63 or any(len(h) != 32 for h in hashes):
        raise Refused("a path of the report is none")
    return hashes


def proven_items(proof, kind, size, root):
    """docs/spec/subject_report.md, Proofs: (leaf, t_ms, [disclosed LogItems' fields])."""
    leaf, entry = int(proof["leaf"]), strict_base64(proof["entry"])
    if len(entry) != ENTRY_SIZE:
        raise Refused(f"entry {leaf} is none of a release log")
    found, t_ms = parse_entry(entry, leaf, 0)
    if found != kind or verify_inclusion(leaf_hash(entry), leaf, size, hashes_of(proof["path"])) != root:
        raise Refused(f"entry {leaf} is not in the log as the report says")
    items = []
    for shown in proof["items"]:
        item, salt = strict_base64(shown["item"]), strict_base64(shown["salt"])
        c = hmac.digest(salt, item, "sha256")
        n = int.from_bytes(entry[13:17], "big")
        if len(salt) != 32 or verify_inclusion(leaf_hash(c), shown["place"], n, hashes_of(shown["path"])) != entry[17:]:
            raise Refused(f"an item shown is not one of entry {leaf}")
        items.append(fields_of(item))
    return leaf, t_ms, items


def verify_line(line, record, size, root):
    leaf, t_ms, items = proven_items(line["proof"], RELEASE_TYPE, size, root)
    said = [line[name] for name in ("shown_as", "who", "purpose", "purpose_title", "case_reference", "groups")]
    fits = t_ms == int(line["t_ms"]) and len(items) in (1, 2) and RELEASE in items[0]
    if fits:
        release = fields_of(items[0][RELEASE][-1])
        fits = number(release, 1) == int(record["idx"]) and number(release, 4) == line["k"]
    if fits and len(items) == 2:
        shown = fields_of(items[1][SHOWN][-1]) if SHOWN in items[1] else {}
        groups = [group.decode() for group in shown.get(6, [])]
        fits = SHOWN in items[1] and text(shown, 5) == record["collection"] and number(shown, 2) < 3 and said == [
            SHOWN_AS[number(shown, 2)], text(shown, 3), text(shown, 1), text(shown, 7), text(shown, 4), groups]
    elif fits:
        fits = not any(said)
    if not fits:
        raise Refused(f"a line of the report says other than its entry, {leaf}")
    return leaf


def verify_report(data, keys, witnesses):
    """docs/spec/subject_report.md."""
    try:
        report = json.loads(data)
        if report["version"] != 1 or not report["records"]:
            raise Refused("this is no subject report of version 1")
        note = report["checkpoint"].encode()
        size, root = keys.verify(note)
        if report["origin"] != keys.origin:
            raise Refused("the report is of another log")
        own, lines, hidden, older = None, 0, 0, 0
        for record in report["records"]:
            leaf, t_ms, items = proven_items(record["proof"], REPORT_TYPE, size, root)
            own = leaf if own is None else own
            if leaf != own or t_ms != int(report["t_ms"]) or len(items) != 1 or REPORTED not in items[0]:
                raise Refused("the report is not the one that its entry logged")
            told = fields_of(items[0][REPORTED][-1])
            counts = [len(record["lines"]), record["hidden"], record["older"]]
            if [number(told, i) for i in (1, 2, 3, 4, 5)] != [int(record["idx"]), record["releases"]] + counts \
                    or sum(counts) != record["releases"]:
                raise Refused("the report has other lines than its own entry says")
            next_k, next_leaf = record["releases"], own
            for line in record["lines"]:
                leaf = verify_line(line, record, size, root)
                if line["k"] >= next_k or leaf >= next_leaf:
                    raise Refused("the lines of the report are not in their order")
                next_k, next_leaf = line["k"], leaf
            if next_k < record["older"]:
                raise Refused("the lines of the report are not in their order")
            lines, hidden, older = lines + counts[0], hidden + counts[1], older + counts[2]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise Refused("this is no subject report") from None
    return {"origin": keys.origin, "lines": lines, "hidden": hidden, "older": older, "size": size,
            "witnesses": verify_cosignatures(note, witnesses)}


def main():
    parser = argparse.ArgumentParser(description="Verifies a copy of a release log, or a proof that an entry is in it.")
    parser.add_argument("folder", help="the copy's folder, or a proof's file")
    parser.add_argument("verifier_key")
    parser.add_argument("--witness", action="append", default=[], help="a witness's key: it must have cosigned")
    parser.add_argument("--origin", help="the checkpoint's first line, where it is not the key's name")
    parser.add_argument("--key-changes", help="where the log's key was changed; in a folder it is `key-changes`")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        key = parse_verifier_key(arguments.verifier_key)
        witnesses = [parse_verifier_key(text, 4) for text in arguments.witness]
    except ValueError as error:
        parser.error(str(error))
    try:
        origin = arguments.origin or key[0]
        beside = pathlib.Path(arguments.folder) / "key-changes"
        changes = pathlib.Path(arguments.key_changes) if arguments.key_changes else beside
        keys = LogKeys(key, origin, changes.read_bytes() if arguments.key_changes or changes.is_file() else b"")
        if pathlib.Path(arguments.folder).is_file():
            data = pathlib.Path(arguments.folder).read_bytes()
            check = verify_report if data.lstrip()[:1] == b"{" else verify_proof
            report = check(data, keys, witnesses)
        else:
            report = verify(Folder(arguments.folder), keys, witnesses)
    except Refused as refused:
        print(f"log_verify: {refused}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"log_verify: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(report))
    elif "lines" in report:
        print(f"{report['origin']}: {report['lines']} openings, each in the log of {report['size']} entries as the report "
              f"says; {report['hidden']} not told yet, {report['older']} older not listed")
    elif "leaf" in report:
        print(f"{report['origin']}: entry {report['leaf']} of {report['size']} is a {report['type']}, proven")
    else:
        counts = ", ".join(f"{count} {name}" for name, count in report["entries"].items())
        print(f"{report['origin']}: {report['size']} entries verified ({counts or 'none'}), root {report['root']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
