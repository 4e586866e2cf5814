#!/usr/bin/env python3
"""Writes the golden files of src/strongroom/index from a model of its own: nothing here shares code with strongroom.

Needs python3-cryptography. Run in this folder; the files change only when a format version is added.
"""
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def f(key, block):
    e = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return e.update(block) + e.finalize()


def blk(tweak, number):
    return bytes([tweak]) + bytes(7) + number.to_bytes(8, "little")


def h(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


LANE = (0x0A0B0C).to_bytes(3, "big")
K_Q = bytes(range(0x20, 0x40))
ROOT = bytes(range(0x40, 0x60))
IDX = (3 << 12) | 0xABC
U_LO = 1000
NONCE = bytes(range(0xA0, 0xAC))


def term(word, collection=7, field=5, kind=1):
    head = b"sr1.kw\0" + collection.to_bytes(4, "little") + field.to_bytes(2, "little") + bytes([kind, 1])
    return h(K_Q, head + word)[:16]


def token(h_w):
    return f(h(ROOT, b"sr1.lane0"), h_w) + f(h(ROOT, b"sr1.lane1"), h_w)


T = token(term(b"13800138000"))


def posting(idx, u_lo):
    return idx.to_bytes(5, "little") + u_lo.to_bytes(4, "little")


def small(key_tweak, pad_tweak, tag_tweak, i, plain):
    tag = f(T, bytes([tag_tweak]) + i.to_bytes(6, "little") + plain)[:7]
    return LANE + f(T, blk(key_tweak, i))[:13], xor(plain, f(T, blk(pad_tweak, i))[:9]) + tag


def write(name, lines):
    with open(name, "w", encoding="ascii") as out:
        for key, value in lines:
            out.write(f"{key} {value.hex()}\n")


rows = []
for i in (0, 1, 23, 0x010203040506):
    key, value = small(0x40, 0x41, 0x42, i, posting(IDX + i % 7, U_LO + i % 11))
    rows += [(f"key_{i}", key), (f"value_{i}", value)]
write("posting_single.hex", [("h_w", term(b"13800138000")), ("token", T)] + rows)

key, value = small(0x45, 0x46, 0x47, 0, (123456789).to_bytes(5, "little") + (250123).to_bytes(4, "little"))
write("posting_head.hex", [("key", key), ("value_123456789_250123", value)])


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes(out + bytes([number]))


def packed(numbers, width):
    """Numbers of so many bits each, the lowest first."""
    whole = sum(n << (k * width) for k, n in enumerate(numbers))
    return whole.to_bytes((len(numbers) * width + 7) // 8, "little")


def offset_of(one):
    return (one[1] - (one[0] >> 12)) % 2**32


def coded(postings):
    """A block's content, of postings of which all fit."""
    out = len(postings).to_bytes(2, "little") + posting(*postings[0])
    offset = offset_of(postings[0])
    for at in range(1, len(postings), 64):
        group = postings[at:at + 64]
        steps = [idx - before - 1 for (before, _), (idx, _) in zip(postings[at - 1:], group)]
        width = max(steps).bit_length()
        head, rest = width, varint(sum(steps)) if width else b""
        offsets = [offset_of(one) for one in group]
        commonest = min(set(offsets), key=lambda o: (-offsets.count(o), o))
        if offsets.count(commonest) > offsets.count(offset) + 4:
            offset, head = commonest, head | 0x80
            rest += offset.to_bytes(4, "little")
        rest += packed(steps, width)
        others = [one[1] for one in group if offset_of(one) != offset]
        if others:
            head |= 0x40
            lowest, bits = min(others), (max(others) - min(others)).bit_length()
            rest += packed([offset_of(one) != offset for one in group], 1)
            rest += lowest.to_bytes(4, "little") + bytes([bits]) + packed([u - lowest for u in others], bits)
        out += bytes([head]) + rest
    return out


# As a bulk import has them, records of blocks of 4,096 that have one version each; a second import from the 4,500th on;
# each third changed since by one of seven updates, but in the first thousand. The last few written by hand.
most = []
for n in range(5400):
    idx = IDX + 5 * n + n % 3
    most.append((idx, U_LO + (idx >> 12) - (IDX >> 12) + (5000 if n >= 4500 else 0)))
    if n % 3 == 1 and n > 1000:
        most[-1] = (idx, 90_000 + n % 7)
many = most[:900]
few = [(IDX, U_LO), (IDX + 1, U_LO - 7), (IDX + 2**20, 2**32 - 1), (2**40 - 1, 0)]

packed_secret = f(T, blk(0x60, 0)) + f(T, blk(0x61, 0))
rows = [("secret", packed_secret)]
for j, postings, size in ((0, many, 1024), (1, few, 256), (2, most, 4096)):
    key = LANE + f(T, blk(0x43, j))[:13]
    plain = coded(postings)
    assert size == (256 if len(plain) <= 240 else 1024 if len(plain) <= 3 * 1008 else 4096)
    value = AESGCM(packed_secret).encrypt(bytes(4) + j.to_bytes(8, "big"), plain.ljust(size - 16, b"\0"), key)
    rows += [(f"key_{j}", key), (f"value_{j}", value)]
write("posting_packed.hex", rows)

words = [term(w) for w in (b"zhang wei", b"+8613800138000", b"1980-01-01")]
write_plain = b"\0" + posting(IDX, U_LO) + (3).to_bytes(2, "little") + b"".join(words) + bytes(5 * 16)
# Postings and blocks of each.
counts = ((1, 0), (7, 0), (100_000, 260))
coded_counts = b"".join(w + (varint(n * 2 + 1) + varint(b) if b else varint(n * 2))
                        for w, (n, b) in zip(sorted(words), counts))
terms_plain = (b"\3" + (3).to_bytes(2, "little") + coded_counts).ljust(256, b"\0")
rows = [(f"h_w_{n}", w) for n, w in enumerate(words)]
for number, plain in ((0, write_plain), (1, terms_plain)):
    key = LANE + number.to_bytes(5, "big")
    sealed = AESGCM(h(ROOT, b"sr1.dir")).encrypt(NONCE, plain, b"SR1D" + key)
    rows += [(f"key_{number}", key), (f"value_{number}", b"\1" + NONCE + sealed)]
write("directory_v1.hex", rows)

key = LANE + bytes(5)
plain = b"\2" + posting(IDX, U_LO) + (3).to_bytes(2, "little") + b"".join(words) + bytes(29 * 16)
sealed = AESGCM(h(ROOT, b"sr1.dir")).encrypt(NONCE, plain, b"SR1D" + key)
write("directory_wide_v1.hex", [("key", key), ("value", b"\1" + NONCE + sealed)])

key = (7).to_bytes(4, "big") + f(T, blk(0x48, 0))[:11]
check = h(T, b"sr1.check" + b"content")[:16]
plain = IDX.to_bytes(5, "big") + (0x010203040506).to_bytes(6, "big") + check
sealed = AESGCM(f(T, blk(0x62, 0)) + f(T, blk(0x63, 0))).encrypt(NONCE, plain, key)
write("unique_v1.hex", [("key", key), ("check", check), ("value", b"\1" + NONCE + sealed)])
