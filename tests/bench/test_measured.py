"""What follows from runs that were measured."""

from __future__ import annotations

import pytest

from qwf_async.bench.measured import PLAIN, Machine, Road, Run, limit_of, rows_of

HERE = Machine(cores=2, is_local=True, round_trip=4e-5)
ELSEWHERE = Machine(cores=2, is_local=False, round_trip=2e-3)


def run(layout: str, rate: float, road: Road = "write", server: float | None = 0.5) -> Run:
    return Run(
        layout=layout,
        road=road,
        points=1000,
        seconds=1000 / rate,
        client_cpu=0.0,
        server_cpu=server and server * 1000 / rate,
        machine_cpu=None,
    )


def test_ratios_are_of_runs_that_stood_side_by_side() -> None:
    runs = [
        run(PLAIN, 10),
        run("flat", 100),
        run("flat", 300),
        run(PLAIN, 20),
        run(PLAIN, 1),
        run("flat", 10),
    ]
    plain, flat = rows_of(runs, HERE)
    assert plain.ratio is None
    assert [plain.rate, flat.rate] == pytest.approx([10, 100])
    assert flat.ratio == pytest.approx(10)  # of 10, 15, 10


def test_points_stand_beside_plain_reads() -> None:
    runs = [run(PLAIN, 10, "write"), run(PLAIN, 20, "read"), run("tile", 100, "points")]
    assert rows_of(runs, HERE)[-1].ratio == pytest.approx(5)


@pytest.mark.parametrize(
    ("client", "server", "all_cores", "machine", "limit"),
    [
        (0.3, 0.9, 1.3, HERE, "the server's main thread"),
        (1.8, 0.2, 2.0, ELSEWHERE, "the cores of this client"),
        (1.1, 0.7, 2.0, HERE, "the cores, which client and server share"),
        (0.3, 0.3, 1.9, HERE, "the cores: other processes use them too"),
        (0.9, 0.3, 0.9, ELSEWHERE, "one core of this client"),
        (0.3, 0.3, 0.4, ELSEWHERE, "waiting: a round trip takes 2 ms"),
        (0.3, None, 0.4, ELSEWHERE, "the server or the network: the server does not tell its CPU time"),
    ],
)
def test_what_was_busy_is_the_limit(
    client: float, server: float | None, all_cores: float, machine: Machine, limit: str
) -> None:
    assert limit_of(client, server, all_cores, machine) == limit
