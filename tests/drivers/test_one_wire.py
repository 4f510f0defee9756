"""Thermometers on 1-Wire: what a broken bus says, and that none of it is taken for a temperature."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from drivers.bus import BusPoller
from drivers.errors import DeviceError
from drivers.found import Found
from drivers.one_wire import Ds18b20, scan
from tests.drivers.kernel_tree import OneWireTree, unreadable, w1_slave
from tests.drivers.waiting import eventually

FRIDGE, BOILER = "28-0316a2794aff", "28-00000b5f1c2d"


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tree(tmp_path: Path) -> OneWireTree:
    return OneWireTree(tmp_path / "devices")


@pytest.mark.parametrize("temperature_c", [-55.0, -10.125, -0.0625, 0.0, 4.5, 25.0625, 84.9375, 85.0625, 125.0])
def test_a_temperature_is_read_as_it_is(tree: OneWireTree, temperature_c: float) -> None:
    tree.set(FRIDGE, w1_slave(temperature_c))
    # The kernel prints whole thousandths.
    assert Ds18b20(FRIDGE, root=tree.root).read()["temperature_c"] == pytest.approx(temperature_c, abs=0.001)


def test_what_a_kernel_printed_is_read(tree: OneWireTree) -> None:
    recorded = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"
    assert recorded == w1_slave(23.125)  # so the other tests' answers are the kernel's, too
    tree.set(FRIDGE, recorded)
    assert Ds18b20(FRIDGE, root=tree.root).read() == {"temperature_c": 23.125}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "gave no reading: check its wires"),
        ("\n", "gave no reading: check its wires"),
        (w1_slave(4.0, is_damaged=True), "wrong checksums: shorten or shield its wires"),
        ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0\n", "only zeros: its data line has"),
        (w1_slave(-127.0), r"says -127.000 degrees and measures -55 to 125: check its power"),
        (w1_slave(127.9375), r"says 127.937 degrees and measures -55 to 125: check its power"),
        (w1_slave(85.0, byte_6=0x0C), r"just lost its power \(85 degrees\): check its plug"),
        (w1_slave(85.0), r"just lost its power \(85 degrees\): check its plug"),
        (w1_slave(4.0)[:40], "gave what is no reading: check that w1_therm"),
        (w1_slave(4.0) * 2, "gave what is no reading: check that w1_therm"),
        ("4000\n", "gave what is no reading: check that w1_therm"),
        (w1_slave(4.0).replace("t=4000", "t=nan"), "gave what is no reading: check that w1_therm"),
        ("\xff\xfe", "gave what is no reading: check that w1_therm"),
    ],
)
def test_what_is_no_temperature_is_a_fault_with_its_remedy(tree: OneWireTree, text: str, words: str) -> None:
    tree.set(FRIDGE, "")
    (tree.root / FRIDGE / "w1_slave").write_bytes(text.encode("latin-1"))
    with pytest.raises(DeviceError, match=f"the thermometer {FRIDGE} .*{words}"):
        Ds18b20(FRIDGE, root=tree.root).read()


def test_a_sensor_that_is_missing_or_whose_bus_fails_says_so_and_is_read_again_once_it_is_back(
    tree: OneWireTree,
) -> None:
    sensor = Ds18b20(FRIDGE, root=tree.root)
    with pytest.raises(DeviceError, match="it is not there; check its wires"):
        sensor.read()
    tree.set(FRIDGE, w1_slave(4.5))
    assert sensor.read() == {"temperature_c": 4.5}
    unreadable(tree.root / FRIDGE / "w1_slave")
    with pytest.raises(DeviceError, match=r"cannot be read \(Input/output error\): check its wires and its power"):
        sensor.read()
    tree.pull_out(FRIDGE)
    with pytest.raises(DeviceError, match="it is not there"):
        sensor.read()
    tree.set(FRIDGE, w1_slave(5.0))
    assert sensor.read() == {"temperature_c": 5.0}


@pytest.mark.parametrize(
    ("before_c", "passed_s", "byte_6", "is_believed"),
    [
        (84.0, 10.0, None, True),  # water that is being heated
        (94.0, 300.0, None, True),  # and that cools down
        (84.0, 301.0, None, False),  # too long ago to say anything
        (74.0, 10.0, None, False),
        (4.0, 10.0, None, False),  # a fridge
        (84.0, 10.0, 0x0C, False),  # the scratchpad itself says that nothing was measured
    ],
)
def test_85_degrees_are_believed_only_where_it_was_as_hot_a_moment_ago(
    tree: OneWireTree, before_c: float, passed_s: float, byte_6: int | None, is_believed: bool
) -> None:
    clock = Hand()
    sensor = Ds18b20(BOILER, root=tree.root, clock=clock)
    tree.set(BOILER, w1_slave(before_c))
    sensor.read()
    clock.now += passed_s
    tree.set(BOILER, w1_slave(85.0, byte_6=byte_6))
    if is_believed:
        assert sensor.read() == {"temperature_c": 85.0}
        return
    for _ in range(3):  # a refused reading is no reading: it makes the next one no more credible
        with pytest.raises(DeviceError, match="lost its power"):
            sensor.read()


@pytest.mark.parametrize("address", ["", "28-", "28-0316a2794afg", "10-0316a2794aff", "28-0316a2794aff/..", "../x"])
def test_an_address_that_no_ds18b20_has_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="use 28- and twelve digits"):
        Ds18b20(address)


def test_the_scan_finds_the_thermometers_and_nothing_else(tree: OneWireTree, tmp_path: Path) -> None:
    tree.set(FRIDGE, w1_slave(4.0))
    tree.set(BOILER, "")
    tree.set("28-nonsense", "")
    tree.set("01-0316a2794aff", "")
    assert list(scan(tree.root)) == [
        Found("one_wire", BOILER, "DS18B20 thermometer"),
        Found("one_wire", FRIDGE, "DS18B20 thermometer"),
    ]
    assert list(scan(tmp_path / "no such bus")) == []


class Told:
    """What a poller says of the two thermometers."""

    def __init__(self, tree: OneWireTree, *, read_limit_s: float = 2.0) -> None:
        self.reasons: list[str] = []
        self.recovered: list[str] = []
        self.values: dict[str, float] = {}
        self.poller = BusPoller(
            "one_wire",
            {name: Ds18b20(name, root=tree.root) for name in (FRIDGE, BOILER)},
            interval_s=0.01,
            on_read=self._read,
            on_failed=lambda _at, device, reason: self.reasons.append(reason),
            on_recovered=lambda _at, device: self.recovered.append(device),
            on_died=lambda bus, reason: self.reasons.append(reason),
            read_limit_s=read_limit_s,
        )
        self.poller.start()

    def _read(self, _at: float, device: str, values: Mapping[str, float]) -> None:
        self.values[device] = values["temperature_c"]


def test_a_sensor_that_loses_its_power_is_reported_once_and_the_others_are_read_on(tree: OneWireTree) -> None:
    tree.set(FRIDGE, w1_slave(4.0))
    tree.set(BOILER, w1_slave(60.0))
    told = Told(tree)
    assert eventually(lambda: told.values == {FRIDGE: 4.0, BOILER: 60.0})
    tree.set(FRIDGE, w1_slave(85.0, byte_6=0x0C))
    assert eventually(lambda: len(told.reasons) == 1)
    tree.set(BOILER, w1_slave(61.0))
    assert eventually(lambda: told.values[BOILER] == 61.0)
    assert told.values[FRIDGE] == 4.0
    tree.set(FRIDGE, w1_slave(5.0))
    assert eventually(lambda: told.values[FRIDGE] == 5.0)
    assert told.poller.stop()
    assert told.recovered == [FRIDGE]
    assert [reason for reason in told.reasons if "lost its power" not in reason] == []


def test_a_read_that_hangs_in_the_kernel_is_named_by_the_bus(tree: OneWireTree) -> None:
    tree.set(FRIDGE, w1_slave(4.0))
    tree.set(BOILER, "")
    fifo = tree.root / BOILER / "w1_slave"
    fifo.unlink()
    os.mkfifo(fifo)  # whoever opens it waits until somebody writes
    told = Told(tree, read_limit_s=0.05)
    assert eventually(lambda: told.poller.hanging() == BOILER)
    with fifo.open("w") as end:
        end.write(w1_slave(60.0))
    assert eventually(lambda: len(told.reasons) == 1)
    _let_go(told, fifo)
    assert "answered after" in told.reasons[0]
    assert told.values == {FRIDGE: 4.0}


def _let_go(told: Told, fifo: Path) -> None:
    """Whatever the thread hangs in again, let it end."""
    while not told.poller.stop(join_s=0.05):
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            continue
