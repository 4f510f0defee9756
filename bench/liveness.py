"""How many pictures pass for a head, and how many heads do not, rendered from the London portraits: both modes.

The thresholds were set on the first 28 people and their own seeds; here are others. In mode `photo` attacks are held up
for `HELD_S` seconds, riders have two. In mode `challenge` the whole way is played, from the frames to the rules, with
members who were enrolled from one photo and are rendered from another. Frames are judged as they are rendered, without
a codec in between; real clips are reported apart.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from agent.core.gallery import build_gallery
from agent.vision.engine import FaceEngine, load_engine
from agent.vision.evaluate import wilson
from agent.vision.footage import FootageError, Judgement, judge, judge_file
from agent.vision.quality import eyes_and_nose
from bench.bar import Bar, not_measured
from bench.doorway import Doorway, Visit
from bench.places import DATA, LONDON, MODELS
from drivers.camera import load_picture
from drivers.simulated.rider import MOVEMENTS, FaceOutline, Kind, Movement, MovingSubject

Person = tuple[NDArray[np.uint8], FaceOutline]
Holder = Literal["obeys", "does nothing", "plays one turn", "plays the right turn"]
"""Who stands there, or holds the picture up. `plays one turn`: when the door asks, always the same one of a person."""

TUNED_ON = 28  # people of the set, in the order of their names
PEOPLE = 42
SEED = 5_000
FPS = 10.0
LIVE_WITHIN_S, HELD_S = 2.0, 4.0
CHALLENGED_S = 15.0  # longer than a challenge lasts
CHALLENGES: tuple[tuple[str, Kind, Holder], ...] = (
    ("    flat print", "print", "does nothing"),
    ("    bent print", "bent_print", "does nothing"),
    ("    video of a moving head on a screen", "replay", "does nothing"),
    ("    video of one turn, begun when the door asks (half of them the right way)", "replay", "plays one turn"),
    ("    videos of both turns, the right one begun (not stopped)", "replay", "plays the right turn"),
)
WORDS: dict[Kind, str] = {
    "print": "flat print in `photo` mode",
    "bent_print": "    bent print",
    "screen": "    still on a screen",
    "replay": "    video of a moving head on a screen (not stopped)",
}


def bars() -> Iterator[Bar]:
    """Some twenty minutes; the print and the rider that have bars come first."""
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
        yield from challenged(folders, people, engine)


def _portrait(folder: Path, engine: FaceEngine) -> Person:
    picture = load_picture(min(folder.glob("*.jpg")))
    face = engine.detect(picture)[0]
    return picture, FaceOutline(face.box, *eyes_and_nose(face.landmarks, engine.name))


def challenged(folders: Sequence[Path], people: Sequence[Person], engine: FaceEngine) -> Iterator[Bar]:
    """The figures of mode `challenge`: riders who obey, then attacks."""
    enrolled = [(folder.name, _enrolled(folder, engine)) for folder in folders]
    door = Doorway(engine, build_gallery(enrolled, engine=engine.name, weights=engine.weights))
    yield _obeying([_visit(door, each, "rider", "obeys", n) for n, each in enumerate(people)])
    for words, kind, holder in CHALLENGES:
        yield _challenged_attacks(words, [_visit(door, each, kind, holder, n) for n, each in enumerate(people)])


def _enrolled(folder: Path, engine: FaceEngine) -> NDArray[np.float32]:
    """The vector of the person's other photo: nobody looks at the door just as they did when they enrolled."""
    picture = load_picture(max(folder.glob("*.jpg")))
    return engine.vector(picture, engine.detect(picture)[0])


def _visit(door: Doorway, person: Person, kind: Kind, holder: Holder, number: int) -> Visit:
    subject = MovingSubject(*person, kind, SEED + 1000 + number)

    def on_asked(movement: Movement, at: float) -> None:
        if holder != "does nothing":
            subject.turn(MOVEMENTS[number % 2] if holder == "plays one turn" else movement, at)

    times = [n / FPS for n in range(round(CHALLENGED_S * FPS) + 1)]
    return door.visit(((subject.frame(at), at) for at in times), number.to_bytes(8, "big"), on_asked)


def _obeying(visits: Sequence[Visit]) -> Bar:
    took = sorted(each.seconds for each in visits if each.result == "admitted")
    others = Counter(each.result for each in visits if each.result != "admitted")
    times = f"; {median(took):.1f} s in the median, {took[-1]:.1f} s at the most" if took else ""
    words = (
        f"{len(took)} admitted at once; BPCER {_share(len(visits) - len(took), len(visits))}{times}{_reasons(others)}"
    )
    return Bar("rider who obeys, in `challenge` mode", "", words, None)


def _challenged_attacks(words: str, visits: Sequence[Visit]) -> Bar:
    admitted = sum(each.result == "admitted" for each in visits)
    asked = sum(each.asked is not None for each in visits)
    others = Counter(each.result for each in visits if each.result != "admitted")
    measured = f"{admitted} admitted: APCER {_share(admitted, len(visits))}; {asked} were asked to turn"
    return Bar(words, "", measured + _reasons(others), None)


def _reasons(others: Counter[str]) -> str:
    return "".join(f", {count} {reason}" for reason, count in others.most_common())


def _judge(person: Person, kind: Kind, seed: int, engine: FaceEngine) -> Judgement:
    subject = MovingSubject(*person, kind, seed)
    held_s = LIVE_WITHIN_S if kind == "rider" else HELD_S
    times = [n / FPS for n in range(round(held_s * FPS) + 1)]
    return judge(((subject.frame(at), at) for at in times), engine)


def _riders(people: Sequence[Person], engine: FaceEngine) -> Bar:
    found = [_judge(each, "rider", SEED + n, engine) for n, each in enumerate(people)]
    times = sorted(each.decided_s for each in found if each.verdict == "live" and each.decided_s is not None)
    refused = len(found) - len(times)
    attacks = sum(each.verdict == "attack" for each in found)
    took = f"; live after {median(times):.1f} s in the median, {times[-1]:.1f} s at the most" if times else ""
    words = f"{len(times)} live; BPCER {_share(refused, len(found))}, {attacks} taken for an attack{took}"
    is_met = len(times) >= len(found) * 38 / 40
    return Bar("genuine rendered rider in `photo` mode", "≥ 38 of 40 live within 2 s", words, is_met)


def _attacks(kind: Kind, words: str, people: Sequence[Person], engine: FaceEngine) -> Bar:
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
