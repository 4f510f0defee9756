"""The contract as an AsyncAPI 3 document, made from the models that the agent publishes with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from agent.command_gate import ALGORITHM, CommandClaims
from agent.contract.channels import Channel, channels
from agent.contract.commands import DOES, arguments_of
from agent.contract.entries import ENTRIES, PREFIX, body_model
from agent.contract.examples import EXAMPLES
from agent.core.commands import COMMANDS
from agent.mqtt.payloads import CONTRACT_VERSION, MAX_PAYLOAD_BYTES, LogEvent, Message, encode

ASYNCAPI = "3.0.0"
_BINDING = "0.2.0"  # the newest of the MQTT operation binding
_SCHEMAS = "#/components/schemas/"

_INTRODUCTION = f"""\
What an unattended rest station publishes over MQTT (5 by default, 3.1.1 by a setting) and what it takes. Every message
is one JSON object, UTF-8, of at most {MAX_PAYLOAD_BYTES} bytes, with QoS 1. Operations are the station's: it sends what
a server receives.

A later minor version may add fields and types of entries: a reader passes over what it does not know. Nothing
that a station sends carries a face, a template or a person's name; a member is an opaque id.

无人值守驿站通过 MQTT 发布和接收的全部消息。消息为 JSON,QoS 1;后续小版本可能增加字段,读取方应忽略不认识的内容。
"""

_PARAMETERS: Mapping[str, str] = {
    "station": "The station's id: 1 to 64 of A-Z a-z 0-9 . _ - and no full stop in front.",
    "name": "The name of the appliance or supply in the station's settings.",
}


def asyncapi() -> dict[str, Any]:
    """The document, as JSON values."""
    every = channels()
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "station-agent",
            "version": CONTRACT_VERSION,
            "description": _INTRODUCTION,
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "broker.example.org:8883",
                "protocol": "secure-mqtt",
                "protocolVersion": "5",
                "description": "The central server's broker. TLS with a client certificate for each station.",
            }
        },
        "channels": {each.name: _channel(each) for each in every},
        "operations": {f"{each.action}_{each.name}": _operation(each) for each in every},
        "components": {
            "messages": {name: message for each in every for name, message in _messages(each).items()},
            "schemas": _schemas(every),
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    parameters = {name: {"description": text} for name, text in _PARAMETERS.items() if f"{{{name}}}" in channel.address}
    return {
        "address": channel.address,
        "description": channel.means,
        "parameters": parameters,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages(channel)},
    }


def _operation(channel: Channel) -> dict[str, Any]:
    answered = {"reply": {"channel": {"$ref": "#/channels/replies"}}} if channel.model is CommandClaims else {}
    return {
        **answered,
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.name}"},
        "summary": channel.means,
        "bindings": {"mqtt": {"qos": 1, "retain": channel.is_retained, "bindingVersion": _BINDING}},
    }


def _messages(channel: Channel) -> dict[str, dict[str, Any]]:
    if channel.model is LogEvent:
        return {message_name(kind): _entry(kind, channel) for kind in ENTRIES}
    if channel.model is CommandClaims:
        return {f"command_{name.replace('.', '_')}": _command(name, channel) for name in COMMANDS}
    message: dict[str, Any] = {
        "summary": channel.means,
        "contentType": channel.content_type,
        "payload": {"$ref": f"{_SCHEMAS}{channel.model.__name__}"},
    }
    if channel.name in EXAMPLES:
        message["examples"] = [{"payload": _as_sent(EXAMPLES[channel.name])}]
    return {channel.name: message}


def message_name(kind: str) -> str:
    """Of an entry of this type."""
    return f"log_{kind.replace('.', '_')}"


def _entry(kind: str, channel: Channel) -> dict[str, Any]:
    """One message for each type of entry: the envelope, with its `type` and the schema of its `data`."""
    narrowed = {
        "type": "object",
        "properties": {
            "type": {"const": f"{PREFIX}{kind}"},
            "data": {"$ref": f"{_SCHEMAS}{body_model(kind).__name__}"},
        },
    }
    message: dict[str, Any] = {
        "title": f"{PREFIX}{kind}",
        "summary": ENTRIES[kind].means,
        "contentType": channel.content_type,
        "payload": {"allOf": [{"$ref": f"{_SCHEMAS}LogEvent"}, narrowed]},
    }
    if (name := message_name(kind)) in EXAMPLES:
        message["examples"] = [{"payload": _as_sent(EXAMPLES[name])}]
    return message


def _command(name: str, channel: Channel) -> dict[str, Any]:
    """One message for each command. The payload is text; what it signs stands in `x-claims`."""
    proof = COMMANDS[name].freshness.value
    narrowed = {
        "type": "object",
        "required": [proof],
        "properties": {"name": {"const": name}, "arguments": {"$ref": f"{_SCHEMAS}{arguments_of(name).__name__}"}},
    }
    return {
        "title": name,
        "summary": DOES[name],
        "contentType": channel.content_type,
        "payload": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$",
            "maxLength": MAX_PAYLOAD_BYTES,
            "description": f"A compact JWS, alg {ALGORITHM}; x-claims is what it signs.",
            "x-claims": {"allOf": [{"$ref": f"{_SCHEMAS}CommandClaims"}, narrowed]},
        },
    }


def _as_sent(message: Message) -> Any:
    return json.loads(encode(message))


def _schemas(every: tuple[Channel, ...]) -> dict[str, Any]:
    # What is sent always has its defaults; a body has only what was put into it.
    sent = [(each.model, "serialization") for each in every if each.action == "send"]
    received = [(each.model, "validation") for each in every if each.action == "receive"]
    bodies = [(body_model(kind), "validation") for kind in ENTRIES]
    arguments = [(arguments_of(name), "validation") for name in COMMANDS]
    _, found = models_json_schema(
        [*dict.fromkeys([*sent, *received, *bodies, *arguments])],  # type: ignore[list-item]
        ref_template=f"{_SCHEMAS}{{model}}",
    )
    schemas: dict[str, Any] = found["$defs"]
    strict = {model.__name__ for model, _ in (*received, *arguments)}
    optional = strict | {model.__name__ for model, _ in bodies}
    for name, schema in schemas.items():
        _tidy(schema, is_open=name not in strict)
        if name not in optional and "properties" in schema:
            schema["required"] = list(schema["properties"])
    _leave_out_what_is_absent(schemas["LogEvent"])
    return dict(sorted(schemas.items()))


def _tidy(schema: Any, *, is_open: bool) -> None:
    """Take out what is pydantic's alone. Whoever reads what a station sends must not fail at a field that is new."""
    if isinstance(schema, list):
        for each in schema:
            _tidy(each, is_open=is_open)
    if not isinstance(schema, dict):
        return
    if is_open and schema.get("additionalProperties") is False:
        del schema["additionalProperties"]
    if "default" in schema and schema["default"] is None:
        del schema["default"]
    properties = schema.get("properties")
    if isinstance(properties, dict):
        for each in properties.values():
            each.pop("title", None)
    for key, each in schema.items():
        if key != "properties":
            _tidy(each, is_open=is_open)
    for each in properties.values() if isinstance(properties, dict) else ():
        _tidy(each, is_open=is_open)


def _leave_out_what_is_absent(schema: dict[str, Any]) -> None:
    """A CloudEvents attribute without a value is absent, never null."""
    for name, each in schema["properties"].items():
        kept = [part for part in each.get("anyOf", ()) if part != {"type": "null"}]
        if len(kept) != 1:
            continue
        del each["anyOf"]
        each.update(kept[0])
        if name in schema["required"]:
            schema["required"].remove(name)
