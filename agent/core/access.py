"""Who may come in, and the words for those who may not.

Every refusal is a `Reason` with a sentence in two languages and an indication; a reason never tells a stranger anything
about who is enrolled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.core.door import STANDING_OPEN, Mode
from agent.core.problems import Words
from agent.core.schedule import Admission
from agent.events import Member


class Reason(StrEnum):
    """Why not. The first group is about the person, the second about a pass, the third about the picture."""

    NOT_ENROLLED = "not_enrolled"
    SUSPENDED = "suspended"
    VALIDITY_EARLY = "validity_early"
    VALIDITY_OVER = "validity_over"
    VALIDITY_CLOCK_NOT_SET = "validity_clock_not_set"
    LOCKED_DOWN = "locked_down"
    BLOCKED = "blocked"
    OUTSIDE_HOURS = "outside_hours"
    CODE_NEEDED = "code_needed"
    CODE_WRONG = "code_wrong"
    CODE_UNCHECKED = "code_unchecked"
    WAY_BLOCKED = "way_blocked"
    SECOND_NEEDED = "second_needed"
    ALREADY_INSIDE = "already_inside"
    FULL = "full"
    NOT_LIVE = "not_live"
    TURNED_WRONG_WAY = "turned_wrong_way"
    TURNED_TOO_EARLY = "turned_too_early"
    NOT_TURNED = "not_turned"
    FACE_CHANGED = "face_changed"

    PASS_UNREADABLE = "pass_unreadable"
    PASS_FORGED = "pass_forged"
    PASS_EARLY = "pass_early"
    PASS_EXPIRED = "pass_expired"
    PASS_OTHER_STATION = "pass_other_station"
    PASS_REVOKED = "pass_revoked"
    PASS_SPENT = "pass_spent"
    PASS_CLOCK_NOT_SET = "pass_clock_not_set"
    PASS_NOT_CHECKED = "pass_not_checked"
    PASS_NOT_REDEEMED = "pass_not_redeemed"

    TWO_FACES = "two_faces"
    TOO_FAR = "too_far"
    TOO_CLOSE = "too_close"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    BLURRED = "blurred"
    TURNED_AWAY = "turned_away"
    TURN_HEAD = "turn_head"
    LOOK_LEFT = "look_left"
    LOOK_RIGHT = "look_right"


WORDS: Mapping[Reason, Words] = {
    Reason.NOT_ENROLLED: Words(
        "没有认出您。如未登记,请联系站长。", "You were not recognised. If you are not enrolled, ask the station master."
    ),
    Reason.SUSPENDED: Words(
        "您的使用资格已暂停,请联系站长。", "Your access is suspended. Please ask the station master."
    ),
    Reason.VALIDITY_EARLY: Words(
        "您的使用资格还没有开始,请联系站长。", "Your access has not begun yet. Please ask the station master."
    ),
    Reason.VALIDITY_OVER: Words(
        "您的使用资格已到期,请联系站长续期。", "Your access has ended. Please ask the station master to renew it."
    ),
    Reason.VALIDITY_CLOCK_NOT_SET: Words(
        "站点时钟没有校准,不能核对您的资格是否已开始,请联系站长。",
        "The station's clock is not set, so nobody knows whether your access has begun. Please ask the station master.",
    ),
    Reason.LOCKED_DOWN: Words("站点暂时封闭,不能进入。", "The station is locked down. Nobody can come in for now."),
    Reason.BLOCKED: Words(
        "这扇门暂停进入,请联系站长。", "This door is blocked for now. Please ask the station master."
    ),
    Reason.OUTSIDE_HOURS: Words(
        "现在不在开放时间,请看门外的开放时间。",
        "The station is closed now. The opening hours are on the board outside.",
    ),
    Reason.CODE_NEEDED: Words("请先输入编号,再看镜头。", "Please give your number first, then look at the camera."),
    Reason.PASS_UNREADABLE: Words("这不是通行码。", "This code is not a pass."),
    Reason.PASS_FORGED: Words(
        "通行码无效,请联系签发单位。", "This pass is not valid here. Please ask the office that issued it."
    ),
    Reason.PASS_EARLY: Words("通行码还没有到生效时间。", "This pass is not valid yet."),
    Reason.PASS_EXPIRED: Words("通行码已过期。", "This pass has expired."),
    Reason.PASS_OTHER_STATION: Words("通行码不适用于本站。", "This pass is for another station."),
    Reason.PASS_REVOKED: Words("通行码已作废,请联系签发单位。", "This pass was revoked. Please ask who issued it."),
    Reason.PASS_SPENT: Words("通行码只能用一次,已经用过。", "This pass is for one time, and it has been used."),
    Reason.PASS_CLOCK_NOT_SET: Words(
        "站点时钟没有校准,不能核对有效期,请联系站长。",
        "The station's clock is not set, so the pass's dates cannot be checked. Please ask the station master.",
    ),
    Reason.PASS_NOT_CHECKED: Words(
        "暂时不能核对通行码,请联系站长。", "Passes cannot be checked for now. Please ask the station master."
    ),
    Reason.PASS_NOT_REDEEMED: Words(
        "暂时不能核销通行码,请稍后再试或联系站长。",
        "The pass cannot be redeemed for now. Please try again, or ask the station master.",
    ),
    # One sentence for a number that nobody has, a wrong PIN and an unknown card: it must not tell which.
    Reason.CODE_WRONG: Words(
        "编号、密码或卡不对,请再试一次。", "That number, PIN or card is not right. Please try again."
    ),
    Reason.CODE_UNCHECKED: Words(
        "暂时无法核对,请再试一次或换一种方式。",
        "This cannot be checked right now. Please try again or use another way in.",
    ),
    Reason.WAY_BLOCKED: Words(
        "错误次数太多,请稍后再试,或换一种方式进门。",
        "Too many wrong tries. Please wait a moment, or use another way in.",
    ),
    Reason.ALREADY_INSIDE: Words(
        "系统显示您已在站内。如已离开,请联系站长。",
        "You are inside already, it seems. If you have left, please ask the station master.",
    ),
    Reason.FULL: Words("站内人数已满,请稍候。", "The station is full. Please wait until somebody leaves."),
    Reason.SECOND_NEEDED: Words(
        "还需要第二种验证,例如刷脸、刷卡或密码。", "One more proof is needed: your face, your card or your PIN."
    ),
    Reason.NOT_LIVE: Words(
        "没有看到真人的头部转动,请本人到镜头前左右转一下头。",
        "No live head was seen. Please come before the camera yourself and turn your head a little.",
    ),
    Reason.TURNED_WRONG_WAY: Words(
        "转头方向不对。响一长声请向左转,响两短声请向右转。",
        "The head turned the other way. One long tone means left, two short ones mean right.",
    ),
    Reason.TURNED_TOO_EARLY: Words(
        "请先正对镜头,听到提示音后再转头。", "Please look at the camera first, and turn your head after the tone."
    ),
    Reason.NOT_TURNED: Words(
        "没有看到按提示转头再转回来,请稍后再试。",
        "The head was not seen to turn as asked and come back. Please try again in a moment.",
    ),
    Reason.FACE_CHANGED: Words(
        "转头时没有一直看到同一张脸,请一个人站到镜头前,稍后再试。",
        "The same face was not seen all the while. Please stand before the camera alone, and try again in a moment.",
    ),
    Reason.TWO_FACES: Words("请一个人站到镜头前。", "One person at a time, please."),
    Reason.TOO_FAR: Words("请靠近一点。", "Please come closer."),
    Reason.TOO_CLOSE: Words("请退后一点。", "Please step back a little."),
    Reason.TOO_DARK: Words("光线太暗,请面向灯光。", "It is too dark. Please face the light."),
    Reason.TOO_BRIGHT: Words("光线太强,请避开强光。", "It is too bright. Please turn out of the glare."),
    Reason.BLURRED: Words("请站稳一点。", "Please stand still for a moment."),
    Reason.TURNED_AWAY: Words("请正对镜头。", "Please look at the camera."),
    Reason.TURN_HEAD: Words("请左右转一下头。", "Please turn your head a little."),
    Reason.LOOK_LEFT: Words(
        "请把头转向您的左边,再转回来看镜头。", "Please turn your head to your left, then look at the camera again."
    ),
    Reason.LOOK_RIGHT: Words(
        "请把头转向您的右边,再转回来看镜头。", "Please turn your head to your right, then look at the camera again."
    ),
}


@dataclass(frozen=True, slots=True)
class Advice:
    """What the person at the door is told: a pattern of light and sound, and a sentence."""

    pattern: str
    words: Words


REASON_OF: Mapping[Mode, Reason] = {Mode.BLOCKED: Reason.BLOCKED, Mode.LOCKED_DOWN: Reason.LOCKED_DOWN}
"""Why the modes that admit nobody refuse."""


@dataclass(frozen=True, slots=True)
class KnownTime:
    """What is known of the time: it is `utc` or later, None: nothing is. `is_exact`: a clock that counts says so."""

    utc: datetime | None = None
    is_exact: bool = False


_UNKNOWN = KnownTime()


def refusal_of(
    member: Member | None, mode: Mode, admission: Admission = Admission.MEMBERS, time: KnownTime = _UNKNOWN
) -> Reason | None:
    """Decide a member's entry: None when it is granted. Refuses by default: an unknown person has no way through."""
    if member is None:
        return Reason.NOT_ENROLLED
    if member.is_suspended:
        return Reason.SUSPENDED
    return refusal_by_validity(member, time) or refusal_at(mode, admission)


def refusal_by_validity(member: Member, time: KnownTime) -> Reason | None:
    """Why a member's validity does not hold, as far as the time is known.

    An end counts once it is known to have passed, and a beginning too. So a clock that nobody vouches for neither ends
    a validity nor begins one, and does not let in whose validity was over before.
    """
    if member.valid_until is not None and time.utc is not None and member.valid_until <= time.utc:
        return Reason.VALIDITY_OVER
    if member.valid_from is None or (time.utc is not None and member.valid_from <= time.utc):
        return None
    return Reason.VALIDITY_EARLY if time.is_exact else Reason.VALIDITY_CLOCK_NOT_SET


def refusal_at(mode: Mode, admission: Admission) -> Reason | None:
    """Decide by the door's mode and the hour alone, as for a guest: None when they let in.

    `admission`: by the schedule, which does not matter while the door stands open. Whether one proof is enough is
    decided by `admission.factors_needed`.
    """
    if mode in REASON_OF:
        return REASON_OF[mode]
    if mode in STANDING_OPEN:
        return None
    return Reason.OUTSIDE_HOURS if admission is Admission.CLOSED else None


_REFUSALS = frozenset(
    {
        Reason.NOT_ENROLLED,
        Reason.SUSPENDED,
        Reason.VALIDITY_EARLY,
        Reason.VALIDITY_OVER,
        Reason.VALIDITY_CLOCK_NOT_SET,
        Reason.LOCKED_DOWN,
        Reason.BLOCKED,
        Reason.OUTSIDE_HOURS,
        Reason.CODE_NEEDED,
        Reason.CODE_WRONG,
        Reason.CODE_UNCHECKED,
        Reason.WAY_BLOCKED,
        Reason.ALREADY_INSIDE,
        Reason.FULL,
        Reason.NOT_LIVE,
        Reason.TURNED_WRONG_WAY,
        Reason.TURNED_TOO_EARLY,
        Reason.NOT_TURNED,
        Reason.FACE_CHANGED,
        *(reason for reason in Reason if reason.startswith("pass_")),
    }
)

_PATTERNS = {Reason.LOOK_LEFT: "look_left", Reason.LOOK_RIGHT: "look_right"}


def advice_for(reason: Reason) -> Advice:
    """What to show: what the rider can mend on the spot asks them to go on, anything else refuses."""
    pattern = "refused" if reason in _REFUSALS else _PATTERNS.get(reason, "look_here")
    return Advice(pattern, WORDS[reason])
