"""Who is inside: visits from an entry to an exit.

An exit by the button does not say who leaves. With one person inside it is that person; with several it only lowers
the count, and the visits end together when the count comes to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agent.effects import BeginVisit, EndVisit, VisitChange

MAX_VISITS = 200  # far more than fit into a station; those who left unseen must not pile up for years


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that has not ended. `member_id` is None for an anonymous entry.

    `entered_at`: station time, of the start for a visit that is older than it.
    """

    id: str
    member_id: str | None
    entered_at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The visits that are open and how many people have left without saying which of them they are."""

    visits: tuple[Visit, ...] = ()
    unnamed_exits: int = 0
    begun: int = 0

    @property
    def count(self) -> int:
        """How many people are inside; never below 0."""
        return max(0, len(self.visits) - self.unnamed_exits)


def enter(
    state: Occupancy, prefix: str, member_id: str | None, now: float
) -> tuple[Occupancy, tuple[VisitChange, ...]]:
    """Begin a visit, named `prefix` and a running number.

    A member who is still inside had left unseen, and so had whoever came first when there are more than `MAX_VISITS`.
    """
    changes: list[VisitChange] = []
    visits = state.visits
    unnamed = state.unnamed_exits
    for visit in visits:
        if member_id is not None and visit.member_id == member_id:
            changes.append(EndVisit(visit.id, now, "entered_again"))
            visits = tuple(each for each in visits if each.id != visit.id)
            unnamed = max(0, unnamed - 1)  # one of the unnamed exits was theirs
    if len(visits) >= MAX_VISITS:
        changes.append(EndVisit(visits[0].id, now, "left_unseen"))
        visits = visits[1:]
        unnamed = max(0, unnamed - 1)
    visit = Visit(f"{prefix}-{state.begun + 1}", member_id, now)
    changes.append(BeginVisit(visit.id, member_id, now))
    return Occupancy((*visits, visit), unnamed, state.begun + 1), tuple(changes)


def forget(state: Occupancy, member_id: str, now: float) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """End the visits of a member who is erased; where somebody left unnamed, it was they, as when one enters again."""
    ended = tuple(EndVisit(visit.id, now, "erased") for visit in state.visits if visit.member_id == member_id)
    if not ended:
        return state, ()
    visits = tuple(visit for visit in state.visits if visit.member_id != member_id)
    return replace(state, visits=visits, unnamed_exits=max(0, state.unnamed_exits - len(ended))), ended


def resume(visits: tuple[Visit, ...], inside: int | None) -> Occupancy:
    """Go on after a start with the visits that are open and how many people were inside."""
    return Occupancy(visits, 0 if inside is None else max(0, len(visits) - inside))


def rejoin(state: Occupancy, visits: tuple[Visit, ...], inside: int | None) -> Occupancy:
    """Visits from before the start that could not be read then, as `resume` takes them: they are the older ones."""
    older = resume(visits, inside)
    return replace(state, visits=(*visits, *state.visits), unnamed_exits=state.unnamed_exits + older.unnamed_exits)


def leave_named(state: Occupancy, now: float, how: str, member_id: str) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """This member leaves, by an exit that told who it is; without a visit of theirs somebody does."""
    for visit in state.visits:
        if visit.member_id == member_id:
            rest = tuple(each for each in state.visits if each.id != visit.id)
            after, emptied = _end_if_empty(replace(state, visits=rest), now)
            return after, (EndVisit(visit.id, now, how), *emptied)
    return leave(state, now, how)


def name_leaver(
    state: Occupancy, now: float, how: str, member_id: str, *, was_counted: bool
) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """It turns out who left; `was_counted`: as an unnamed exit. Without a visit of theirs nobody else has left."""
    for visit in state.visits:
        if visit.member_id == member_id:
            rest = tuple(each for each in state.visits if each.id != visit.id)
            unnamed = max(0, state.unnamed_exits - was_counted)
            after, emptied = _end_if_empty(replace(state, visits=rest, unnamed_exits=unnamed), now)
            return after, (EndVisit(visit.id, now, how), *emptied)
    return state, ()


def expire(state: Occupancy, now: float, limit_s: float) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """End visits that have lasted too long: whoever began them has left unseen."""
    over = tuple(each for each in state.visits if now >= each.entered_at + limit_s)
    if not over:
        return state, ()
    rest = tuple(each for each in state.visits if each not in over)
    unnamed = max(0, state.unnamed_exits - len(over))  # some of the unnamed exits were theirs
    after, emptied = _end_if_empty(replace(state, visits=rest, unnamed_exits=unnamed), now)
    return after, (*(EndVisit(each.id, now, "time_limit") for each in over), *emptied)


def _end_if_empty(state: Occupancy, now: float) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """With as many unnamed exits as visits nobody is left, and those visits are over."""
    if state.count > 0:
        return state, ()
    return Occupancy(begun=state.begun), tuple(EndVisit(each.id, now, "room_empty") for each in state.visits)


def deadline(state: Occupancy, limit_s: float) -> float | None:
    """When `expire` has something to end."""
    return min((each.entered_at + limit_s for each in state.visits), default=None)


def leave(state: Occupancy, now: float, how: str) -> tuple[Occupancy, tuple[EndVisit, ...]]:
    """Somebody leaves; from an empty room nobody does.

    Where all who are inside are anonymous, one is as good as another: it is whoever came first.
    """
    if state.count == 0:
        return state, ()
    if all(visit.member_id is None for visit in state.visits):
        gone = state.unnamed_exits + 1
        ended = tuple(EndVisit(visit.id, now, how) for visit in state.visits[:gone])
        return replace(state, visits=state.visits[gone:], unnamed_exits=0), ended
    if state.count > 1:
        return replace(state, unnamed_exits=state.unnamed_exits + 1), ()
    is_certain = len(state.visits) == 1
    ended = tuple(EndVisit(visit.id, now, how if is_certain else "room_empty") for visit in state.visits)
    return Occupancy(begun=state.begun), ended
