"""Meters of both makers behind pymodbus's server, and everything that can go wrong on the wire to them."""

from __future__ import annotations

import errno
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from drivers import modbus_line
from drivers.bus import READ_LIMIT_S, BusPoller
from drivers.errors import DeviceError
from drivers.modbus_line import DisturbedAnswerError, LineError, ModbusLine, NoAnswerError, RefusedError
from drivers.modbus_meter import METER_TYPES, Found, ModbusMeter, scan
from tests.drivers.modbus_bench import (
    BENCH_METERS,
    BenchMeter,
    BenchPzem,
    BenchSdm,
    BenchSdm630,
    MeterServer,
    Wire,
    frame,
    unchanged,
)
from tests.drivers.waiting import eventually

PZEM, SDM120, SDM630, ODD, NOBODY = 1, 3, 5, 7, 9
KETTLE = {"voltage_v": 230.5, "power_factor": 0.9, "energy_kwh": 12.345}


class Bench:
    """A wire with a meter of each kind on it, and one device that is no meter."""

    def __init__(self, folder: Path, on_exit: ExitStack) -> None:
        self.meters: dict[int, BenchMeter] = {
            PZEM: BenchPzem(),
            SDM120: BenchSdm(),
            SDM630: BenchSdm630(),
            ODD: BenchMeter([7, 7]),
        }
        for address in (PZEM, SDM120, SDM630):
            self.meters[address].show(1234.5, **KETTLE)
        self._lines = on_exit.enter_context(ExitStack())
        self.wire = on_exit.enter_context(closing(Wire(folder / "ttyUSB0", self.meters)))
        on_exit.enter_context(closing(MeterServer(self.wire.far.path, self.meters)))

    def line(self, answer_s: float = 1.0) -> ModbusLine:
        """A line in the place of the one before it."""
        self._lines.close()
        line = ModbusLine(str(self.wire.port), baud=115_200, answer_s=answer_s, hush_s=0.05)
        return self._lines.enter_context(closing(line))

    def pzem(self, answer_s: float = 1.0) -> ModbusMeter:
        return ModbusMeter(self.line(answer_s), PZEM, "pzem004t")

    def sdm(self, answer_s: float = 1.0) -> ModbusMeter:
        return ModbusMeter(self.line(answer_s), SDM120, "sdm120")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with ExitStack() as on_exit:
        yield Bench(tmp_path, on_exit)


def failure(meter: ModbusMeter) -> DeviceError:
    """What a read raises; it must come in time."""
    began = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        meter.read()
    assert time.monotonic() - began < READ_LIMIT_S
    assert ": " in str(caught.value)  # the fault, then the remedy
    return caught.value


# --- what the meters say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "kind"), [(PZEM, "pzem004t"), (SDM120, "sdm120"), (SDM120, "sdm230"), (SDM630, "sdm630")]
)
def test_a_meter_of_each_type_is_read(bench: Bench, address: int, kind: str) -> None:
    values = dict(ModbusMeter(bench.line(), address, kind).read())
    assert values == values | {
        "power_w": pytest.approx(1234.5),
        "voltage_v": pytest.approx(230.5),
        "current_a": pytest.approx(1234.5 / 230.5 / 0.9, abs=0.001),
        "energy_kwh": pytest.approx(12.345),
        "frequency_hz": pytest.approx(50.0),
        "power_factor": pytest.approx(0.9),
    }


def test_a_pzem_is_understood_as_its_manual_shows_it(bench: Bench) -> None:
    def manual(_answer: bytes) -> bytes:
        return frame(1, 4, 20, 8, 0x98, 3, 0xE8, 0, 0, 8, 0x98, 0, 0, 0, 0, 0, 0, 1, 0xF4, 0, 0x64, 0, 0)

    bench.wire.disturb = manual
    assert bench.pzem().read() == {
        "power_w": 220.0,
        "voltage_v": 220.0,
        "current_a": 1.0,
        "energy_kwh": 0.0,
        "frequency_hz": 50.0,
        "power_factor": 1.0,
    }
    assert bench.wire.questions == [frame(1, 4, 0, 0, 0, 10)]


def test_the_high_words_of_a_pzem_count(bench: Bench) -> None:
    bench.meters[PZEM].show(20_000.0, voltage_v=220.0, power_factor=1.0, energy_kwh=9999.999)
    values = bench.pzem().read()
    assert (values["power_w"], values["current_a"], values["energy_kwh"]) == (20_000.0, 90.909, 9999.999)


def test_each_phase_of_a_three_phase_meter_has_its_own_values(bench: Bench) -> None:
    meter = bench.meters[SDM630]
    assert isinstance(meter, BenchSdm)
    meter.put({0x02: 229.0, 0x08: 2.5, 0x0E: 500.0, 0x20: 0.8, 0x04: 228.0, 0x0A: 0.5, 0x10: -100.0, 0x22: -0.9})
    values = ModbusMeter(bench.line(), SDM630, "sdm630").read()
    assert [values[f"l{phase}_voltage_v"] for phase in (1, 2, 3)] == pytest.approx([230.5, 229.0, 228.0])
    assert [values[f"l{phase}_power_w"] for phase in (1, 2, 3)] == pytest.approx([1234.5, 500.0, -100.0])
    assert [values[f"l{phase}_current_a"] for phase in (2, 3)] == pytest.approx([2.5, 0.5])
    assert [values[f"l{phase}_power_factor"] for phase in (1, 2, 3)] == pytest.approx([0.9, 0.8, -0.9])
    assert len(values) == 6 + 3 * 4


def test_a_types_blocks_differ_in_length_so_that_no_late_answer_fits() -> None:
    for meter_type in METER_TYPES.values():
        counts = [count for _first, count in meter_type.blocks]
        assert len(set(counts)) == len(counts)
        assert all(count % 2 == 0 and count <= 60 for count in counts)  # what an SDM lets be asked at once


@pytest.mark.parametrize(("address", "kind"), [(1, "pzem"), (0, "pzem004t"), (248, "pzem004t")])
def test_a_meter_that_cannot_be_is_refused(address: int, kind: str) -> None:
    with pytest.raises(ValueError, match="use"):
        ModbusMeter(ModbusLine("/dev/none"), address, kind)


# --- what can happen to an answer ------------------------------------------------------------------------------------


def wrong_crc(answer: bytes) -> bytes:
    return answer[:-1] + bytes([answer[-1] ^ 1])


FAULTS: dict[str, tuple[Callable[[bytes], bytes], type[DeviceError], str, int]] = {
    "wrong CRC": (wrong_crc, DisturbedAnswerError, "was disturbed (wrong CRC): twist and terminate the wires", 2),
    "a flipped bit": (
        lambda answer: answer[:6] + bytes([answer[6] ^ 0x10]) + answer[7:],
        DisturbedAnswerError,
        "(wrong CRC)",
        2,
    ),
    "half a frame": (lambda answer: answer[:10], DisturbedAnswerError, "broke off after 10 bytes: check its wires", 2),
    "two bytes": (lambda answer: answer[:2], DisturbedAnswerError, "broke off after 2 bytes", 2),
    "silence": (lambda _answer: b"", NoAnswerError, "no answer from address 1 on", 1),
    "another address": (
        lambda answer: frame(9, *answer[1:-2]),
        DeviceError,
        "address 9 answered instead of address 1 on",
        1,
    ),
    "illegal address": (lambda _answer: frame(1, 0x84, 2), RefusedError, "(illegal data address): check its type", 1),
    "illegal function": (lambda _answer: frame(1, 0x84, 1), RefusedError, "(illegal function): check its type", 1),
    "device failure": (lambda _answer: frame(1, 0x84, 4), RefusedError, "(the device failed): take its power off", 1),
    "a code of its maker": (lambda _answer: frame(1, 0x84, 0x60), RefusedError, "(code 96): take its power off", 1),
    "too few registers": (
        lambda _answer: frame(1, 4, 4, 0, 1, 0, 2),
        DisturbedAnswerError,
        "answered another question",
        2,
    ),
    "another function": (lambda answer: frame(1, 3, *answer[2:-2]), DisturbedAnswerError, "address 1 on", 2),
    "noise without end": (lambda _answer: b"\x00\x55" * 1000, DisturbedAnswerError, "was disturbed (wrong CRC)", 2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_wire_has_its_own_words_and_passes(
    bench: Bench, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    disturb, error, words, tries = FAULTS[name]
    meter = bench.pzem(answer_s=0.2)
    bench.wire.disturb = disturb
    with caplog.at_level(logging.DEBUG):
        caught = failure(meter)
    assert type(caught) is error
    assert words in str(caught)
    assert caught.can_retry
    assert len(bench.wire.questions) == tries  # noise passes: once more; silence would hold up the others
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    bench.wire.disturb = unchanged
    assert eventually(lambda: reads(meter))


def reads(meter: ModbusMeter) -> bool:
    try:
        return meter.read()["power_w"] == pytest.approx(1234.5)
    except DeviceError:
        return False


def test_an_answer_that_is_disturbed_once_is_asked_for_again(bench: Bench) -> None:
    left = [wrong_crc]

    def disturb_once(answer: bytes) -> bytes:
        return left.pop()(answer) if left else answer

    bench.wire.disturb = disturb_once
    assert bench.pzem().read()["power_w"] == 1234.5
    assert len(bench.wire.questions) == 2


@given(st.binary(max_size=300), st.booleans())
def test_noise_with_a_right_crc_or_a_wrong_one_upsets_nothing(noise: bytes, has_crc: bool) -> None:
    framer = modbus_line._framer()
    used, sender, _, message = framer.decode(frame(*noise) if has_crc else noise)
    assert 0 <= used <= len(noise) + 2
    if message:
        assert 0 <= sender <= 255
        assert message[0] == 4 or message[0] >= 0x80
        assert len(message) >= 2
        assert framer.decoder.decode(message) is not None


def test_a_meter_that_is_slow_to_answer_is_waited_for(bench: Bench) -> None:
    def late(answer: bytes) -> bytes:
        time.sleep(0.2)
        return answer

    bench.wire.disturb = late
    assert bench.pzem().read()["power_w"] == 1234.5
    assert bench.sdm().read()["power_w"] == 1234.5


def test_bytes_that_nobody_asked_for_are_thrown_away_before_a_question(bench: Bench) -> None:
    meter = bench.pzem()
    meter.read()
    bench.wire.put(frame(1, 4, 20, *([0] * 18), 0, 0))  # a whole answer, of a question that was given up
    assert meter.read()["power_w"] == 1234.5


def test_an_answer_of_another_that_comes_first_is_passed_over(bench: Bench) -> None:
    def both(answer: bytes) -> bytes:
        bench.wire._send(frame(9, 4, 4, 0, 1, 0, 2))
        time.sleep(0.05)
        return answer

    bench.wire.disturb = both
    assert bench.pzem().read()["power_w"] == 1234.5


def test_a_late_answer_is_not_taken_for_that_of_the_next_question(bench: Bench) -> None:
    answers: list[bytes] = []

    def shift(answer: bytes) -> bytes:
        answers.append(answer)
        return answers[-2] if len(answers) == 2 else answer

    bench.wire.disturb = shift
    assert bench.sdm().read()["energy_kwh"] == pytest.approx(12.345)
    assert len(answers) == 3


def test_an_adapter_that_echoes_is_understood(bench: Bench) -> None:
    bench.wire.disturb = lambda answer: bench.wire.questions[-1] + answer
    assert bench.pzem().read()["power_w"] == 1234.5
    assert bench.sdm().read()["power_w"] == pytest.approx(1234.5)

    def in_pieces(answer: bytes) -> bytes:
        bench.wire._send(bench.wire.questions[-1][:5])
        time.sleep(0.05)
        return bench.wire.questions[-1][5:] + answer

    bench.wire.disturb = in_pieces
    assert bench.pzem().read()["power_w"] == 1234.5
    assert bench.wire.questions[-1] != bench.wire.questions[-2]  # understood at once, not at the second try
    bench.wire.disturb = lambda _answer: bench.wire.questions[-1]
    assert type(failure(bench.pzem(answer_s=0.1))) is NoAnswerError
    bench.wire.disturb = lambda answer: bench.wire.questions[-1][:5]
    assert type(failure(bench.pzem(answer_s=0.1))) is DisturbedAnswerError


# --- what the answers mean -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({0x0C: math.nan}, "power_w of address 3 on .* is not a number: check the meter"),
        ({0x00: math.inf}, "voltage_v of address 3 on .* is not a number"),
        ({0x00: 900.0}, "voltage_v of address 3 on .* is 900, which cannot be: check the meter and its type"),
        ({0x00: -230.0}, "voltage_v of .* is -230, which cannot be"),
        ({0x48: -0.5}, "energy_kwh of .* is -0.5, which cannot be"),
        ({0x46: 5.0}, "frequency_hz of .* is 5, which cannot be"),
        ({0x1E: 3.0}, "power_factor of .* is 3, which cannot be"),
    ],
)
def test_what_no_mains_has_is_not_passed_on(bench: Bench, places: Mapping[int, float], words: str) -> None:
    meter = bench.meters[SDM120]
    assert isinstance(meter, BenchSdm)
    meter.put(places)
    with pytest.raises(DeviceError, match=words):
        bench.sdm().read()


@pytest.mark.parametrize(
    ("address", "kind", "words"),
    [
        (PZEM, "sdm120", r"\(illegal data address\): check its type in the settings"),
        (PZEM, "sdm630", r"\(illegal data address\): check its type in the settings"),
        (SDM120, "pzem004t", "check .*its type in the settings"),
        (SDM630, "pzem004t", "check .*its type in the settings"),
        (ODD, "pzem004t", r"\(illegal data address\): check its type in the settings"),
    ],
)
def test_a_wrong_type_in_the_settings_is_named(bench: Bench, address: int, kind: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        ModbusMeter(bench.line(), address, kind).read()


def test_an_alarm_register_that_is_none_means_another_type(bench: Bench) -> None:
    bench.meters[PZEM].registers[9] = 0xFFFF  # the power is above the threshold that was set in the meter
    assert bench.pzem().read()["power_w"] == 1234.5
    bench.meters[PZEM].registers[9] = 17
    with pytest.raises(DeviceError, match="the alarm is 17, not 0 or 65535: check the meter's type"):
        bench.pzem().read()


# --- the line itself -------------------------------------------------------------------------------------------------


def test_a_line_that_babbles_is_named_and_bounded_and_works_once_it_is_silent(bench: Bench) -> None:
    meter = bench.pzem()
    bench.wire.babbles = True
    caught = failure(meter)
    assert type(caught) is LineError
    assert "never falls silent: take off the devices one by one" in str(caught)
    bench.wire.babbles = False
    assert eventually(lambda: reads(meter))


def test_a_plug_that_was_pulled_is_named_and_back_it_works(bench: Bench) -> None:
    meter = bench.pzem()
    assert reads(meter)
    bench.wire.unplug()
    assert "is gone" in str(failure(meter))
    assert "cannot be opened (ENOENT): plug the adapter in" in str(failure(meter))
    bench.wire.plug_in()
    assert reads(meter)
    bench.wire.unplug()
    bench.wire.plug_in()
    assert "is gone" in str(failure(meter))  # the old port; the next question opens the new one
    assert reads(meter)


def test_a_plug_that_is_pulled_while_an_answer_is_awaited_is_named(bench: Bench) -> None:
    meter = bench.pzem()

    def pull(_answer: bytes) -> bytes:
        bench.wire._unplug()
        return b""

    bench.wire.disturb = pull
    caught = failure(meter)
    assert type(caught) is LineError
    assert "is gone" in str(caught)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "(EACCES): let the agent's account into the group dialout"),
        (errno.ENODEV, "(ENODEV): plug the adapter in"),
        (errno.EIO, "(EIO): plug the adapter in"),
        (errno.EAGAIN, "(EAGAIN): end the program that uses it"),
        (errno.EISDIR, "(EISDIR): name a serial port"),
    ],
)
def test_a_port_that_cannot_be_opened_says_what_to_do(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(*_arguments: object, **_settings: object) -> None:
        raise serial.SerialException(number, "could not open port")

    monkeypatch.setattr(serial, "Serial", refuse)
    caught = failure(ModbusMeter(ModbusLine("/dev/ttyUSB0"), 1, "pzem004t"))
    assert type(caught) is LineError
    assert f"/dev/ttyUSB0 cannot be opened {words}" in str(caught)


def test_a_port_that_another_program_uses_is_named(bench: Bench) -> None:
    meter = bench.pzem()
    assert reads(meter)
    other = ModbusLine(str(bench.wire.port))
    assert "(EAGAIN): end the program that uses it" in str(failure(ModbusMeter(other, PZEM, "pzem004t")))
    assert reads(meter)


def test_a_file_that_is_no_port_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no port"
    path.touch()
    with closing(ModbusLine(str(path))) as line:
        assert "name a serial port" in str(failure(ModbusMeter(line, 1, "pzem004t")))


def test_a_line_that_was_closed_is_opened_again_by_the_next_question(bench: Bench) -> None:
    line = bench.line()
    meter = ModbusMeter(line, PZEM, "pzem004t")
    assert reads(meter)
    line.close()
    line.close()
    assert reads(meter)


def test_two_threads_take_turns_on_one_line(bench: Bench) -> None:
    line = bench.line()
    read: list[float] = []

    def go_on(address: int, kind: str) -> None:
        meter = ModbusMeter(line, address, kind)
        for _ in range(5):
            read.append(meter.read()["power_w"])

    threads = [threading.Thread(target=go_on, args=each) for each in ((PZEM, "pzem004t"), (SDM120, "sdm120"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == pytest.approx([1234.5] * 10)


def test_reading_starts_no_thread(bench: Bench) -> None:
    before = threading.enumerate()
    assert reads(bench.pzem())
    assert reads(bench.sdm())
    assert threading.enumerate() == before


# --- on a bus --------------------------------------------------------------------------------------------------------


class Told:
    def __init__(self) -> None:
        self.reads: list[tuple[str, float]] = []
        self.changes: list[str] = []

    def poller(self, meters: Mapping[str, ModbusMeter], interval_s: float | Mapping[str, float]) -> BusPoller:
        return BusPoller(
            "meters",
            meters,
            interval_s=interval_s,
            on_read=lambda _at, name, values: self.reads.append((name, values["power_w"])),
            on_failed=lambda _at, name, reason: self.changes.append(f"{name}: {reason}"),
            on_recovered=lambda _at, name: self.changes.append(f"{name} is back"),
            on_died=lambda bus, reason: self.changes.append(f"{bus} died: {reason}"),
        )


def test_a_silent_meter_does_not_slow_down_the_other_on_its_line(bench: Bench) -> None:
    line = bench.line(answer_s=0.2)
    told = Told()
    meters = {
        "silent": ModbusMeter(line, NOBODY, "pzem004t"),
        "kettle": ModbusMeter(line, PZEM, "pzem004t", answer_s=1.0),
    }
    poller = told.poller(meters, {"silent": 0.05, "kettle": 0.05})
    poller.start()
    assert eventually(lambda: len(told.reads) >= 40)
    assert poller.stop()
    assert told.changes[0].startswith("silent: no answer from address 9")
    assert len(told.changes) == 1
    silent = sum(question[0] == NOBODY for question in bench.wire.questions)
    assert 2 <= silent <= 12  # as often as the kettle without growing pauses


def test_a_bus_whose_plug_is_pulled_recovers_by_itself(bench: Bench) -> None:
    told = Told()
    line = bench.line()
    meters = {"kettle": ModbusMeter(line, PZEM, "pzem004t"), "fridge": ModbusMeter(line, SDM120, "sdm120")}
    poller = told.poller(meters, 0.02)
    poller.start()
    assert eventually(lambda: {name for name, _ in told.reads} == {"kettle", "fridge"})
    bench.wire.unplug()
    assert eventually(lambda: len(told.changes) == 2)
    bench.wire.plug_in()
    assert eventually(lambda: len(told.changes) == 4)
    told.reads.clear()
    assert eventually(lambda: {name for name, _ in told.reads} == {"kettle", "fridge"})
    assert poller.stop()
    assert sorted(change.partition(":")[0] for change in told.changes[:2]) == ["fridge", "kettle"]
    assert sorted(told.changes[2:]) == ["fridge is back", "kettle is back"]


# --- the scan --------------------------------------------------------------------------------------------------------


def test_a_scan_finds_who_answers_and_as_what(bench: Bench) -> None:
    found = list(scan(bench.line(), range(1, 10), probe_s=0.2))
    assert [(each.address, each.kinds) for each in found] == [
        (PZEM, ("pzem004t",)),
        (SDM120, ("sdm120", "sdm230")),
        (SDM630, ("sdm630",)),
        (ODD, ()),
    ]
    assert all(set(each.kinds) <= METER_TYPES.keys() == BENCH_METERS.keys() for each in found)
    assert "(illegal data address): check its type" in found[-1].problem


def test_a_scan_shows_two_meters_with_one_address_as_a_problem(bench: Bench) -> None:
    bench.wire.disturb = wrong_crc
    assert [each.kinds for each in scan(bench.line(), [PZEM], probe_s=0.2)] == [()]


def test_a_scan_names_a_meter_without_mains(bench: Bench) -> None:
    bench.meters[PZEM].registers[0] = 0
    (found,) = scan(bench.line(), [PZEM], probe_s=0.2)
    assert isinstance(found, Found)
    assert found.kinds == ()
    assert found.problem != ""


def test_a_scan_ends_when_its_time_is_up(bench: Bench) -> None:
    with pytest.raises(LineError, match=r"ended after 0.1 s before \d+: scan fewer addresses"):
        list(scan(bench.line(), range(20, 248), probe_s=0.05, limit_s=0.1))
    assert len(bench.wire.questions) < 20


def test_a_scan_of_a_port_that_is_not_there_ends_at_once() -> None:
    with pytest.raises(LineError, match="cannot be opened"):
        list(scan(ModbusLine("/dev/serial/by-id/none")))
