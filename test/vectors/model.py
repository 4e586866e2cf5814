#!/usr/bin/env python3
"""An independent model of strongroom's derivations and formats, from the design's text and not from our C++.

Needs the standard library and the `cryptography` package. It prints one "name hex" a line; model.txt holds the
output that the C++ tests compare with:

  python3 model.py > model.txt          python3 model.py --row > ../golden/row_v1.hex
"""
import hashlib
import hmac
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def F(key, x):
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(x) + encryptor.finalize()


def blk(t, v):
    return bytes([t]) + bytes(7) + v.to_bytes(8, "little")


def pair(key, t, v):
    return F(key, blk(t, v)) + F(key, blk(t + 1, v))


def H(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


# The parameters of the design's vectors.
SEED = bytes(range(32))
BLOCK, OFFSET, U, GROUP = 3, 0xABC, 1000, 2
IDX = BLOCK << 12 | OFFSET
K_Q = bytes(range(0x20, 0x40))
R_L = bytes(range(0x40, 0x60))
COLLECTION, FIELD, KIND, NORM = 7, 5, 1, 1
WORD = b"13800138000"


def leaf(seed, offset):
    for level in range(11, -1, -1):
        seed = pair(seed, 0x12 if offset >> level & 1 else 0x10, 0)
    return seed


def write_secret(offset, u):
    return pair(leaf(SEED, offset), 0x20, u)


def group_key(offset, u, group):
    return pair(write_secret(offset, u), 0x30, group)


def design_vectors():
    h_w = H(
        K_Q,
        b"sr1.kw\0"
        + COLLECTION.to_bytes(4, "little")
        + FIELD.to_bytes(2, "little")
        + bytes([KIND, NORM])
        + WORD,
    )[:16]
    T = F(H(R_L, b"sr1.lane0"), h_w) + F(H(R_L, b"sr1.lane1"), h_w)
    pt = IDX.to_bytes(5, "little") + (U & 0xFFFFFFFF).to_bytes(4, "little")
    tag = F(T, bytes([0x42]) + (0).to_bytes(6, "little") + pt)[:7]
    return {
        "L": leaf(SEED, OFFSET),
        "S": write_secret(OFFSET, U),
        "K": group_key(OFFSET, U, GROUP),
        "h_w": h_w,
        "T": T,
        "label": F(T, blk(0x40, 0))[:13],
        "value": bytes(a ^ b for a, b in zip(pt, F(T, blk(0x41, 0)))) + tag,
        "packed_label": F(T, blk(0x43, 0))[:13],
        "head_label": F(T, blk(0x45, 0))[:13],
        "block_key": pair(T, 0x60, 0),
    }


def sealing_key():
    """derive_sealing_key(K_q, "sr1.example", 258)"""
    return H(K_Q, b"sr1.example\0" + (258).to_bytes(8, "big"))


def padded(size):
    if size < 128:
        return max(16, -(-size // 16) * 16)
    exponent = size.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    return -(-size >> low_bits) << low_bits


def plaintext(fields):
    body = b"".join(f.to_bytes(2, "big") + len(v).to_bytes(3, "big") + v for f, v in fields) + b"\x80"
    return body.ljust(padded(len(body)), b"\0")


# Group 2 repeats group 0's phone as a masked view; group 5 is empty; field 8001h begins with the terminator's byte.
ROW_GROUPS = [
    (0, [(1, "王小明".encode()), (5, WORD), (0x8001, bytes(100))]),
    (2, [(5, b"138****8000")]),
    (5, []),
]


def row():
    header = bytes([1, len(ROW_GROUPS)]) + U.to_bytes(6, "big")
    for group, fields in ROW_GROUPS:
        header += bytes([group]) + (12 + len(plaintext(fields)) + 16).to_bytes(3, "big")
    sealed = b""
    for group, fields in ROW_GROUPS:
        nonce = bytes([group]) * 12  # Real ones are random.
        ad = b"SR1" + COLLECTION.to_bytes(4, "big") + IDX.to_bytes(5, "big") + header + bytes([group])
        sealed += nonce + AESGCM(group_key(OFFSET, U, group)).encrypt(nonce, plaintext(fields), ad)
    return header + sealed


def gf_mul(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = a << 1 ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def shares():
    """Shares 1, 2, 5 (threshold 3) of SEED, with coefficients from SHA-256 where real ones are random."""
    c1, c2 = hashlib.sha256(b"c1").digest(), hashlib.sha256(b"c2").digest()
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    for x in (1, 2, 5):
        y = bytes(s ^ gf_mul(a, x) ^ gf_mul(b, gf_mul(x, x)) for s, a, b in zip(SEED, c1, c2))
        body = bytes([1, x, 3]) + bytes(range(0x60, 0x70)) + y
        number = int.from_bytes(body + hashlib.sha256(body).digest()[:4], "big")
        digits = "".join(alphabet[number >> 5 * i & 31] for i in range(87, -1, -1))
        yield x, "sr1-share-" + "-".join(digits[i : i + 4] for i in range(0, 88, 4))


def main():
    if sys.argv[1:] == ["--row"]:
        text = row().hex()
        print("\n".join(text[i : i + 96] for i in range(0, len(text), 96)))
        return
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    for name, value in design_vectors().items():
        print(name, value.hex())
    print("sealing_key", sealing_key().hex())
    for x, text in shares():
        print(f"share_{x}", text)


main()
