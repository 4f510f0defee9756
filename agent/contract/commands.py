"""What each command does and why one is refused, in sentences; the tables themselves are `agent.core.commands`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from agent.control.protocol import ARGUMENTS, NoArguments
from agent.core.commands import COMMANDS, Refusal
from agent.core.problems import Words

DOES: Mapping[str, str] = {
    "nonce.request": "gives out a nonce, for one command that opens or frees the door",
    "station.refresh": "publishes `status`, `about` and every `state` again",
    "door.unlock": "opens once; *done* once the relay moved, and `opened` says whether the door was opened then",
    "door.hold_open": "keeps the door open until `door.resume`",
    "door.lock_down": "lets nobody in until `door.resume`; leaving is honoured",
    "door.resume": "ends the station master's order",
    "members.erase": "erases a member and everything about them; the answer is the receipt",
    "members.digest": "tells a page of digests, by which a server finds where its roster differs; see *The roster*",
    "members.put": "changes what is stored of a member, or takes them up; see *The roster*",
    "members.resume": "lets a suspended member in again",
    "members.suspend": "keeps a member out, until a time or until they are resumed",
    "passes.revoke": "lets a pass open nothing any more",
    "appliance.switch": "switches an appliance's plug; *done* only once the plug itself says so",
    "notice.put": "puts a notice on the station's screens in the place of the one before",
    "notice.clear": "takes the notice down; *done* also where there was none",
    "alarm.acknowledge": "says that somebody has seen an alarm",
    "fault.update": "says how far the repair of a fault is",
    "log.confirm": "says that the server has the log safely up to and including an entry, whose hash it names",
    "log.replay": "publishes entries of the log again; *done* once the broker acknowledged the last of them",
    "diagnostics.collect": "sends a bundle without personal data for a support engineer, in parts",
}
"""By the command's name."""

REFUSED: Mapping[Refusal, Words] = {
    Refusal.MALFORMED: Words(
        "不是紧凑 JWS,或头部、内容不合约定",
        "no compact JWS, a header with more than `alg`, `kid` and `typ`, or claims that do not fit",
    ),
    Refusal.TOO_LARGE: Words("超过 64 KiB", "it has more than 64 KiB"),
    Refusal.UNKNOWN_KEY: Words("站点配置中没有这个密钥", "its `kid` is no key of this station"),
    Refusal.BAD_SIGNATURE: Words("签名或 alg 不对", "its signature or its `alg` is wrong"),
    Refusal.WRONG_STATION: Words("是发给另一个站点的", "it is for another station"),
    Refusal.RETAINED: Words("不能是保留消息", "it was retained"),
    Refusal.UNKNOWN_COMMAND: Words("没有这个指令", "there is no command of this name"),
    Refusal.BAD_ARGUMENTS: Words("参数不合该指令", "its arguments do not fit the command"),
    Refusal.NOT_IN_SCOPE: Words("该密钥没有这项权限", "its key may not do that"),
    Refusal.STALE_NONCE: Words(
        "nonce 不是本站给出的、已用过或超过 30 秒", "its nonce was never given out, is used up or older than 30 s"
    ),
    Refusal.STALE_REVISION: Words(
        "revision 不大于该密钥最近的一次", "its revision is not greater than the newest one of its key"
    ),
    Refusal.STALE_SESSION: Words("session 不是现在的", "its session is not the present one"),
    Refusal.ID_TAKEN: Words(
        "编号属于另一条指令:名称不同、密钥不同,或早已执行过",
        "its id is that of another command: of another name, of another key, or of one long ago",
    ),
    Refusal.BUSY: Words("正在执行的指令太多,请稍后再发", "too many others are under way; send it again later"),
}
"""By the code of the reply."""


def arguments_of(name: str) -> type[BaseModel]:
    """The arguments of a command: those of the same request on the station's own socket."""
    action = COMMANDS[name].action
    return ARGUMENTS[action] if action else NoArguments
