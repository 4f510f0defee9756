"""Sensors with a kernel driver: units, offsets and scales, devices by name, and what broken ones say."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.errors import DeviceError
from drivers.found import Found
from drivers.iio import IioSensor, scan
from tests.drivers.kernel_tree import ADS1115, BME280, SCD41, IioTree, unreadable


@pytest.fixture
def tree(tmp_path: Path) -> IioTree:
    return IioTree(tmp_path)


def test_converted_channels_come_in_our_units(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0076", BME280)
    assert IioSensor("bme280", root=tree.root).read() == {
        "temperature_c": pytest.approx(21.84),
        "humidity_percent": pytest.approx(43.21),
        "pressure_hpa": pytest.approx(1005.12316406),
    }


def test_raw_channels_are_offset_first_and_scaled_then(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0062", SCD41)
    # The sensor's data sheet: -45 + 175 * raw / 2^16 degrees, 100 * raw / 2^16 per cent.
    assert IioSensor("scd41", root=tree.root).read() == {
        "temperature_c": pytest.approx(-45.0 + 175.0 * 26324 / 65536, abs=0.001),
        "humidity_percent": pytest.approx(100.0 * 28639 / 65536, abs=0.001),
        "co2_ppm": pytest.approx(812.0),
    }


def test_the_single_inputs_of_a_converter_are_its_channels(tree: IioTree) -> None:
    tree.plug_in(3, "i2c-1/1-0048", ADS1115)
    assert IioSensor("ads1015", root=tree.root).read() == {
        "channel_0_v": pytest.approx(1.65),
        "channel_1_v": pytest.approx(-0.01),
    }


def test_a_scale_and_an_offset_may_stand_for_all_channels_of_their_kind(tree: IioTree) -> None:
    files = {"name": "mcp3208", "in_voltage_scale": "0.5", "in_voltage_offset": "100", "in_voltage1_offset": "0"}
    tree.plug_in(0, "spi0.0", files | {f"in_voltage{n}_raw": "1000" for n in (0, 1)})
    assert IioSensor("mcp3208", root=tree.root).read() == {"channel_0_v": 0.55, "channel_1_v": 0.5}
    gas = {"name": "gas", "in_concentration0_co2_raw": "700", "in_concentration_scale": "0.0001"}
    tree.plug_in(1, "i2c-1/1-0061", gas)
    assert IioSensor("gas", root=tree.root).read() == {"co2_0_ppm": pytest.approx(700.0)}


def test_a_channel_without_a_number_and_numbered_temperatures_have_their_names(tree: IioTree) -> None:
    files = {"name": "adc", "in_voltage_raw": "3300", "in_temp0_input": "20000", "in_temp1_input": "-500"}
    tree.plug_in(0, "spi0.0", files)
    assert IioSensor("adc", root=tree.root).read() == {
        "voltage_v": pytest.approx(3.3),
        "temperature_0_c": 20.0,
        "temperature_1_c": -0.5,
    }


def test_a_sensor_is_found_by_its_name_whatever_number_it_has(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0062", SCD41)
    tree.plug_in(1, "i2c-1/1-0076", BME280)
    sensor = IioSensor("bme280", root=tree.root)
    assert sensor.read()["humidity_percent"] == pytest.approx(43.21)
    tree.pull_out(1)
    with pytest.raises(DeviceError, match="the sensor bme280 is not there: check its wires"):
        sensor.read()
    tree.plug_in(7, "i2c-1/1-0076", BME280 | {"in_humidityrelative_input": "50000"})
    assert sensor.read()["humidity_percent"] == pytest.approx(50.0)


def test_of_two_sensors_with_one_name_the_place_or_the_label_tells(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0076", BME280 | {"label": "cold room", "in_temp_input": "4000"})
    tree.plug_in(1, "i2c-1/1-0077", BME280 | {"label": "out of doors", "in_temp_input": "-3000"})
    with pytest.raises(DeviceError, match="there are 2 sensors bme280: use one of bme280@1-0076, bme280@1-0077"):
        IioSensor("bme280", root=tree.root).read()
    assert IioSensor("bme280@1-0076", root=tree.root).read()["temperature_c"] == 4.0
    assert IioSensor("bme280@out of doors", root=tree.root).read()["temperature_c"] == -3.0
    with pytest.raises(DeviceError, match="bme280@attic is not there"):
        IioSensor("bme280@attic", root=tree.root).read()


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("in_temp_input", "nan", "gives no number for in_temp_input: check its wires"),
        ("in_temp_input", "", "gives nothing for in_temp_input: check its wires"),
        ("in_temp_input", "1e999", "gives no number for in_temp_input"),
        ("in_temp_input", "21840\n21840", "gives no number for in_temp_input"),
        ("in_temp_input", "-144500", r"says temperature_c = -144.5, which cannot be: check its wires"),
        ("in_humidityrelative_input", "112000", r"says humidity_percent = 112, which cannot be"),
        ("in_pressure_input", "0.000", r"says pressure_hpa = 0, which cannot be"),
        ("in_concentration_co2_raw", "0", r"says co2_ppm = 0, which cannot be"),
        ("in_concentration_co2_scale", "-inf", "gives no number for in_concentration_co2_scale"),
    ],
)
def test_what_is_no_measurement_is_a_fault_with_its_remedy(tree: IioTree, file: str, text: str, words: str) -> None:
    files = BME280 if file in BME280 else SCD41
    tree.plug_in(0, "i2c-1/1-0076", files)
    sensor = IioSensor(files["name"], root=tree.root)
    sensor.read()
    tree.set(0, file, text)
    with pytest.raises(DeviceError, match=f"the sensor {files['name']} {words}"):
        sensor.read()
    tree.set(0, file, files[file])
    sensor.read()


def test_a_bus_that_fails_says_so(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0076", BME280)
    unreadable(tree.root / "iio:device0" / "in_pressure_input")
    with pytest.raises(DeviceError, match=r"bme280 \(in_pressure_input\) cannot be read \(Input/output error\): check"):
        IioSensor("bme280", root=tree.root).read()


def test_a_device_that_measures_nothing_of_use_says_so(tree: IioTree) -> None:
    tree.plug_in(0, "i2c-1/1-0068", {"name": "mpu6050", "in_accel_x_raw": "12", "in_concentration_voc_raw": "3"})
    with pytest.raises(DeviceError, match="mpu6050 has no channel that is known: use another sensor"):
        IioSensor("mpu6050", root=tree.root).read()


@pytest.mark.parametrize("address", ["", "@1-0076", "bme280@", "a b", "../x", "bme280@a@b"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="use its name as in /sys/bus/iio/devices, or NAME@PLACE"):
        IioSensor(address)


def test_the_scan_names_each_sensor_so_that_it_can_be_read(tree: IioTree, tmp_path: Path) -> None:
    tree.plug_in(0, "i2c-1/1-0076", BME280 | {"label": "cold room"})
    tree.plug_in(1, "i2c-1/1-0077", BME280)
    tree.plug_in(2, "i2c-1/1-0062", SCD41)
    tree.plug_in(3, "i2c-1/1-0068", {"name": "mpu6050", "in_accel_x_raw": "12"})
    tree.plug_in(4, "i2c-1/1-0069", {"in_temp_input": "20000"})  # without a name nobody can ask for it
    found = list(scan(tree.root))
    channels = "humidity_percent, pressure_hpa, temperature_c"
    assert found == [
        Found("iio", "bme280@1-0076", f"cold room: {channels}"),
        Found("iio", "bme280@1-0077", f"bme280: {channels}"),
        Found("iio", "scd41", "scd41: co2_ppm, humidity_percent, temperature_c"),
    ]
    for each in found:
        assert IioSensor(each.address, root=tree.root).read()
    assert list(scan(tmp_path / "no such bus")) == []
