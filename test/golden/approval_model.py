"""Writes approval_v1.hex: what an approver signs under a request, made by hand from docs/spec/approval.md.

    python3 test/golden/approval_model.py > test/golden/approval_v1.hex
"""


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def text(field, data):
    return varint(field << 3 | 2) + varint(len(data)) + data


request = (text(1, bytes(range(16))) + number(2, 7) + text(3, b"officer") + text(4, b"back from leave") +
           number(5, 1_700_000_000_000) + number(6, 1_700_259_200_000) + number(7, 41) +
           text(13, b"principal:alice"))
for decision in (1, 2):
    print((b"strongroom approval v1\0" + bytes([decision]) + request).hex())
