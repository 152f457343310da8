"""`python -m benchmarks NAME …`: runs the benchmark of that name."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = {
    "flat": "loading a field a point: this project and its peers; how long another client waits meanwhile",
    "read": "reading everything, a region, scattered points and one point, in every layout, against peers",
    "layouts": "the layouts against each other, and against others' ways to store blocks",
    "cluster": "loading into three nodes, three shards and 192 virtual ones against one server, and peers",
    "cluster_read": "reading from one server, three nodes, three shards and 192 virtual ones",
    "cluster_scale": "tables of slots, even nodes, journals and publishing, as nodes and chunks become many",
    "dask": "blocks of a dask array, written by threads and by worker processes, against one ingest",
    "xarray": "all of a wavefunction by xarray and zarr, in each way, against read[...]",
    "view": "planes, volumes and frames by the API of the page's server, against psi.read of the same",
    "sync": "what a call of the synchronous face adds to the asynchronous one",
    "scaling": "whether the cost of each layout grows linearly, from 1e7 to 1e8 points",
    "evolve": "a step of the time evolution against its bare FFTs; evolution and ingest at once",
    "sources": "files of each format feeding the engine, against the same array from .npy",
    "encode": "encoding alone, on one core, a codec at a time",
    "memory": "memory of the client against the size of the grid",
    "failover": "how soon an ingest goes on into the spool when its server dies, and back",
    "commands": "the CPU time of a command, beside redis-cli",
    "copy": "cp from one server to another, beside reading and ingesting the same data",
    "spool": "the file that takes batches while the server is away, against the disk's own limit",
    "study": "studies of Optuna on this project's storage and on its own; their outages; large studies",
}
"""Module of this package → what it measures. Each has a `main(arguments)`."""


def main() -> None:
    match sys.argv[1:]:
        case [name, *arguments] if name in BENCHMARKS:
            import_module(f"benchmarks.{name}").main(arguments)
        case _:
            print("usage: python -m benchmarks NAME [options]", file=sys.stderr)
            for name, subject in BENCHMARKS.items():
                print(f"  {name:14}{subject}", file=sys.stderr)
            raise SystemExit(2)


if __name__ == "__main__":
    main()
