"""The contract for people: the prose of `prose.md`, with tables made from the models."""

from __future__ import annotations

import inspect
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any

from joserfc.jwk import OKPKey
from pydantic import BaseModel

from agent.command_gate import sign
from agent.contract.asyncapi import asyncapi
from agent.contract.channels import channels
from agent.contract.commands import DOES, REFUSED, arguments_of
from agent.contract.entries import ENTRIES, PREFIX
from agent.contract.examples import COMMAND, EXAMPLES, TEST_KEY
from agent.core.commands import COMMANDS
from agent.core.replaying import MAX_ENTRIES
from agent.mqtt.payloads import CONTRACT_VERSION, MAX_PAYLOAD_BYTES, LogEvent, encode

_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")
_SHOWN_CHOICES = 8  # of a field with a fixed list of words; the schemas have all


def markdown() -> str:
    """The whole document."""
    prose = resources.files(__package__).joinpath("prose.md").read_text(encoding="utf-8")
    return _PLACE.sub(lambda found: _PARTS[found[1]](), prose)


def _topics() -> str:
    lines = ["| topic | who publishes | retained | what |", "|---|---|---|---|"]
    for each in channels():
        who = "agent" if each.action == "send" else "central server"
        who += "; the broker by last will" if each.name == "status" else ""
        address = each.address.replace("{station}", "ID").replace("{name}", "NAME")
        lines.append(f"| `{address}` | {who} | {'yes' if each.is_retained else 'no'} | {each.means} |")
    return "\n".join(lines)


def _event_fields() -> str:
    return " ".join(_sentences(LogEvent)[1:])


def _event_example() -> str:
    event = json.loads(encode(EXAMPLES["log_visit_entered"]))
    return f"```json\n{json.dumps(event, ensure_ascii=False, indent=2)}\n```"


def _entries() -> str:
    lines = ["| type | says | data |", "|---|---|---|"]
    for kind, entry in ENTRIES.items():
        fields = ", ".join(f"[`{name}`]" if part.may_lack else f"`{name}`" for name, part in entry.parts.items())
        lines.append(f"| `{PREFIX}{kind}` | {entry.means} | {fields} |")
    return "\n".join([*lines, "", *_meanings()])


def _meanings() -> Iterator[str]:
    """Every field of a body; where one name has several meanings, with the types that have each."""
    found: dict[str, dict[str, list[str]]] = {}
    for kind, entry in ENTRIES.items():
        for name, part in entry.parts.items():
            found.setdefault(name, {}).setdefault(part.means, []).append(f"`{kind}`")
    yield "| field | what it is | of |"
    yield "|---|---|---|"
    for name, meanings in sorted(found.items()):
        for means, kinds in meanings.items():
            yield f"| `{name}` | {means} | {', '.join(kinds) if len(meanings) > 1 else ''} |"


def _models() -> str:
    schemas = asyncapi()["components"]["schemas"]
    text: list[str] = []
    for each in channels():
        if each.model is LogEvent or each.action == "receive":
            continue
        text += [f"### `{each.address.partition('{station}/')[2]}`", "", "\n\n".join(_sentences(each.model)), ""]
        text += [*_fields(schemas[each.model.__name__], schemas), ""]
        if each.name in EXAMPLES:
            example = json.loads(encode(EXAMPLES[each.name]))
            text += [f"```json\n{json.dumps(example, ensure_ascii=False)}\n```", ""]
    return "\n".join(text).rstrip()


def _commands() -> str:
    lines = ["| command | scope | proof | arguments | does |", "|---|---|---|---|---|"]
    for name, command in COMMANDS.items():
        fields = arguments_of(name).model_fields.items()
        arguments = ", ".join(f"`{key}`" if each.is_required() else f"[`{key}`]" for key, each in fields)
        scope = "every key" if command.scope is None else command.scope.value
        lines.append(f"| `{name}` | {scope} | {command.freshness.value} | {arguments} | {DOES[name]} |")
    return "\n".join(lines)


def _refusals() -> str:
    return "\n".join(["| code | why |", "|---|---|", *(f"| `{code}` | {why.en} |" for code, why in REFUSED.items())])


def _claims() -> str:
    schemas = asyncapi()["components"]["schemas"]
    return "\n".join(_fields(schemas["CommandClaims"], schemas))


def _command_example() -> str:
    token = sign(COMMAND, "central-1", OKPKey.import_key(dict(TEST_KEY)))
    header, claims, _ = token.split(".")
    texts = [urlsafe_b64decode(each + "=" * (-len(each) % 4)).decode() for each in (header, claims)]
    return "\n".join(["```", *texts, "", *token.replace(".", "\n.").split("\n"), "```"])


_PARTS: Mapping[str, Callable[[], str]] = {
    "version": lambda: CONTRACT_VERSION,
    "max_bytes": lambda: f"{MAX_PAYLOAD_BYTES:,}",
    "replay_max": lambda: f"{MAX_ENTRIES:,}",
    "topics": _topics,
    "event_fields": _event_fields,
    "event_example": _event_example,
    "entries": _entries,
    "models": _models,
    "commands": _commands,
    "refusals": _refusals,
    "claims": _claims,
    "command_example": _command_example,
}


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | type |"
    yield "|---|---|"
    for name, each in schema["properties"].items():
        yield f"| `{name}` | {_type(each, schemas)} |"


def _type(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        inner = schemas[name].get("properties", {})
        return "object: " + ", ".join(f"`{each}`" for each in inner) if inner else "any JSON value"
    if "anyOf" in schema:
        return " or ".join(_type(each, schemas) for each in schema["anyOf"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        shown = [f"`{each}`" for each in schema["enum"][:_SHOWN_CHOICES]]
        return ", ".join([*shown, *(["…"] if len(schema["enum"]) > _SHOWN_CHOICES else [])])
    if schema.get("type") == "array":
        most = f"at most {schema['maxItems']} of: " if "maxItems" in schema else "list of: "
        return f"{most}{_type(schema['items'], schemas)}"
    return str(schema.get("type", "any JSON value"))


def _sentences(model: type[BaseModel]) -> list[str]:
    """A model's docstring, one string a paragraph."""
    paragraphs = inspect.cleandoc(model.__doc__ or "").split("\n\n")
    return [" ".join(each.split()) for each in paragraphs]
