"""What the storage reports: entries that are durable or lost, the disk, and rows for who asked."""

from __future__ import annotations

from agent import events
from agent.core import (
    command_desk,
    confirming,
    hours,
    membership,
    noticeboard,
    notifying,
    outbox,
    pass_entry,
    requests,
    roster,
    sensing,
    stock,
    switching,
    templates,
    upkeep,
    vault,
    ways_in,
)
from agent.core.occupancy import Visit, rejoin
from agent.core.passage import resume_order
from agent.core.problems import problem
from agent.core.turn import Turn
from agent.effects import Reply


def on_logged(turn: Turn, event: events.EntriesLogged) -> None:
    """Entries are durable."""
    for receipt in event.receipts:
        turn.set(outbox=outbox.logged(turn.state.outbox, (receipt.epoch, receipt.sequence)))
        if receipt.tag:
            requests.answer_logged(turn, receipt.tag, receipt.epoch, receipt.sequence)
    turn.set(entries_logged=turn.state.entries_logged + len(event.receipts))


def on_lost(turn: Turn, event: events.EntriesLost) -> None:
    """Entries that could not be kept."""
    turn.raise_fault("storage.lost", "storage", str(len(event.tags)))
    for request in event.tags:
        requests.give_up(turn, request)


def on_storage_opened(turn: Turn, event: events.StorageOpened) -> None:
    """Go on from what is on the disk, as a start does; what happened since is written to it next."""
    found = event.restored
    visits = tuple(Visit(each.id, each.member_id, turn.now) for each in found.open_visits)
    turn.set(
        members={each.id: each for each in membership.still_suspended(turn, found.members)},
        is_read=True,
        vouched=turn.state.vouched or hours.vouched(found, turn.now),
        occupancy=rejoin(turn.state.occupancy, visits, found.inside),
        outbox=outbox.opened(turn.state.outbox, found.cursor, found.newest),
    )
    upkeep.begin(turn, found)
    stock.learn(turn, found)
    switching.begin(turn, found)
    noticeboard.begin(turn, found)
    command_desk.learn(turn, found)
    confirming.begin(turn, found)
    if found.notes:  # or the start had them
        notifying.begin(turn, found)
    resume_order(turn, found.order)
    templates.rebuild_gallery(turn)
    ways_in.load(turn)
    for place, detail in found.problems:
        turn.raise_fault("storage.mended", place, detail)
    vault.raise_faults(turn, found.faults)
    pass_entry.learn(turn, found.revoked_passes)
    sensing.rejoin(turn, found.notes)


def on_storage_failed(turn: Turn, event: events.StorageFailed) -> None:
    """The disk does not do its work; what is to be written waits, within bounds."""
    turn.raise_fault("storage.failed", "storage", event.reason)


def on_storage_recovered(turn: Turn, _event: events.StorageRecovered) -> None:
    """It does again."""
    turn.clear_fault("storage.failed", "storage")


def on_disk_space(turn: Turn, event: events.DiskSpaceChanged) -> None:
    """Told ahead of the day on which nothing can be written any more."""
    if event.is_low:
        turn.raise_fault("storage.low", "storage", str(event.free_mb))
    else:
        turn.clear_fault("storage.low", "storage")


def on_query(turn: Turn, event: events.QueryAnswered) -> None:
    """Rows for who asked."""
    waiting = turn.forget(event.request)
    if waiting is None:
        return
    if event.error:
        turn.refuse(event.request, problem("request.invalid", "query", event.error))
    else:
        turn.do(Reply(event.request, ok=True, result=roster.result_for(turn, waiting.result, event.rows)))
