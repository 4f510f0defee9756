"""What is said and counted when the lock or the contact does not do its work."""

from __future__ import annotations

from agent.events import DeviceFailed, DeviceRecovered, DoorContactChanged
from tests.core.station_play import begin, ready


def test_an_unlock_is_not_done_when_the_relay_cannot_be_driven() -> None:
    play = begin()  # no contact has been read: nobody can see the door open
    play.put(DeviceFailed(play.now, "lock", "no chip"))
    play.ask("door.unlock")
    play.write_log()
    (reply,) = play.replies()
    assert not reply.ok
    assert play.problem_codes() == ["lock.failed"]
    assert play.inside == 0
    assert play.state.published["door"]["lock"] == "unknown"


def test_an_unlock_is_done_again_once_the_relay_works() -> None:
    play = ready()
    play.put(DeviceFailed(play.now, "lock", "no chip"))
    play.put(DeviceRecovered(play.now, "lock"))
    play.ask("door.unlock")
    play.write_log()
    (reply,) = play.replies()
    assert reply.ok


def test_a_contact_that_cannot_be_read_is_a_fault_until_it_can() -> None:
    play = ready()
    play.put(DoorContactChanged(play.now, None))
    assert ("device.failed", "contact") in play.state.faults
    play.put(DoorContactChanged(play.now, False))
    assert ("device.failed", "contact") not in play.state.faults
