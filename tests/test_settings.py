from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agent.core.problems import Problem
from agent.door_settings import ReaderSettings
from agent.link_settings import CommandKeySettings
from agent.lock_wiring import LockWiring, load_lock_wiring
from agent.mistakes import PATTERNS, known_paths
from agent.sensor_settings import ApplianceSettings, NamedContactSettings, SensorSettings, SerialSettings
from agent.settings import RecipientSettings, Settings, SettingsError, SupplySettings, load_settings, settings_from

_DOCUMENTED = Path(__file__).parents[1] / "config" / "station.toml"
_HIDDEN = r'(?m)^#(?=\[?[a-z"]|1 = )'  # the mark before a default that is shown
_FREE_NAMES = {
    "control.roles.alice",
    "passes.keys.1",
    "schedule.exceptions.2027-02-06",
    "schedule.exceptions.2027-10-01..2027-10-03",
}
# Tables of which a station has several: the model of one, and the name of the one that the file shows.
_TABLES: Mapping[str, tuple[type[BaseModel], str]] = {
    "appliances": (ApplianceSettings, "microwave"),
    "contacts": (NamedContactSettings, "tank"),
    "readers": (ReaderSettings, "front"),
    "sensors": (SensorSettings, "microwave"),
    "serial": (SerialSettings, "meters"),
    "supplies": (SupplySettings, "aed_pads"),
}
_REAL = '[station]\nid = "t-1"\n[lock]\npin = 1\n[contact]\npin = 2\n[exit_button]\npin = 3\n'
_MINIMUM = '[station]\nid = "t-1"\n[hardware]\nsimulated = true\n'


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "station.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _problems(tmp_path: Path, text: str) -> dict[str, Problem]:
    with pytest.raises(SettingsError) as caught:
        load_settings(_file(tmp_path, text))
    found = {each.where: each for each in caught.value.problems}
    assert len(found) == len(caught.value.problems), "a place was reported twice"
    return found


def _only(tmp_path: Path, text: str) -> Problem:
    (found,) = _problems(tmp_path, text).values()
    return found


def _flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat


def _defaults(model: type[BaseModel], before: str = "") -> dict[str, Any]:
    """Every setting with its default; PydanticUndefined when it is required."""
    flat: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        path = f"{before}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            flat |= _defaults(field.annotation, f"{path}.")
        elif name in _TABLES:
            model_of_one, example = _TABLES[name]
            flat |= _defaults(model_of_one, f"{name}.{example}.")
        elif name == "exceptions":
            flat |= {f"schedule.exceptions.{day}": None for day in ("2027-02-06", "2027-10-01..2027-10-03")}
        elif name == "recipients":
            flat |= _defaults(RecipientSettings, "notify.recipients.master.")
        elif name == "roles":
            flat["control.roles.alice"] = None  # a table of free names: the file shows one
        elif path == "commands.keys":
            flat |= _defaults(CommandKeySettings, "commands.keys.central-1.")
        elif path == "passes.keys":
            flat["passes.keys.1"] = None
        else:
            flat[path] = field.default
    return flat


def test_the_documented_file_and_the_models_list_the_same_settings() -> None:
    shown = re.sub(_HIDDEN, "", _DOCUMENTED.read_text(encoding="utf-8"))

    assert _flat(tomllib.loads(shown)).keys() == _defaults(Settings).keys()


def test_the_documented_defaults_are_the_models_defaults() -> None:
    text = _DOCUMENTED.read_text(encoding="utf-8")
    shown = _flat(tomllib.loads(re.sub(_HIDDEN, "", text)))
    differing = {}
    for path, default in _defaults(Settings).items():
        if default is None or default is PydanticUndefined:
            continue  # the file shows an example
        value = list(default) if isinstance(default, tuple) else str(default) if isinstance(default, Path) else default
        if shown[path] != value:
            differing[path] = (shown[path], value)

    assert differing == {}


def test_the_documented_file_changes_no_default_but_what_every_station_must_choose() -> None:
    active = _flat(tomllib.loads(_DOCUMENTED.read_text(encoding="utf-8")))

    assert active.keys() == {"station.id", "lock.pin", "contact.pin", "exit_button.pin"}


def test_examples_of_settings_without_a_default_are_said_to_be_examples() -> None:
    text = _DOCUMENTED.read_text(encoding="utf-8")
    unset = [path for path, default in _defaults(Settings).items() if default is None and path not in _FREE_NAMES]
    for path in unset:
        table, _, key = path.rpartition(".")
        block = text.split(f"[{table}]", 1)[1].split("\n[", 1)[0]
        before = block.split(f"{key} = ", 1)[0]
        assert "Not set" in before, path


def test_the_documented_file_is_good_as_it_stands() -> None:
    settings = load_settings(_DOCUMENTED)

    assert settings.lock.pin == 17
    assert settings.mqtt.port == 1883


def test_the_documented_file_is_good_with_every_example_in_force() -> None:
    shown = re.sub(_HIDDEN, "", _DOCUMENTED.read_text(encoding="utf-8"))
    shown = shown.replace("enabled = false", "enabled = true")
    shown = shown.replace("simulated = false", "simulated = true").replace('username = ""', 'username = "s"')
    # Of one sensor, contact and appliance the file shows what belongs to different kinds.
    for key in ("line", "address", "port", "interval_s", "pin", "switch_off_when_empty_min"):
        shown = re.sub(rf"(\[(?:sensors|contacts|appliances)\.[a-z]+\][^\[]*?)\n{key} = [^\n]*", r"\1", shown)
    settings = settings_from(tomllib.loads(shown), Path("/etc/station-agent"))

    assert settings.control.roles == {"alice": "master"}
    assert settings.appliances["microwave"].running_above_w == 20.0
    assert settings.sensors[settings.appliances["microwave"].power or ""].device == "plug-microwave"


def test_ten_mistakes_of_ten_kinds_are_all_named(tmp_path: Path) -> None:
    found = _problems(
        tmp_path,
        """
        colour = "blue"                       # 1 unknown at the top
        [station]
        name = "East gate"                    # 2 the id is missing
        timezone = "Asia/Peking"              # 3 no such zone
        latitude = 31.2                       # 4 without the longitude
        [lock]
        kind = "fail_save"                    # 5 not a choice
        pin = 17
        [contact]
        pin = 17                              # 6 the pin of the lock
        [exit_button]
        fitted = "yes"                        # 7 wrong type
        [mqtt]
        port = 70000                          # 8 out of bounds
        tls.cert_file = "station.pem"
        tls.enabled = true                    # 9 certificate without key
        [mqqt]
        host = "broker"                       # 10 unknown table
        """,
    )

    assert found.keys() == {
        "colour",
        "station.id",
        "station.timezone",
        "station.longitude",
        "lock.kind",
        "contact.pin",
        "exit_button.fitted",
        "mqtt.port",
        "mqtt.tls.key_file",
        "mqqt",
    }
    assert "must be between 1 and 65535, is 70000" in found["mqtt.port"].text.en
    assert "应在 1 与 65535 之间,现为 70000" in found["mqtt.port"].text.zh
    assert (
        'must be one of "fail_secure", "fail_safe" (nearest: fail_safe), is "fail_save"' in found["lock.kind"].text.en
    )
    assert "pin 17 is already used by lock.pin" in found["contact.pin"].text.en
    assert "The nearest is mqtt." in found["mqqt"].text.en
    assert 'must be true or false, without quotes, is "yes"' in found["exit_button.fitted"].text.en


@pytest.mark.parametrize("key", ["admission", "notices", "weather", "x"])
def test_a_key_that_is_near_to_none_gets_no_hint(tmp_path: Path, key: str) -> None:
    found = _only(tmp_path, _MINIMUM + f"[{key}]\nzzz = 1")
    assert found.where == key
    assert "nearest" not in found.text.en


@pytest.mark.parametrize("kind", ["", "kind = 'micro'\n"])
def test_what_a_table_names_is_looked_for_also_when_its_kind_is_wrong(tmp_path: Path, kind: str) -> None:
    text = f"[appliances.a]\n{kind}power = 'nowhere'\n[contacts.c]\n{kind}sensor = 'gone'\n[door]\nunlock_s = 0.5\n"
    found = _problems(tmp_path, _MINIMUM + text)
    assert found.keys() == {
        "door.unlock_s", "appliances.a.kind", "appliances.a.power", "contacts.c.kind", "contacts.c.sensor"
    }  # fmt: skip
    assert "there is no table [sensors.nowhere]" in found["appliances.a.power"].text.en
    assert "there is no table [sensors.gone]" in found["contacts.c.sensor"].text.en


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("[mqtt]\nprot = 1883", "mqtt.prot", "The nearest is mqtt.port."),
        ("[mqtt.tls]\ncafile = 'a'", "mqtt.tls.cafile", "The nearest is mqtt.tls.ca_file."),
        ("[door]\nkeepalive_s = 3", "door.keepalive_s", "The nearest is mqtt.keepalive_s."),
        ("[appliances.kettle]\nkind = 'other'\nrunning_w = 9", "appliances.kettle.running_w", "running_above_w"),
        ("[appliances.kettle]\nkind = 'micowave'", "appliances.kettle.kind", "nearest: microwave"),
        ("[appliances.Kettle]\nkind = 'other'", "appliances.Kettle", "the name must begin with a lower-case letter"),
        ("[control.roles]\nalice = 'boss'", "control.roles.alice", 'must be one of "viewer", "master"'),
        ("[door]\nunlock_s = 0.5", "door.unlock_s", "must be between 1 and 60, is 0.5"),
        ("[door]\nunlock_s = nan", "door.unlock_s", "must be a finite number, is nan"),
        ("[door]\nunlock_s = '5'", "door.unlock_s", 'must be a number, is "5"'),
        ("[door]\ncontact_debounce_ms = 1.5", "door.contact_debounce_ms", "must be a whole number, is 1.5"),
        ("[recognition]\nmax_distance = 0", "recognition.max_distance", "must be more than 0 and at most 1, is 0"),
        ("[log]\nkeep_days = 7", "log.keep_days", "must be between 30 and 3650, is 7"),
        ("[mqtt]\nprefix = '/stations'", "mqtt.prefix", "begin with / or $"),
        ("[mqtt]\nversion = 5", "mqtt.version", 'must be in quotes: "5", is 5'),
        ("[mqtt]\nhost = ''", "mqtt.host", "must not be empty"),
        ("[vision]\nengine = 'arcface'", "vision.engine", 'must be one of "dlib", "sface"'),
        ("[vision]\nengine = 'sface'\ndetector = 'hog'", "vision.detector", "needs the points that YuNet finds"),
        ("[camera]\nsource = ''", "camera.source", "must not be empty"),
        ("[state]\ndirectory = 5", "state.directory", "must be"),
        ("lock = 17", "lock", "must be a table, is 17"),
        ("[hardware]\ngpio_chip = 'chip4'", "hardware.gpio_chip", "must be a device such as /dev/gpiochip0"),
        ("[control]\nsocket = '/" + "s" * 120 + "'", "control.socket", "the path is too long: 121 bytes, at most 107"),
        (
            "[indicator]\nlight_pin = 5\nbuzzer_pin = 5",
            "indicator.buzzer_pin",
            "pin 5 is already used by indicator.light_pin",
        ),
        ("[recognition]\nframes_needed = 9", "recognition.refuse_after_frames", "frames_needed (9), is 5"),
        ("[mqtt]\npassword_file = 'p'", "mqtt.password_file", "a password needs mqtt.username"),
        ("[visits]\npassback = 'hard'", "visits.passback", "needs a reader with side"),
        ("[log]\nprune_after = 'confirmed'", "log.prune_after", "needs mqtt.enabled and a key with the scope records"),
        ("[visits]\ncapacity = 0", "visits.capacity", "must be between 1 and 200, is 0"),
        ("[codes]\nblock_max_s = 20.0", "codes.block_max_s", "at least codes.block_s (30.0 s), is 20.0 s"),
        ("[codes]\nwrong_codes = 6", "codes.wrong_codes", "must be between 1 and 5, is 6"),
        ("[readers.a]\ndriver = 'hid'", "readers.a.device", "required and missing"),
        ("[readers.a]\ndriver = 'usb'", "readers.a.driver", 'must be one of "hid", "wiegand", "simulated"'),
        ("[readers.a]\ndriver = 'wiegand'\nd0_pin = 4", "readers.a.d1_pin", "required and missing"),
        ("[readers.a]\ndriver = 'wiegand'\nd0_pin = 4\nd1_pin = 4", "readers.a.d1_pin", "already used by readers.a.d0"),
        ("[readers.a]\ndriver = 'hid'\ndevice = 'event0'", "readers.a.device", "must be a device such as /dev/input/"),
        (
            "[readers.a]\ndriver = 'simulated'\nside = 'inside'\nsends = 'keys'",
            "readers.a.sends",
            "nobody needs a PIN to leave",
        ),
        (
            "[readers.a]\ndriver = 'hid'\ndevice = '/dev/input/event0'\n"
            "[readers.b]\ndriver = 'hid'\ndevice = '/dev/input/event0'",
            "readers.b.device",
            "already used by readers.a.device",
        ),
        ("[mqtt.tls]\nca_file = 'c'", "mqtt.tls.enabled", "would not be encrypted"),
        ("[appliances.a]\nkind = 'other'\nrunning_above_w = 0.4", "appliances.a.running_above_w", "is 0.4 W"),
    ],
)
def test_a_mistake_is_said_in_plain_words(tmp_path: Path, text: str, where: str, words: str) -> None:
    if text.startswith("[hardware]"):
        found = _only(tmp_path, _REAL + text)
    elif text.startswith("["):
        found = _only(tmp_path, _MINIMUM + text)
    else:
        found = _only(tmp_path, text + "\n" + _MINIMUM)

    assert found.where == where
    assert words in found.text.en
    assert found.text.zh != found.text.en
    assert re.search("[一-鿿]", found.text.zh)


def test_items_of_a_list_are_counted_from_one(tmp_path: Path) -> None:
    found = _only(tmp_path, '[station]\nid = "t"\nequipment = ["a", 3]\n[hardware]\nsimulated = true\n')

    assert found.where == "station.equipment[2]"
    assert "must be text in quotes, is 3" in found.text.en


def test_what_is_about_a_person_is_not_repeated(tmp_path: Path) -> None:
    found = _only(tmp_path, '[station]\nid = "t"\nmaster_phone = 13800138000\n[hardware]\nsimulated = true\n')

    assert found.where == "station.master_phone"
    assert "138" not in str(found)


def test_a_long_wrong_value_is_shortened_to_one_line(tmp_path: Path) -> None:
    found = _only(tmp_path, _MINIMUM + "[lock]\nkind = '''x\n" + "y" * 500 + "'''")

    assert "\n" not in found.text.en
    assert len(found.text.en) < 200


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"[station]\nid = = 3\n", "line 2, column 6: not TOML"),
        (b"[station]\nid = 'a'\nid = 'b'\n", "line 3, column 9: not TOML"),
        (b"[station]\nid = '\xff'\n", "line 2: not UTF-8"),
        (b"[station]\nid = 'a", "line 2, column 1"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"#" * 1_000_001, "more than 1000000 bytes"),
    ],
)
def test_a_file_that_is_not_toml_is_one_problem_with_its_place(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "station.toml"
    path.write_bytes(data)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)

    (found,) = caught.value.problems
    assert found.code == "settings.unreadable"
    assert words in found.text.en


def test_a_missing_file_and_a_folder_are_problems(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(SettingsError, match=str(path)):
            load_settings(path)


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_bytes(b"\xef\xbb\xbf" + _MINIMUM.replace("\n", "\r\n").encode())

    assert load_settings(path).station.id == "t-1"


def test_relative_paths_count_from_the_files_folder(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, _MINIMUM + "[state]\ndirectory = 'state'\n[camera]\nsource = 'faces'\n"))

    assert settings.state.directory == tmp_path / "state"
    assert settings.camera.source == str(tmp_path / "faces")
    assert settings.control.socket == Path("/run/station-agent/control.sock")


def test_the_simulated_camera_is_not_a_path(tmp_path: Path) -> None:
    assert load_settings(_file(tmp_path, _MINIMUM + "[camera]\nsource = 'simulated'\n")).camera.source == "simulated"


def test_pins_are_needed_only_by_real_hardware_that_is_fitted(tmp_path: Path) -> None:
    found = _problems(tmp_path, '[station]\nid = "t"\n[exit_button]\nfitted = false\n')

    assert found.keys() == {"lock.pin", "contact.pin"}
    assert {each.code for each in found.values()} == {"settings.missing"}


def test_a_counter_needs_both_its_pins(tmp_path: Path) -> None:
    found = _problems(
        tmp_path, _MINIMUM.replace("simulated = true", "simulated = false") + "[counter]\nfitted = true\n"
    )

    assert {"counter.outer_pin", "counter.inner_pin"} <= found.keys()


def test_a_simulated_sensor_is_refused_on_real_hardware(tmp_path: Path) -> None:
    found = _only(tmp_path, _REAL + "[sensors.kettle]\ndriver = 'simulated'\n")

    assert found.where == "sensors.kettle.driver"


def test_a_simulated_reader_is_refused_on_real_hardware(tmp_path: Path) -> None:
    found = _only(tmp_path, _REAL + "[readers.front]\ndriver = 'simulated'\n")

    assert found.where == "readers.front.driver"


def test_an_appliance_without_a_kind_does_not_hide_the_other_mistakes(tmp_path: Path) -> None:
    found = _problems(tmp_path, _MINIMUM + "[appliances.kettle]\n[recognition]\nframes_needed = 9\n")

    assert found.keys() == {"appliances.kettle.kind", "recognition.refuse_after_frames"}


def test_settings_cannot_be_changed_after_loading(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, _MINIMUM))
    with pytest.raises(ValueError, match="frozen"):
        settings.mqtt.__setattr__("port", 1)


def test_every_pattern_of_the_models_has_words() -> None:
    def patterns(schema: object) -> set[str]:
        if isinstance(schema, dict):
            own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
            return own.union(*(patterns(each) for each in schema.values()), set())
        return set().union(*(patterns(each) for each in schema)) if isinstance(schema, list) else set()

    assert patterns(Settings.model_json_schema()) <= PATTERNS.keys()


def test_every_nested_key_is_known_by_its_path() -> None:
    paths = set(known_paths(Settings))

    assert {"mqtt.tls.ca_file", "appliances.NAME.kind", "station.id", "control.roles"} <= paths


# --- what lock-safe reads --------------------------------------------------------------------------------------------


def test_the_file_to_try_the_commands_on_keeps_everything_in_a_folder_that_git_leaves_alone() -> None:
    root = _DOCUMENTED.parents[1]
    settings = load_settings(root / "config/try.toml")

    assert (settings.hardware.simulated, settings.camera.source) == (True, "simulated")
    for path in (settings.state.directory, settings.control.socket, settings.key_file, settings.models_folder):
        assert path.resolve().is_relative_to(root.resolve() / "var")
    assert "/var/" in (root / ".gitignore").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("table", "prints"),
    [
        ('[commands.keys.central-1]\npublic = "abc"\n', "station keys generate"),
        ('[passes.keys]\n1 = "abc"\n', "station passes keygen"),
    ],
)
def test_a_key_that_is_none_names_the_command_that_makes_such_keys(tmp_path: Path, table: str, prints: str) -> None:
    path = tmp_path / "station.toml"
    path.write_text(_MINIMUM + table, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    (found,) = caught.value.problems
    assert prints in found.text.en
    assert prints in found.text.zh


def test_the_locks_wiring_is_read_from_a_file_that_is_wrong_elsewhere(tmp_path: Path) -> None:
    path = _file(tmp_path, "[station]\nid = 5\n[lock]\nkind = 'x'\npin = 17\nactive_high = false\n[mqtt]\nport=0")

    assert load_lock_wiring(path) == LockWiring(17, active_high=False, gpio_chip="/dev/gpiochip0")


@pytest.mark.parametrize("broken", ["[mqtt]\nport = = 3\n", "[mqtt\n", "[station]\nid = 'a\n", "[x]\nnonsense\n"])
def test_the_locks_wiring_is_read_from_a_file_that_is_not_toml_elsewhere(tmp_path: Path, broken: str) -> None:
    good = "[lock]\npin = 17\n[hardware]\ngpio_chip = '/dev/gpiochip4'\n"
    for text in (broken + good, good + broken):
        assert load_lock_wiring(_file(tmp_path, text)) == LockWiring(17, active_high=True, gpio_chip="/dev/gpiochip4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[lock]\n",
        "[lock]\npin = 'x'\n",
        "[lock]\npin = 17\nactive_high = 'no'\n",
        "[lock]\npin = = 17\n",
        "[lock]\npin = 17\nactiv_high = false\n",
        "[lock]\npin = 17\nnonsense\n",
        "lock = 17\n",
    ],
)
def test_a_wiring_that_is_not_certain_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError):
        load_lock_wiring(_file(tmp_path, text))


def test_simulated_hardware_has_no_pin_to_make_safe(tmp_path: Path) -> None:
    assert load_lock_wiring(_file(tmp_path, _MINIMUM)).pin is None
