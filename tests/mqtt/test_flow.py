from __future__ import annotations

from agent.effects import PublishState
from agent.events import LoggedEntry, MinuteReading
from agent.mqtt.client import PROTOCOL_RECEIVE_MAXIMUM
from agent.mqtt.flow import MAX_BATCHES, MAX_ENTRIES, MAX_IN_FLIGHT, MAX_REPLAYED, Batch, Flow, Item, Replayed
from tests.mqtt.conftest import make_entries

MINUTE = MinuteReading("2026-11-22T03:04Z", "s", "power_w", 0.0, 1.0, 2.0, 3)


def send_all(flow: Flow, first_mid: int = 1) -> dict[int, Item]:
    """Send what the window lets through."""
    sent: dict[int, Item] = {}
    while (item := flow.next()) is not None:
        mid = first_mid + len(sent)
        flow.sent(mid, item, float(mid))
        sent[mid] = item
    return sent


def state(count: int) -> PublishState:
    return PublishState("occupancy", float(count), {"count": count})


def test_never_more_in_flight_than_the_window() -> None:
    flow = Flow(PROTOCOL_RECEIVE_MAXIMUM)
    assert flow.offer_entries(make_entries(200))
    assert len(send_all(flow)) == flow.in_flight == MAX_IN_FLIGHT
    flow.acknowledge(1)
    assert len(send_all(flow, 1000)) == 1


def test_a_smaller_receive_maximum_of_the_broker_counts() -> None:
    flow = Flow(3)
    flow.offer_entries(make_entries(10))
    assert len(send_all(flow)) == 3


def test_only_the_newest_state_of_a_part_is_sent() -> None:
    flow = Flow(10)
    for count in range(100):
        flow.offer_retained("state/occupancy", state(count))
    assert list(send_all(flow).values()) == [state(99)]


def test_state_goes_before_the_log_and_the_log_before_readings() -> None:
    flow = Flow(10)
    flow.offer_readings(Batch((MINUTE,)))
    flow.offer_entries(make_entries(2))
    flow.offer_retained("state/occupancy", state(1))
    assert [type(item) for item in send_all(flow).values()] == [PublishState, LoggedEntry, LoggedEntry, Batch]


def test_restless_state_leaves_half_of_the_window_to_the_log() -> None:
    flow = Flow(4)
    flow.offer_entries(make_entries(50))
    for number in range(50):
        flow.offer_retained(f"state/appliances/{number}", state(number))
    kinds = [type(item) for item in send_all(flow).values()]
    assert kinds.count(PublishState) == kinds.count(LoggedEntry) == 2


def test_entries_are_reported_in_the_order_of_the_log_whatever_the_broker_does() -> None:
    flow = Flow(10)
    entries = make_entries(3)
    flow.offer_entries(entries)
    send_all(flow)
    assert flow.acknowledge(2) == (entries[1], [])
    assert flow.acknowledge(3) == (entries[2], [])
    assert flow.acknowledge(1) == (entries[0], list(entries))
    assert flow.acknowledge(1) == (None, [])  # a second PUBACK, or one for nothing, is nothing
    assert flow.in_flight == 0


def test_entries_beyond_the_bound_are_refused_whole() -> None:
    flow = Flow(10)
    assert flow.offer_entries(make_entries(MAX_ENTRIES))
    send_all(flow)
    assert not flow.offer_entries(make_entries(1))
    flow.acknowledge(1)
    assert flow.offer_entries(make_entries(1))


def test_after_an_entry_that_cannot_go_none_follows() -> None:
    flow = Flow(10)
    flow.offer_entries(make_entries(5))
    flow.next()
    flow.stop_entries()
    assert flow.offer_entries(make_entries(5))
    assert flow.next() is None


def test_readings_that_find_no_room_are_counted_in_the_next_batch() -> None:
    flow = Flow(10)
    for _ in range(MAX_BATCHES + 2):
        flow.offer_readings(Batch((MINUTE, MINUTE)))
    batches = [item for item in send_all(flow).values() if isinstance(item, Batch)]
    assert len(batches) == MAX_BATCHES
    assert [batch.lost for batch in batches] == [4] + [0] * (MAX_BATCHES - 1)


def test_readings_in_flight_when_it_stops_are_lost_too() -> None:
    flow = Flow(10)
    flow.offer_readings(Batch((MINUTE, MINUTE), lost=5))
    send_all(flow)
    flow.offer_readings(Batch((MINUTE,)))
    assert flow.stop() == 8
    assert flow.stop() == 0


def test_the_oldest_message_without_an_acknowledgement_tells_the_silence() -> None:
    flow = Flow(10)
    assert flow.oldest_at() is None
    flow.offer_entries(make_entries(3))
    send_all(flow)
    flow.acknowledge(1)
    flow.acknowledge(3)
    assert flow.oldest_at() == 2.0


# --- what goes once more ---------------------------------------------------------------------------------------------


def test_a_replay_goes_after_what_is_new_and_before_readings() -> None:
    flow = Flow(10)
    flow.offer_readings(Batch((MINUTE,)))
    assert flow.offer_replayed("r-1", make_entries(2))
    flow.offer_entries(make_entries(1, first=3))
    flow.offer_retained("state/occupancy", state(1))
    kinds = [type(item) for item in send_all(flow).values()]
    assert kinds == [PublishState, LoggedEntry, Replayed, Replayed, Batch]


def test_a_replay_leaves_half_of_the_window_to_what_is_new() -> None:
    flow = Flow(4)
    flow.offer_replayed("r-1", make_entries(10))
    assert len(send_all(flow)) == 2
    flow.offer_entries(make_entries(5, first=11))
    assert [type(item) for item in send_all(flow, 100).values()] == [LoggedEntry, LoggedEntry]


def test_an_acknowledgement_of_a_replayed_entry_reports_none_of_the_log() -> None:
    flow = Flow(10)
    entries = make_entries(3)
    flow.offer_entries(entries[2:])
    flow.offer_replayed("r-1", entries[:2])
    send_all(flow)
    assert flow.acknowledge(3) == (Replayed("r-1", entries[1]), [])
    assert flow.acknowledge(2) == (Replayed("r-1", entries[0]), [])
    assert flow.acknowledge(1) == (entries[2], [entries[2]])
    assert flow.in_flight == 0


def test_a_log_that_cannot_go_on_does_not_hold_up_a_replay() -> None:
    flow = Flow(10)
    flow.stop_entries()
    flow.offer_replayed("r-1", make_entries(1))
    assert [type(item) for item in send_all(flow).values()] == [Replayed]


def test_what_waits_of_an_earlier_replay_makes_room_for_the_next_one() -> None:
    flow = Flow(10)
    assert flow.offer_replayed("r-1", make_entries(MAX_REPLAYED))
    assert not flow.offer_replayed("r-1", make_entries(1))
    assert flow.offer_replayed("r-2", make_entries(1))
    assert list(send_all(flow).values()) == [Replayed("r-2", make_entries(1)[0])]
    flow.offer_replayed("r-2", make_entries(1))
    flow.stop()
    assert flow.next() is None
