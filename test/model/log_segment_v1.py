#!/usr/bin/python3
"""Prints test/golden/log_segment_v1.hex: an independent model of docs/spec/log.md's segment format.

Key 00..1f, rho 20..3f for leaf 5 and 40..5f for leaf 6, nonces 60..6b and 70..7b; both frames of one group.
"""
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def run(first, count):
    return bytes(range(first, first + count))


def u32(value):
    return value.to_bytes(4, "big")


def u64(value):
    return value.to_bytes(8, "big")


def check(data):
    return hashlib.sha256(data).digest()[:8]


def merkle(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + merkle(leaves[:k]) + merkle(leaves[k:])).digest()


def frame(leaf, place, kind, t_ms, items, rho, nonce):
    commitments = []
    for j, item in enumerate(items):
        salt = hmac.digest(rho, b"sr1.salt" + u32(j), "sha256")
        commitments.append(hashlib.sha256(b"\x00" + hmac.digest(salt, item, "sha256")).digest())
    entry = b"SR1R" + bytes([kind]) + u64(t_ms) + u32(len(items)) + merkle(commitments)
    body = rho + b"".join(u32(len(item)) + item for item in items)
    rest = u64(leaf) + u32(place) + entry + nonce + AESGCM(run(0, 32)).encrypt(nonce, body, u64(leaf) + entry)
    framed = u32(len(rest) + 8) + rest
    return framed + check(framed)


header = b"SRLOGSEG" + b"\x01" + bytes(7) + u64(5)
segment = header + check(header)
segment += frame(5, 0, 1, 1700000000000, [b"started"], run(0x20, 32), run(0x60, 12))
segment += frame(6, 1, 2, 1700000000123, [b"first item", b"", b"third item"], run(0x40, 32), run(0x70, 12))
text = segment.hex()
print("\n".join(text[i:i + 96] for i in range(0, len(text), 96)))
