"""Which number each trial gets, after trials were written again and stand elsewhere in the log."""

from __future__ import annotations

from collections.abc import Mapping


def settled_numbers(
    wanted: Mapping[int, int], present: Mapping[int, int]
) -> list[tuple[int, int, int | None]]:
    """Trial id, number, and the number wanted if that is another, of each trial of which there is something to say.

    `wanted` is the number that somebody was shown, by trial id; `present` the number that the log
    gives. A trial gets what is wanted if one of these trials has that number now. Who cannot
    get it keeps its number if it is free, or else gets the lowest that is. So these trials have the
    same numbers among them as before, and no other trial is touched.
    """
    places = {present[trial_id] for trial_id in wanted}
    settled: dict[int, int] = {}
    for trial_id, number in wanted.items():
        if number in places:
            settled[trial_id] = number
            places.discard(number)
    others = [trial_id for trial_id in wanted if trial_id not in settled]
    for trial_id in others:
        if present[trial_id] in places:
            settled[trial_id] = present[trial_id]
            places.discard(present[trial_id])
    left = iter(sorted(places))
    for trial_id in others:
        if trial_id not in settled:
            settled[trial_id] = next(left)
    return [
        (trial_id, number, wanted[trial_id] if number != wanted[trial_id] else None)
        for trial_id, number in settled.items()
        if number != present[trial_id] or number != wanted[trial_id]
    ]
