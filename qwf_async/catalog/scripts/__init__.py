"""The server-side scripts: each one changes or reads the control keys of a name together, in one step.

A script checks, in the same step as it writes, that things are still as its caller saw them.
All keys of a script share the hash tag of the name, except those of the index, which has one key.
Times are the server's, in milliseconds.

Every script is a Lua text and, below it, the function that runs it. Only that function knows
the order of KEYS and ARGV. A new script goes into the file of its family: write the Lua and its
function, and name both here. If it must also run on a full server, begin it with EVEN_IF_FULL.
"""

from __future__ import annotations

from .evaluate import EVEN_IF_FULL
from .index_entries import ANNOUNCE, ENTER, TOUCH, WITHDRAW, announce, enter, touching, withdraw
from .inspection import READ_RECORDS, UNKNOWN_GENERATIONS, read_records, unknown_generations
from .ownership import EXPEL, REGISTER, RENEW, expel, register, renew
from .publishing import BEGIN, DISCARD, PUBLISH, REWRITE, Outcome, begin, discard, publish, rewriting
from .removal import FORGET, REMOVE, TRASH, forget, remove, trash

__all__ = [
    "ANNOUNCE", "BEGIN", "DISCARD", "ENTER", "EVEN_IF_FULL", "EXPEL", "FORGET", "PUBLISH",
    "READ_RECORDS", "REGISTER", "REMOVE", "RENEW", "REWRITE", "TOUCH", "TRASH", "UNKNOWN_GENERATIONS", "WITHDRAW",
    "Outcome", "announce", "begin", "discard", "enter", "expel", "forget", "publish", "read_records",
    "register", "remove", "renew", "rewriting", "touching", "trash", "unknown_generations", "withdraw",
]  # fmt: skip
