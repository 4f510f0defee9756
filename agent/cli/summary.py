"""What `station check` says about good settings."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

from agent.consent_texts import find_text
from agent.contradictions import pins_of
from agent.core.certificates import OFF
from agent.core.consent import LANGUAGES
from agent.core.problems import Problem, Words, problem
from agent.notice_urls import UrlsError, faults_of, find_urls, read_urls
from agent.notifier import check
from agent.sensor_settings import PLUGS
from agent.settings import Settings
from agent.vision.models import PUBLISHED


def summary(settings: Settings) -> Iterator[Words]:
    """A few lines: enough to see that this is the file that was meant."""
    station, mqtt = settings.station, settings.mqtt
    yield Words(f"站点 {station.id} {station.name}".rstrip(), f"station {station.id} {station.name}".rstrip())
    if settings.hardware.simulated:
        yield Words("硬件:模拟", "hardware: simulated")
    else:
        pins = ", ".join(f"{where} = {pin}" for where, pin in pins_of(settings).items())
        yield Words(f"引脚({settings.hardware.gpio_chip}):{pins}", f"pins ({settings.hardware.gpio_chip}): {pins}")
    if settings.lock.kind == "fail_secure":
        yield Words("门锁:断电时锁闭", "lock: stays locked without current (fail-secure)")
    else:
        yield Words("门锁:断电时打开", "lock: opens without current (fail-safe)")
    camera = settings.camera.source if settings.vision.enabled else None
    yield Words(f"人脸识别:{camera or '关闭'}", f"faces: {camera or 'off'}")
    broker = f"{mqtt.host}:{mqtt.port}, {'TLS' if mqtt.tls.enabled else 'no TLS'}" if mqtt.enabled else None
    yield Words(f"中心服务器:{broker or '关闭'}", f"central server: {broker or 'off'}")
    names = ", ".join(settings.appliances)
    told = ", ".join(settings.notify.recipients)
    yield Words(f"通知:{told or '无'}", f"notified: {told or 'nobody'}")
    yield Words(f"电器:{names or '无'}", f"appliances: {names or 'none'}")
    sensors = ", ".join(f"{name} ({each.driver})" for name, each in settings.sensors.items())
    yield Words(f"传感器:{sensors or '无'}", f"sensors: {sensors or 'none'}")
    if settings.contacts:
        contacts = ", ".join(f"{name} ({each.kind})" for name, each in settings.contacts.items())
        yield Words(f"触点:{contacts}", f"contacts: {contacts}")


def findings(settings: Settings) -> Iterator[Problem]:
    """What this machine lacks for these settings. The door works without all of it; what stops faces is an error."""
    yield from _files(settings)
    yield from _accounts(settings)
    yield from _urls(settings)
    if settings.mqtt.is_in_the_clear:
        yield problem(OFF, "mqtt.tls.enabled")
    if settings.vision.enabled:
        yield from _models(settings)
        for language in LANGUAGES:
            text = find_text(settings.consent.folder, settings.consent.version, language)
            if not os.access(text, os.R_OK):
                yield problem("consent.no_text", "consent.version", str(text))


def _files(settings: Settings) -> Iterator[Problem]:
    """Files that the settings name and that cannot be read now."""
    files = {"vision.models": settings.vision.models}
    if settings.mqtt.enabled:
        tls = settings.mqtt.tls
        files["mqtt.password_file"] = settings.mqtt.password_file
        files |= {
            "mqtt.tls.ca_file": tls.ca_file,
            "mqtt.tls.cert_file": tls.cert_file,
            "mqtt.tls.key_file": tls.key_file,
        }
    if any(each.driver in PLUGS for each in settings.sensors.values()) and not settings.hardware.simulated:
        files |= {"plugs.password_file": settings.plugs.password_file, "plugs.ca_file": settings.plugs.ca_file}
    for where, path in files.items():
        if path is not None and not os.access(path, os.R_OK):
            yield problem("settings.missing_file", where, str(path))


def _models(settings: Settings) -> Iterator[Problem]:
    """Networks that were chosen by name; `auto` does without YuNet, but not with the engine sface."""
    needed = {}
    if settings.vision.engine == "sface":
        needed = {"sface": "vision.engine", "yunet": "vision.engine"}
    if settings.vision.detector == "yunet":
        needed["yunet"] = "vision.detector"
    for name, where in needed.items():
        file = settings.models_folder / PUBLISHED[name].file
        if not os.access(file, os.R_OK):
            yield problem("settings.missing_model", where, f"{name}, {file}")


def _urls(settings: Settings) -> Iterator[Problem]:
    """What is wrong with the file of the recipients' URLs, by their names alone."""
    ways = {name: each.urls for name, each in settings.notify.recipients.items()}
    file = find_urls(settings.notify_urls_file, os.environ)
    for code, where, detail in faults_of(ways, file):
        place = where if code == "notify.urls_refused" else f"notify.recipients.{where}.urls"
        yield problem(code, place, detail)
    try:
        urls = read_urls(file) if ways else {}
    except UrlsError:
        return  # said above
    wrong = [name for name, reason in zip(urls, check(list(urls.values())), strict=True) if reason]
    if wrong:
        yield problem("notify.bad_url", "notify.urls_file", ", ".join(wrong))


def _accounts(settings: Settings) -> Iterator[Problem]:
    for name in settings.control.roles:
        try:
            pwd.getpwnam(name)
        except KeyError:
            yield problem("settings.no_account", f"control.roles.{name}", name)
