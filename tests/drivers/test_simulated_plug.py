from __future__ import annotations

import pytest

from drivers.simulated.plug import SimulatedPlug
from tests.drivers.mqtt_station import Reports


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def reports() -> Reports:
    return Reports()


def test_the_energy_grows_only_while_the_plug_is_on(reports: Reports) -> None:
    clock = Hand()
    plug = SimulatedPlug("kettle", **reports.receivers(), can_switch=True, clock=clock)
    plug.start()
    plug.set_power(1_800.0)
    clock.now += 1_800.0
    plug.switch("kettle", False)
    assert reports.values("kettle")["energy_kwh"] == pytest.approx(0.9)
    clock.now += 7_200.0
    plug.report()
    assert reports.values("kettle")["energy_kwh"] == pytest.approx(0.9)
    assert reports.values("kettle")["power_w"] == 0.0
    assert reports.times[-1] == clock.now


def test_a_plug_can_be_switched_at_its_own_button_even_where_orders_are_not_allowed(reports: Reports) -> None:
    plug = SimulatedPlug("fridge", **reports.receivers())
    plug.start()
    plug.press_button()
    assert plug.is_on is False
    assert reports.of("contact", "fridge") == [("on", True), ("on", False)]


def test_an_order_to_a_plug_out_of_reach_fails_and_changes_nothing(reports: Reports) -> None:
    plug = SimulatedPlug("kettle", **reports.receivers(), can_switch=True)
    plug.start()
    plug.go_offline()
    before = len(reports.of("read", "kettle"))
    plug.set_power(5.0)
    plug.switch("kettle", False)
    assert plug.is_on is True
    assert len(reports.of("read", "kettle")) == before
    [(is_on, reason)] = reports.of("switched", "kettle")
    assert is_on is False
    assert "offline" in reason
    plug.come_back()
    assert reports.values("kettle")["power_w"] == 5.0
