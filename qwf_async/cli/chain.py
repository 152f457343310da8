"""`quantum-wavefunc` without arguments: the chain of the older project, from its configuration to a signal."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

from ..errors import Interrupted
from ..wording import messages_for_command_line
from .jobs import run_job
from .output import say, show


def chain() -> None:
    """Generate a wavefunction, store it, read a point, show its observables and the statistics; stay until a signal.

    The server is that of the settings. While it stays, the server is watched as by `qwf watch`. A
    signal ends it at any time with 128 + its number. A second run replaces what the first has stored.
    """
    from ..host.signals import stop_signals_handled
    from ..ingesting.watch_server import watch_server
    from ..quantum_wavefunc_redis import QuantumRedisConfig, WaveFuncHashHandler, generate_wave_func
    from ..store.connecting import connect

    with messages_for_command_line():
        with stop_signals_handled(_stop):
            config = QuantumRedisConfig()
            with WaveFuncHashHandler(config) as handler:
                settings = handler.store.settings
                points = handler.batch_save(generate_wave_func(config))
                show(
                    f"stored {points} points in the hash {handler.hash_key} at {handler.store.address.shown}"
                )
                x, y, z = config.nx // 2, config.ny // 2, config.nz // 2
                show(f"{handler.field(x, y, z)} = {handler.get_point(x, y, z)}")
                for facts in (handler.calc_observables(x, y, z, 0), handler.get_stats()):
                    show("  ".join(f"{name} {value}" for name, value in facts.items()))
        say("staying, until a signal; 'qwf --help' shows what else there is")

        async def stay() -> None:
            async with connect(settings=settings) as store:
                await watch_server(store, hooks=())

        run_job(stay)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise Interrupted(f"stopped by {signal.Signals(number).name}", number)
