"""What a reply's code means, in words: the wire has the code alone, and a station may be newer than this program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.cli.language import complain, tell_problems
from agent.contract.commands import REFUSED
from agent.control.protocol import Request, RequestError, decode_arguments
from agent.core.commands import COMMANDS, Refusal
from agent.core.problems import CATALOGUE, Problem, Words, problem
from agent.mqtt.payloads import CommandReply


def explain(name: str, arguments: Mapping[str, Any], reply: CommandReply) -> None:
    """Say why the command was refused or has failed. An argument's value is not repeated: it may be a card or a PIN."""
    if reply.status == "refused" and reply.code in set(Refusal):
        words = REFUSED[Refusal(reply.code)]
        complain(f"拒绝({reply.code}):{words.zh}。", f"Refused ({reply.code}): {words.en}.")
        if reply.code == Refusal.BAD_ARGUMENTS:
            tell_problems(_mistakes(name, arguments))
        elif reply.code == Refusal.UNKNOWN_COMMAND:
            complain(f"指令有:{', '.join(COMMANDS)}", f"The commands are: {', '.join(COMMANDS)}")
    elif reply.status == "failed" and reply.code in CATALOGUE:
        kind = CATALOGUE[reply.code]
        text = kind.text.fill("")  # the particulars stay in the station
        zh, en = text.zh.removesuffix(":"), text.en.removesuffix(":")
        complain(f"没有完成({reply.code}):{zh}", f"Failed ({reply.code}): {en}")
        complain(f"    → {kind.remedy.zh}", f"    → {kind.remedy.en}")


def _mistakes(name: str, arguments: Mapping[str, Any]) -> list[Problem]:
    """What the request that this command becomes would find wrong."""
    action = COMMANDS[name].action if name in COMMANDS else ""
    if not action:
        return [problem("request.invalid", name, Words("该指令没有参数", "it takes no arguments"))]
    try:
        decode_arguments(Request(id="1", action=action, arguments=dict(arguments)))
    except RequestError as error:
        return error.problems
    return []
