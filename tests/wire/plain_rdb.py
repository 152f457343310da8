"""Payloads of RESTORE and DUMP, made and taken apart a byte at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cache


@cache
def crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x95AC9329AC4BC9B5 if byte & 1 else 0)
    return byte


def crc64(data: bytes) -> int:
    """CRC-64/REDIS: the Jones polynomial, reflected, no inversion."""
    crc = 0
    for byte in data:
        crc = crc >> 8 ^ crc_of_byte((crc ^ byte) & 0xFF)
    return crc


def plain_length(number: int) -> bytes:
    if number < 64:
        return struct.pack(">B", number)
    if number < 16384:
        return struct.pack(">H", 0x4000 + number)
    return b"\x80" + struct.pack(">I", number)


def plain_string(text: bytes) -> bytes:
    return plain_length(len(text)) + text


def plain_payload(value: bytes, version: int = 10) -> bytes:
    """A payload of a type byte and a value: with the version, and the checksum of all before it."""
    body = value + struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def plain_hash(pairs: Iterable[tuple[bytes, bytes]], version: int = 10) -> bytes:
    """The payload of a hash as a table, its fields in the order given."""
    strings = [plain_string(name) + plain_string(value) for name, value in pairs]
    return plain_payload(b"\x04" + plain_length(len(strings)) + b"".join(strings), version)
