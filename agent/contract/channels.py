"""The topics of one station with what goes over each, in the order in which they are printed."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Literal

from agent.command_gate import CommandClaims
from agent.mqtt.payloads import NAMED, STATES, About, CommandReply, LogEvent, Message, Readings, Status
from agent.mqtt.topics import Topics

PREFIX = "stations"
"""What topics begin with where the settings say nothing else."""

STATION, NAME = "{station}", "{name}"
_TOPICS = Topics(PREFIX, "STATION")


@dataclass(frozen=True, slots=True)
class Channel:
    """One topic. `action`: of the agent; `model`: of every message on it, or of what it signs; always QoS 1."""

    name: str
    address: str
    action: Literal["send", "receive"]
    model: type[Message]
    is_retained: bool
    means: str
    content_type: str = "application/json"


def channels() -> tuple[Channel, ...]:
    """Every topic there is."""
    return (
        _channel("status", _TOPICS.status, Status, is_retained=True),
        _channel("about", _TOPICS.about, About, is_retained=True),
        *(_state(part) for part in STATES),
        _channel("log", _TOPICS.log, LogEvent, is_retained=False, content_type="application/cloudevents+json"),
        _channel("readings", _TOPICS.readings, Readings, is_retained=False),
        _channel("replies", _TOPICS.replies, CommandReply, is_retained=False),
        _channel("commands", _TOPICS.commands, CommandClaims, is_retained=False, content_type="application/jose"),
    )


def first_line(model: type[Message]) -> str:
    """What a model is, in a sentence."""
    return (inspect.getdoc(model) or "").partition("\n")[0]


def _state(part: str) -> Channel:
    topic = _TOPICS.state(f"{part}/NAME" if part in NAMED else part)
    return _channel(f"state_{part}", topic, STATES[part], is_retained=True)


def _channel(
    name: str, topic: str, model: type[Message], *, is_retained: bool, content_type: str = "application/json"
) -> Channel:
    address = topic.replace("STATION", STATION).replace("NAME", NAME)
    action: Literal["send", "receive"] = "receive" if model is CommandClaims else "send"
    return Channel(name, address, action, model, is_retained, first_line(model), content_type)
