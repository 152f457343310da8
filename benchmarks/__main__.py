"""`python -m benchmarks NAME …`: runs the benchmark of that name."""

from __future__ import annotations

import sys
from importlib import import_module

BENCHMARKS = {
    "flat": "loading one hash of a field a point: this project and its peers, in paired rounds",
    "read": "reading everything, a region, scattered points and one point, in every layout, against peers",
    "layouts": "the layouts against each other, and against others' ways to store blocks; linear growth",
    "encode": "encoding alone, on one core, a codec at a time",
    "memory": "memory of the client against the size of the grid, into a sink that only counts",
}
"""Module of this package → what it measures. Each has a `main(arguments)`."""


def main() -> None:
    match sys.argv[1:]:
        case [name, *arguments] if name in BENCHMARKS:
            import_module(f"benchmarks.{name}").main(arguments)
        case _:
            print("usage: python -m benchmarks NAME [options]", file=sys.stderr)
            for name, subject in BENCHMARKS.items():
                print(f"  {name:10}{subject}", file=sys.stderr)
            raise SystemExit(2)


if __name__ == "__main__":
    main()
