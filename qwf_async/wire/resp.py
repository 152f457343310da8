"""Heads of requests in RESP, the protocol of Redis and Valkey.

A request is `*N` and N bulk strings `$len\\r\\n…\\r\\n`. Source: the Redis serialization
protocol specification, RESP2.
"""

from __future__ import annotations


def bulk(value: bytes) -> bytes:
    """One bulk string."""
    return b"$%d\r\n%s\r\n" % (len(value), value)


def head(command: bytes, key: bytes, arguments: int) -> bytes:
    """The beginning of `command key …` that `arguments` bulk strings will follow."""
    return b"*%d\r\n%s%s" % (2 + arguments, bulk(command), bulk(key))


def hset(key: bytes, arguments: int) -> bytes:
    """The beginning of an HSET that half as many fields, each with its value, will follow."""
    return head(b"HSET", key, arguments)
