#!/usr/bin/env python3
"""Turns a Wycheproof JSON file into one case a line, for C++ tests that need no JSON parser.

usage: extract_wycheproof.py FILE.json [MESSAGE_BYTES_MAX] > FILE.txt

Kept: AEAD cases with 256-bit keys, 128-bit tags, the nonce size strongroom uses (96 bits for GCM, 192 for
XChaCha20-Poly1305) and messages up to MESSAGE_BYTES_MAX; every HMAC-SHA-256 and every Ed25519 case.
Fields are hex, "-" is empty:

  aead     tcId result key nonce ad msg ct|tag
  hmac     tcId result key msg tag
  ed25519  tcId result public-key msg signature
"""
import json
import sys

AEAD_NONCE_BITS = {"AES-GCM": 96, "XCHACHA20-POLY1305": 192}


def fields(algorithm, group, test):
    if algorithm in AEAD_NONCE_BITS:
        return [test["key"], test["iv"], test["aad"], test["msg"], test["ct"] + test["tag"]]
    if algorithm == "HMACSHA256":
        return [test["key"], test["msg"], test["tag"]]
    if algorithm == "EDDSA":
        return [group["publicKey"]["pk"], test["msg"], test["sig"]]
    sys.exit(f"{algorithm} is not used by strongroom")


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    message_max = int(sys.argv[2]) if len(sys.argv) == 3 else 1 << 20
    algorithm = data["algorithm"]
    nonce_bits = AEAD_NONCE_BITS.get(algorithm)
    print(f"# Wycheproof {algorithm}, made by extract_wycheproof.py; see README.md")
    for group in data["testGroups"]:
        if nonce_bits and (group["keySize"], group["tagSize"], group["ivSize"]) != (256, 128, nonce_bits):
            continue
        for test in group["tests"]:
            if len(test["msg"]) <= 2 * message_max:
                print(test["tcId"], test["result"], *(f or "-" for f in fields(algorithm, group, test)))


main()
