"""Whether a server is fit for studies, and how durable they are there."""

from __future__ import annotations

from redis.exceptions import ResponseError

from ..client.failure import translate
from ..errors import OutOfMemory, Refused
from ..events import ServerFacts
from ..server.facts import SETTINGS
from ..server.info import parse_info, settings_of
from ..server.policy import findings
from ..server.told import facts_of
from .link import Server


def learn(server: Server) -> list[ServerFacts]:
    """The facts that each server gives by INFO and CONFIG GET; what it forbids is noted, not raised.

    Raises ServerUnavailable if one is away.
    """
    told = server.on_each("INFO", "everything")
    settings = dict(server.on_each("CONFIG", "GET", *SETTINGS))
    return [_facts(where, info, settings.get(where)) for where, info in told]


def refuse_eviction(server: Server) -> None:
    """Raise OutOfMemory if a server evicts keys that never expire: a study is one key, and would vanish whole.

    A server that does not tell its policy is believed to be fit. Raises ServerUnavailable if one is away.
    """
    for facts in learn(server):
        for finding in findings(facts):
            if finding.loses_data:
                raise OutOfMemory(
                    f"{facts.where}: maxmemory-policy {facts.policy} evicts whole studies without a word: "
                    "set it to noeviction"
                )


def _facts(where: str, info: object, settings: object) -> ServerFacts:
    forbidden = []
    for name, reply in (("INFO", info), ("CONFIG", settings)):
        if isinstance(reply, ResponseError):
            error = translate(reply, where=where)
            if not isinstance(error, Refused):
                raise error from reply
            forbidden.append(name)
    told = parse_info(info) if isinstance(info, bytes) else {}
    known = settings_of(settings) if isinstance(settings, list) else None
    return facts_of(where, told, known, tuple(forbidden))
