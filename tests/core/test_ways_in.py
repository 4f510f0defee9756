"""Cards and numbers at the door, from the reader's report to the lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.core.access import Reason
from agent.core.admission import FRESH_S
from agent.core.codes import CHECK_S, DURESS_S, CodeRules
from agent.core.gallery import build_gallery
from agent.core.keypad import ENTRY_S
from agent.effects import (
    AppendEntry,
    CheckPin,
    Effect,
    FindCard,
    FindNumber,
    KeepNotes,
    LoadCredentials,
    ShowIndication,
)
from agent.events import (
    CardFound,
    CardRead,
    CodePresented,
    CodeUnchecked,
    CredentialsLoaded,
    GalleryBuilt,
    KeyPressed,
    PauseSkipped,
    PinChecked,
    Restored,
    StorageOpened,
)
from tests.core.station_play import ENGINE, RULES, Play, begin, member, ready

CODES = replace(RULES, codes=CodeRules(readers={"front": False, "back": False, "exit": True}))
STRICT = replace(CODES, codes=replace(CODES.codes, factors_needed=2))


def at_the_door(*, rules: object = CODES) -> Play:
    return ready(member("m-1", 1), member("m-2", 2), member("m-3", 3, is_suspended=True), rules=rules)  # type: ignore[arg-type]


def press(play: Play, keys: str, reader: str = "front") -> None:
    for key in keys:
        play.put(KeyPressed(play.now, reader, key))


def type_code(play: Play, member_id: str | None, *, is_duress: bool = False, reader: str = "front") -> None:
    """Somebody types, and the worker says whose code it is."""
    press(play, "123456#2580#", reader)
    play.put(PinChecked(play.now, play.found(CheckPin)[-1].request, member_id, is_duress))


def show_card(play: Play, member_id: str | None, reader: str = "front") -> None:
    play.put(CardRead(play.now, reader, "4711"))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, member_id))


def reasons(play: Play) -> list[str]:
    return [each["reason"] for each in play.logged("access.refused")]


# --- coming in -------------------------------------------------------------------------------------------------------


def test_a_members_card_opens_the_door() -> None:
    play = at_the_door()
    show_card(play, "m-1")
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": "card", "member": "m-1"}]


def test_a_number_and_its_pin_open_the_door_and_only_the_worker_sees_them() -> None:
    play = at_the_door()
    press(play, "123456#2580#")
    (order,) = play.found(CheckPin)
    assert (order.number, order.pin) == ("123456", "2580")
    assert play.lock_orders() == []
    play.put(PinChecked(play.now, order.request, "m-1"))
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": "keypad", "member": "m-1"}]
    assert not any(secret in repr((play.state, play.orders)) for secret in ("123456", "2580"))


def test_a_suspended_members_card_and_pin_do_not_open() -> None:
    play = at_the_door()
    show_card(play, "m-3")
    type_code(play, "m-3")
    assert play.lock_orders() == []
    assert reasons(play) == ["suspended", "suspended"]


def test_somebody_who_was_erased_while_their_card_was_looked_for_stays_out() -> None:
    play = at_the_door()
    play.put(CardRead(play.now, "front", "4711"))
    play.ask("members.erase", id="m-1")
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
    assert play.lock_orders() == []
    assert reasons(play) == ["code_wrong"]


def test_wrong_numbers_wrong_pins_and_strangers_cards_are_told_the_same() -> None:
    play = at_the_door()
    type_code(play, None)
    show_card(play, None)
    assert play.patterns() == ["refused", "refused"]
    assert [dict(each) for each in play.logged("access.refused")] == [
        {"way": way, "reason": "code_wrong", "member": None} for way in ("keypad", "card")
    ]


def test_two_keypads_do_not_mix_what_is_typed() -> None:
    play = at_the_door()
    press(play, "12#3", "front")
    press(play, "99#", "back")
    press(play, "4#", "front")
    (order,) = play.found(CheckPin)
    assert (order.number, order.pin) == ("12", "34")


def test_what_was_begun_is_forgotten() -> None:
    play = at_the_door()
    press(play, "123456#25")
    play.wait(ENTRY_S)
    assert play.state.codes.entries == {}
    press(play, "80#")
    assert play.found(CheckPin) == []


def test_while_a_code_is_being_checked_keys_and_cards_of_that_reader_wait() -> None:
    play = at_the_door()
    press(play, "123456#2580#99#11#")
    play.put(CardRead(play.now, "front", "4711"))
    assert len(play.found(CheckPin)) == 1
    assert play.found(FindCard) == []
    play.put(CardRead(play.now, "back", "4711"))
    assert len(play.found(FindCard)) == 1


def test_a_worker_that_does_not_answer_is_a_refusal_and_its_late_answer_opens_nothing() -> None:
    play = at_the_door()
    play.put(CardRead(play.now, "front", "4711"))
    play.wait(CHECK_S)
    assert reasons(play) == ["code_unchecked"]
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
    assert play.lock_orders() == []


def test_what_could_not_be_checked_is_no_guess() -> None:
    play = at_the_door()
    for _ in range(6):
        play.put(CardRead(play.now, "front", "4711"))
        play.put(CodeUnchecked(play.now, play.found(FindCard)[-1].request))
    play.put(CodeUnchecked(play.now, "code-99"))
    assert reasons(play) == ["code_unchecked"] * 6
    assert play.logged("access.way_blocked") == []


def test_a_skipped_pause_does_not_hurry_the_worker() -> None:
    play = at_the_door()
    play.put(CardRead(play.now, "front", "4711"))
    play.now += 100.0
    play.put_late(play.now, PauseSkipped(play.now, 100.0))
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, "m-1"))
    assert play.lock_orders() == [True]


def test_a_reader_that_nobody_named_is_not_listened_to() -> None:
    play = at_the_door()
    play.put(CardRead(play.now, "unknown", "4711"))
    press(play, "1#2#", "unknown")
    assert play.found(FindCard) == []
    assert play.found(CheckPin) == []


def test_any_card_at_the_reader_inside_lets_out_at_once_even_when_locked_down() -> None:
    play = at_the_door()
    play.ask("door.lock_down")
    play.put(CardRead(play.now, "exit", "9999"))
    assert play.lock_orders()[-1] is True
    play.put(CardFound(play.now, play.found(FindCard)[-1].request, None))
    assert play.logged("access.refused") == []
    press(play, "1#2#", "exit")
    assert play.found(CheckPin) == []


# --- late -------------------------------------------------------------------------------------------------------------


def test_what_waited_while_nothing_decided_opens_for_nobody_who_comes_after() -> None:
    play = at_the_door()
    at = play.now
    keys = [KeyPressed(at + n / 10, "front", key) for n, key in enumerate("123456#2580#")]
    play.put_late(at + FRESH_S + 2.0, CardRead(at, "back", "4711"), *keys)
    assert (play.found(FindCard), play.found(CheckPin), play.lock_orders()) == ([], [], [])
    assert reasons(play) == ["code_unchecked", "code_unchecked"]
    show_card(play, "m-1")
    assert play.lock_orders() == [True]


def test_a_card_that_waited_lets_out_all_the_same() -> None:
    play = at_the_door()
    play.put_late(play.now + 60.0, CardRead(play.now, "exit", "4711"))
    assert play.lock_orders() == [True]


# --- guessing --------------------------------------------------------------------------------------------------------


def test_five_wrong_codes_block_that_way_with_an_alarm_and_the_other_ways_stay_open() -> None:
    play = at_the_door()
    play.connect()
    for _ in range(5):
        type_code(play, None)
    assert play.logged("access.way_blocked") == [{"way": "keypad", "seconds": 30.0, "wrong_codes": 5}]
    assert play.published("door")[-1]["alarms"] == ["guessing"]
    play.take()
    press(play, "123456#2580#")
    assert play.found(CheckPin) == []
    assert play.patterns() == ["refused", "refused"]
    assert play.log_types() == []
    show_card(play, "m-1")
    assert play.lock_orders() == [True]


def test_the_block_ends_the_alarm_with_it_and_the_next_is_twice_as_long() -> None:
    play = at_the_door()
    play.connect()
    for _ in range(5):
        show_card(play, None)
    play.wait(30.0)
    assert play.logged("access.way_unblocked") == [{"way": "card"}]
    assert play.published("door")[-1]["alarms"] == []
    for _ in range(5):
        show_card(play, None)
    assert [each["seconds"] for each in play.logged("access.way_blocked")] == [30.0, 60.0]


def test_a_right_code_forgets_the_wrong_ones() -> None:
    play = at_the_door()
    for member_id in (None, None, None, None, "m-1", None, None, None, None):
        show_card(play, member_id)
    assert play.logged("access.way_blocked") == []


def test_who_is_kept_out_cannot_guess_on_by_giving_their_own_code_in_between() -> None:
    play = at_the_door()
    for member_id in (None, None, None, None, "m-3", None):
        type_code(play, member_id)
    assert reasons(play)[4] == "suspended"
    assert len(play.logged("access.way_blocked")) == 1


def test_who_is_asked_for_a_second_factor_has_given_a_right_code() -> None:
    play = at_the_door(rules=STRICT)
    for member_id in (None, None, None, None, "m-1", None):
        show_card(play, member_id)
    assert play.logged("access.way_blocked") == []


def test_who_was_typing_as_the_way_was_blocked_begins_again() -> None:
    play = at_the_door()
    press(play, "77#88", "back")
    for _ in range(5):
        type_code(play, None)
    play.wait(31.0)
    press(play, "#", "back")
    assert len(play.found(CheckPin)) == 5


# --- duress ----------------------------------------------------------------------------------------------------------


def seen_at_the_door(play: Play) -> list[Effect]:
    """The orders that somebody who stands there can see or hear the outcome of."""
    unseen = (AppendEntry, KeepNotes)
    return [each for each in play.orders if not isinstance(each, unseen) and "Publish" not in type(each).__name__]


def test_a_duress_pin_opens_and_nothing_at_the_door_differs() -> None:
    usual, forced = at_the_door(), at_the_door()
    for play, is_duress in ((usual, False), (forced, True)):
        play.connect()
        play.take()
        type_code(play, "m-1", is_duress=is_duress)
    assert [each.name for note in forced.found(KeepNotes) for each in note.notes] == ["duress"]
    assert repr(seen_at_the_door(usual)) == repr(seen_at_the_door(forced))
    assert usual.patterns() == forced.patterns() == ["granted"]
    assert forced.logged("access.duress") == [{"way": "keypad", "member": "m-1"}]
    assert usual.logged("access.duress") == []
    assert forced.published("door")[-1]["alarms"] == ["duress"]
    assert forced.logged("access.granted") == usual.logged("access.granted")
    forced.wait(DURESS_S)
    assert forced.published("door")[-1]["alarms"] == []


def test_a_duress_pin_that_is_found_too_late_opens_nothing_and_alarms_all_the_same() -> None:
    play = at_the_door()
    press(play, "123456#2580#")
    play.wait(CHECK_S + 1.0)
    assert reasons(play) == ["code_unchecked"]
    play.put(PinChecked(play.now, play.found(CheckPin)[-1].request, "m-1", True))
    assert play.lock_orders() == []
    assert play.logged("access.duress") == [{"way": "keypad", "member": "m-1"}]


def test_a_duress_pin_alarms_also_where_it_does_not_open() -> None:
    play = at_the_door()
    play.ask("door.lock_down")
    type_code(play, "m-1", is_duress=True)
    assert play.logged("access.duress") == [{"way": "keypad", "member": "m-1"}]
    assert True not in play.lock_orders()


# --- two factors -----------------------------------------------------------------------------------------------------


def test_a_card_alone_waits_for_another_factor() -> None:
    play = at_the_door(rules=STRICT)
    show_card(play, "m-1")
    assert play.lock_orders() == []
    assert play.patterns() == ["look_here"]
    assert play.log_types() == ["access.first_factor"]
    assert play.logged("access.first_factor") == [{"way": "card", "member": "m-1"}]


def test_a_card_and_its_members_pin_open() -> None:
    play = at_the_door(rules=STRICT)
    show_card(play, "m-1")
    type_code(play, "m-1")
    assert play.lock_orders() == [True]
    assert play.logged("access.granted") == [{"way": "card+keypad", "member": "m-1"}]
    assert play.state.code is None


def test_a_card_and_its_members_face_open_and_another_face_does_not() -> None:
    play = at_the_door(rules=STRICT)
    show_card(play, "m-1")
    play.see_face(2, frames=5)
    assert play.lock_orders() == []
    play.see_face(1, track=2)
    assert play.logged("access.granted") == [{"way": "card+face", "member": "m-1"}]


def test_a_face_and_then_a_pin_open() -> None:
    play = at_the_door(rules=STRICT)
    play.see_face(1)
    assert play.lock_orders() == []
    type_code(play, "m-1")
    assert play.logged("access.granted") == [{"way": "face+keypad", "member": "m-1"}]


@pytest.mark.parametrize("second", ["m-2", None])
def test_two_people_do_not_make_two_factors(second: str | None) -> None:
    play = at_the_door(rules=STRICT)
    show_card(play, "m-1")
    type_code(play, second)
    assert play.lock_orders() == []


def test_the_second_factor_comes_in_time_or_counts_as_a_first() -> None:
    play = at_the_door(rules=STRICT)
    show_card(play, "m-1")
    play.wait(play.rules.recognition.code_window_s)
    type_code(play, "m-1")
    assert play.lock_orders() == []
    assert [each["way"] for each in play.logged("access.first_factor")] == ["card", "keypad"]


# --- a number and the face -------------------------------------------------------------------------------------------


def crowd(play: Play) -> None:
    """More are enrolled than can be told apart by their faces alone."""
    people = [(each.id, each.templates[0].vector) for each in play.state.members.values()]
    gallery = build_gallery(people, engine=ENGINE[0], weights=ENGINE[1], target_fpir=1e-6)
    assert gallery.is_too_large
    play.put(GalleryBuilt(play.now, play.state.gallery_request, gallery))


def test_where_too_many_are_enrolled_a_number_names_whose_face_it_must_be() -> None:
    play = at_the_door()
    crowd(play)
    press(play, "123456#")
    (order,) = play.found(FindNumber)
    play.put(CodePresented(order.presented_at, "number", ("m-1",)))
    play.see_face(1)
    assert play.logged("access.granted") == [{"way": "number+face", "member": "m-1"}]


def try_number(play: Play, person: int, track: int) -> None:
    """Somebody types a number that is member 1's, and shows a face."""
    press(play, "*123456#")
    play.put(CodePresented(play.now, "number", ("m-1",)))
    play.see_face(person, track=track, frames=5)
    play.wait(20.0)


def test_a_stranger_cannot_go_through_the_numbers_with_their_face() -> None:
    play = at_the_door()
    crowd(play)
    for track in range(5):
        try_number(play, 9, track)
    assert play.logged("access.way_blocked") == [{"way": "keypad", "seconds": 30.0, "wrong_codes": 5}]
    asked = len(play.found(FindNumber))
    press(play, "*123456#")
    assert len(play.found(FindNumber)) == asked


def test_a_members_number_and_face_forget_the_wrong_ones() -> None:
    play = at_the_door()
    crowd(play)
    for track, person in enumerate((9, 9, 9, 9, 1, 9, 9)):
        try_number(play, person, track)
    assert play.logged("access.way_blocked") == []
    assert [each["way"] for each in play.logged("access.granted")] == ["number+face"]


def test_where_faces_can_be_told_apart_a_number_holds_up_nobody() -> None:
    play = at_the_door()
    press(play, "123456#")
    assert play.found(FindNumber) == []
    play.see_face(2)
    assert play.lock_orders() == [True]


# --- what can be checked at all --------------------------------------------------------------------------------------


def test_what_is_stored_is_read_at_the_start_and_once_the_disk_opens() -> None:
    play = begin(member("m-1", 1), rules=CODES)
    assert len(play.found(LoadCredentials)) == 1
    play.put(StorageOpened(play.now, Restored()))
    assert len(play.found(LoadCredentials)) == 2
    assert begin(member("m-1", 1)).found(LoadCredentials) == []  # nothing to read one with


def test_what_keeps_codes_from_being_checked_is_a_fault_until_it_is_over() -> None:
    play = at_the_door()
    play.put(CredentialsLoaded(play.now, "credentials.key_lost", "k-1"))
    play.put(CredentialsLoaded(play.now, "credentials.unreadable", "disk"))
    assert list(play.state.faults) == [("credentials.unreadable", "credentials")]
    play.put(CredentialsLoaded(play.now))
    assert not play.state.faults


def test_every_refusal_of_a_code_shows_at_the_door() -> None:
    play = at_the_door()
    show_card(play, None)
    assert play.found(ShowIndication)[-1].pattern == "refused"
    assert reasons(play) == [Reason.CODE_WRONG.value]
