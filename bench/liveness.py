"""How many pictures pass for a head in mode `photo`, and how many heads do not, rendered from the London portraits.

The thresholds were set on the first 28 people and their own seeds; here are others. Attacks are held up for `HELD_S`
seconds, riders have two. Frames are judged as they are rendered, without a codec in between; real clips are reported
apart.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from agent.vision.engine import FaceEngine, load_engine
from agent.vision.evaluate import wilson
from agent.vision.footage import FootageError, Judgement, judge, judge_file
from agent.vision.quality import eyes_and_nose
from bench.bar import Bar, not_measured
from bench.places import DATA, LONDON, MODELS
from drivers.camera import load_picture
from drivers.simulated.rider import FaceOutline, Kind, MovingSubject

TUNED_ON = 28  # people of the set, in the order of their names
PEOPLE = 42
SEED = 5_000
FPS = 10.0
LIVE_WITHIN_S, HELD_S = 2.0, 4.0
WORDS: dict[Kind, str] = {
    "print": "flat print in `photo` mode",
    "bent_print": "    bent print",
    "screen": "    still on a screen",
    "replay": "    video of a moving head on a screen (not stopped)",
}


def bars() -> Iterator[Bar]:
    """Some ten minutes; a third of it for the print and the rider that have bars."""
    folders = sorted(LONDON.glob("*/"))[TUNED_ON : TUNED_ON + PEOPLE]
    if len(folders) < PEOPLE:
        yield not_measured(
            "flat print; genuine rendered rider", "0 live; ≥ 38 of 40 live", "needs ../shared/data/london"
        )
        return
    with tempfile.TemporaryDirectory(prefix="station-bench-") as cache:
        engine = load_engine(models=MODELS if MODELS.is_dir() else None, cache=Path(cache))
        people = [_portrait(folder, engine) for folder in folders]
        yield _riders(people, engine)
        for kind, words in WORDS.items():
            yield _attacks(kind, words, people, engine)
        yield from _real_clips(engine)


def _portrait(folder: Path, engine: FaceEngine) -> tuple[NDArray[np.uint8], FaceOutline]:
    picture = load_picture(min(folder.glob("*.jpg")))
    face = engine.detect(picture)[0]
    return picture, FaceOutline(face.box, *eyes_and_nose(face.landmarks, engine.name))


def _judge(person: tuple[NDArray[np.uint8], FaceOutline], kind: Kind, seed: int, engine: FaceEngine) -> Judgement:
    subject = MovingSubject(*person, kind, seed)
    held_s = LIVE_WITHIN_S if kind == "rider" else HELD_S
    times = [n / FPS for n in range(round(held_s * FPS) + 1)]
    return judge(((subject.frame(at), at) for at in times), engine)


def _riders(people: list[tuple[NDArray[np.uint8], FaceOutline]], engine: FaceEngine) -> Bar:
    found = [_judge(each, "rider", SEED + n, engine) for n, each in enumerate(people)]
    times = sorted(each.decided_s for each in found if each.verdict == "live" and each.decided_s is not None)
    refused = len(found) - len(times)
    attacks = sum(each.verdict == "attack" for each in found)
    took = f"; live after {median(times):.1f} s in the median, {times[-1]:.1f} s at the most" if times else ""
    words = f"{len(times)} live; BPCER {_share(refused, len(found))}, {attacks} taken for an attack{took}"
    is_met = len(times) >= len(found) * 38 / 40
    return Bar("genuine rendered rider in `photo` mode", "≥ 38 of 40 live within 2 s", words, is_met)


def _attacks(kind: Kind, words: str, people: list[tuple[NDArray[np.uint8], FaceOutline]], engine: FaceEngine) -> Bar:
    found = [_judge(each, kind, SEED + n, engine) for n, each in enumerate(people)]
    live = sum(each.verdict == "live" for each in found)
    named = sum(each.verdict == "attack" for each in found)
    measured = f"{live} live: APCER {_share(live, len(found))}; {named} called an attack"
    if kind == "print":
        return Bar(words, "0 of 40 live", measured, live == 0)
    return Bar(words, "", measured, None)


def _real_clips(engine: FaceEngine) -> Iterator[Bar]:
    for clip in sorted((DATA / "video").glob("*.mp4")):
        try:
            found = judge_file(clip, engine)
        except FootageError as error:
            yield not_measured(f"real clip {clip.name}", "", str(error))
            continue
        after = "" if found.decided_s is None else f" after {found.decided_s:.1f} s"
        yield Bar(f"    real clip {clip.name}", "", f"{found.verdict} ({found.reason}){after}", None)


def _share(count: int, of: int) -> str:
    low, high = wilson(count / of, of)
    return f"{count / of:.1%} [{low:.1%}, {high:.1%}], n = {of}"
