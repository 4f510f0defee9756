"""The way of the log to the broker: connection, sending, acknowledgement, and sending again on request."""

from __future__ import annotations

from agent import events
from agent.core import confirming, outbox, publication, replaying
from agent.core.problems import Problem, Words, problem
from agent.core.replaying import Stuck
from agent.core.turn import Turn
from agent.effects import Reply
from agent.events import ControlRequested

_OTHER_SESSION = Words("连接已更换", "the link is another one now")


def on_outbox(turn: Turn, event: events.OutboxRead) -> None:
    """The next entries to send."""
    sending, orders = outbox.take(turn.state.outbox, event.entries, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)


def on_connected(turn: Turn, event: events.BrokerConnected) -> None:
    """The broker is there."""
    _fail_replay(turn, problem("broker.disconnected", "mqtt", _OTHER_SESSION))
    turn.set(session=event.session)
    turn.clear_fault("broker.disconnected", "mqtt")
    publication.tell_all(turn)  # live state first, the backlog after it
    turn.set(outbox=outbox.connected(turn.state.outbox, event.session, turn.now, turn.rules.outbox))


def on_disconnected(turn: Turn, event: events.BrokerDisconnected) -> None:
    """It is gone."""
    _fail_replay(turn, problem("broker.disconnected", "mqtt", event.reason))
    turn.set(session=None, outbox=outbox.disconnected(turn.state.outbox))
    turn.raise_fault("broker.disconnected", "mqtt", event.reason)


def on_acknowledged(turn: Turn, event: events.EntriesAcknowledged) -> None:
    """The broker has these entries."""
    sending, orders = outbox.acknowledge(turn.state.outbox, event.session, *event.places)
    turn.set(outbox=sending)
    turn.do(*orders)


def ask(turn: Turn) -> None:
    """Ask the storage for more to send, where the broker's limits allow it: what is new before what goes again."""
    sending, orders = outbox.ask(turn.state.outbox, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)
    replay = turn.state.replay
    if replay is None:
        return
    if turn.now >= replay.until:
        _fail_replay(turn, _too_late(replay.stuck))
        return
    replay, sending, orders = replaying.ask(replay, turn.state.outbox, turn.now, turn.rules.outbox)
    turn.set(replay=replay, outbox=sending)
    turn.do(*orders)


# --- once more -------------------------------------------------------------------------------------------------------


def replay(turn: Turn, asked: ControlRequested) -> None:
    """Send a part of the log again; the answer comes when the broker has the last of it."""
    state, epoch = turn.state, int(asked.arguments["epoch"])
    if state.replay is not None:
        words = Words("正在补发另一段记录", "another part of the log is being sent again")
        turn.refuse(asked.request, problem("request.busy", asked.action, words))
    elif state.session is None:
        turn.refuse(asked.request, problem("broker.disconnected", "mqtt", asked.action))
    elif not state.is_read:
        turn.refuse(asked.request, problem("storage.failed", "storage", "the log is not open yet"))
    elif epoch > state.outbox.newest[0]:
        turn.refuse(asked.request, problem("log.unknown_epoch", asked.action, str(epoch)))
    else:
        first, last = int(asked.arguments["first"]), int(asked.arguments["last"])
        begun = replaying.begin(asked.request, state.session, epoch, first, last, state.outbox.cursor, turn.now)
        turn.set(replay=begun)
        _finish_replay(turn)


def on_entries(turn: Turn, event: events.EntriesRead) -> None:
    """A page of the log, for whoever asked for it."""
    replay = turn.state.replay
    if replay is None or not replay.is_reading or event.question != replay.question:
        confirming.on_entries(turn, event)  # or it is of a replay that has failed meanwhile
        return
    if event.error:
        _fail_replay(turn, problem("storage.failed", "storage", event.error))
        return
    replay, sending, orders = replaying.take(replay, turn.state.outbox, event.entries, event.anchor, turn.now)
    turn.set(replay=replay, outbox=sending)
    turn.do(*orders)
    _finish_replay(turn)


def on_replayed(turn: Turn, event: events.EntryReplayed) -> None:
    """The broker has an entry once more, or does not take it."""
    replay = turn.state.replay
    if replay is None or event.request != replay.request:
        return
    if event.error:
        detail = f"{event.epoch}/{event.sequence}: {event.error}"
        _fail_replay(turn, problem("log.not_taken", "mqtt", detail))
        return
    turn.set(replay=replaying.acknowledge(replay, event.epoch, event.sequence, turn.now))
    _finish_replay(turn)


def _finish_replay(turn: Turn) -> None:
    replay = turn.state.replay
    if replay is not None and replay.is_done:
        turn.set(replay=None)
        turn.do(Reply(replay.request, ok=True, result=replay.result()))


def _fail_replay(turn: Turn, why: Problem) -> None:
    replay = turn.state.replay
    if replay is not None:
        turn.set(replay=None)
        turn.do(Reply(replay.request, ok=False, result=replay.result(), problems=(why.as_dict(),)))


def _too_late(stuck: Stuck) -> Problem:
    match stuck:
        case Stuck.DISK:
            return problem("storage.failed", "storage", "the log was not read in time")
        case Stuck.BROKER:
            words = Words("消息服务器没有确认补发的记录", "the broker does not acknowledge what is sent again")
            return problem("request.timed_out", "log.replay", words)
        case Stuck.BACKLOG:
            words = Words("还有新的记录要先发送", "newer entries have to be sent first")
            return problem("request.busy", "log.replay", words)
