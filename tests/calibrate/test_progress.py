from __future__ import annotations

import pytest

from calibrate.progress import Clock


class Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_time_left_follows_the_speed_that_was_seen() -> None:
    watch = Watch()
    clock = Clock({"fabricate": 50, "refine": 50}, watch)
    watch.seconds = 50  # a quarter of the work took twice as long as estimated
    progress = clock.at("fabricate", 1, 2)
    assert progress.fraction == pytest.approx(0.25)
    assert progress.seconds_left == pytest.approx(150)


def test_the_fraction_never_goes_back() -> None:
    watch = Watch()
    clock = Clock({"select": 1, "fabricate": 10, "refine": 20, "measure": 5}, watch)
    seen = []
    for stage, total in (("select", 1), ("fabricate", 4), ("refine", 6), ("measure", 3), ("export", 1)):
        for done in range(total + 1):
            watch.seconds += 1
            seen.append(clock.at(stage, done, total).fraction)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_no_guess_is_made_before_anything_was_seen() -> None:
    assert Clock({"fabricate": 50}, Watch()).at("fabricate", 0, 10).seconds_left is None


def test_seconds_by_stage_add_up() -> None:
    watch = Watch()
    clock = Clock({"select": 1, "refine": 1}, watch)
    watch.seconds = 2
    clock.at("refine", 0, 1)
    watch.seconds = 7
    assert clock.finish() == 7
    assert clock.seconds_by_stage == {"select": 2, "refine": 5}
