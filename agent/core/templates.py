"""Which stored faces count: those of the engine and weights in use; what others there are waits and is named.

During a change-over of engines a member may have a template of each. Enrolling replaces the one of the engine in use
and keeps the others, so that the engine can be set back, or every station changed in its own time.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.core.gallery import Gallery
from agent.core.turn import Turn
from agent.effects import BuildGallery
from agent.events import Member, Template

MAX_OTHERS = 3  # templates kept beside the newest: a change-over has two engines, and each may get new weights once
NAMED_MAX = 12  # ids in a fault's text; with more, all must enrol again anyway


def renewed(known: Member | None, template: Template) -> tuple[Template, ...]:
    """The member's templates with this one in the place of an earlier one of the same engine and weights."""
    others = [
        each
        for each in (known.templates if known else ())
        if (each.engine, each.weights) != (template.engine, template.weights)
    ]
    return (*others[-MAX_OTHERS:], template)


def without_usable(members: Iterable[Member], gallery: Gallery) -> tuple[str, ...]:
    """Members who have a stored face but none that this gallery can compare, in the order of their ids."""
    enrolled = set(gallery.members)
    return tuple(sorted(each.id for each in members if each.templates and each.id not in enrolled))


def rebuild_gallery(turn: Turn) -> None:
    """Order a gallery of the members there are now; one that is still being built is dropped."""
    if turn.state.engine is None:
        return
    request = turn.state.gallery_request + 1
    turn.set(gallery_request=request)
    turn.do(BuildGallery(request, *turn.state.engine, tuple(turn.state.members.values())))


def judge_gallery(turn: Turn, gallery: Gallery) -> None:
    """Raise or clear the faults that a gallery just built shows."""
    if gallery.is_too_large:
        turn.word_fault("gallery.too_large", "gallery", f"{len(gallery.members)} > {gallery.capacity}")
    else:
        turn.clear_fault("gallery.too_large", "gallery")
    if refused := without_usable(turn.state.members.values(), gallery):
        turn.word_fault("template.refused", "gallery", listed(refused))
    else:
        turn.clear_fault("template.refused", "gallery")


def listed(member_ids: tuple[str, ...]) -> str:
    """Ids for a fault's text, and how many more there are."""
    more = len(member_ids) - NAMED_MAX
    return ", ".join(member_ids[:NAMED_MAX]) + (f" … (+{more})" if more > 0 else "")
