"""The way of the log to the broker: connection, sending, acknowledgement."""

from __future__ import annotations

from agent import events
from agent.core import outbox, publication
from agent.core.turn import Turn


def on_outbox(turn: Turn, event: events.OutboxRead) -> None:
    """The next entries to send."""
    sending, orders = outbox.take(turn.state.outbox, event.entries, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)


def on_connected(turn: Turn, event: events.BrokerConnected) -> None:
    """The broker is there."""
    turn.set(session=event.session)
    turn.clear_fault("broker.disconnected", "mqtt")
    publication.tell_all(turn)  # live state first, the backlog after it
    turn.set(outbox=outbox.connected(turn.state.outbox, event.session, turn.now, turn.rules.outbox))


def on_disconnected(turn: Turn, event: events.BrokerDisconnected) -> None:
    """It is gone."""
    turn.set(session=None, outbox=outbox.disconnected(turn.state.outbox))
    turn.raise_fault("broker.disconnected", "mqtt", event.reason)


def on_acknowledged(turn: Turn, event: events.EntriesAcknowledged) -> None:
    """The broker has these entries."""
    sending, orders = outbox.acknowledge(turn.state.outbox, event.session, *event.places)
    turn.set(outbox=sending)
    turn.do(*orders)


def ask(turn: Turn) -> None:
    """Ask the storage for more to send, where the broker's limits allow it."""
    sending, orders = outbox.ask(turn.state.outbox, turn.now, turn.rules.outbox)
    turn.set(outbox=sending)
    turn.do(*orders)
