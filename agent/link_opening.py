"""Builds the link to the broker from the settings: address, secrets, what is announced, and whose commands count."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.certificates import CertificateWatch
from agent.clock import Clock
from agent.command_gate import CommandGate, command_key
from agent.events import Event
from agent.link_settings import MqttSettings
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker, Tls
from agent.mqtt.discovery import Announcement, Device
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import About, Coordinates, StationMaster
from agent.mqtt.topics import Topics
from agent.room_rules import room_sources
from agent.settings import Settings

Post = Callable[[Event], None]
CREDENTIAL_OF_BROKER = "mqtt.password"


def open_link(settings: Settings, clock: Clock, post: Post) -> BrokerLink | None:
    """The link, not started; None: the settings switch it off."""
    chosen = settings.mqtt
    if not chosen.enabled:
        return None
    broker = Broker(
        host=chosen.host,
        port=chosen.port,
        protocol=chosen.version,
        username=chosen.username or None,
        password_file=password_file(chosen, os.environ),
        tls=_tls_of(settings),
        keepalive_s=chosen.keepalive_s,
    )
    topics = Topics(chosen.prefix, settings.station.id)
    gate = command_gate(settings)
    return BrokerLink(
        broker,
        topics,
        about_of(settings),
        clock,
        post,
        backoff=Backoff(longest_s=chosen.reconnect_s_max),
        receive=None if gate is None else gate.receive,
        announcement=Announcement(
            settings.state.directory, topics, chosen.home_assistant.prefix, home_assistant_device(settings)
        ),
    )


def home_assistant_device(settings: Settings) -> Device | None:
    """What Home Assistant is told of the station; None: nothing."""
    chosen = settings.mqtt.home_assistant
    if not chosen.enabled:
        return None
    labels = {
        name: (each.label_zh if chosen.language == "zh" else each.label_en) or each.label_zh or each.label_en or name
        for name, each in settings.appliances.items()
    }
    name = settings.station.name or settings.station.id
    return Device(name, labels, chosen.language, tuple(room_sources(settings)))


def password_file(chosen: MqttSettings, environment: Mapping[str, str]) -> Path | None:
    """Where the broker's password is: the settings' file, else systemd's credential `mqtt.password`, else nowhere."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if chosen.password_file is not None or not chosen.username or not folder:
        return chosen.password_file
    credential = Path(folder) / CREDENTIAL_OF_BROKER
    return credential if credential.exists() else None


def _tls_of(settings: Settings) -> Tls | None:
    tls = settings.mqtt.tls
    return Tls(tls.ca_file, tls.cert_file, tls.key_file) if tls.enabled else None


def watch_certificates(settings: Settings, clock: Clock, post: Post, link: BrokerLink) -> CertificateWatch | None:
    """What looks after the certificates of the link; None: it has none."""
    tls = _tls_of(settings)
    return None if tls is None else CertificateWatch(tls, clock, post, link.renew)


def command_gate(settings: Settings) -> CommandGate | None:
    """What lets commands in; None without a key, and then the station subscribes to nothing."""
    keys = {name: command_key(each.public, each.scopes) for name, each in settings.commands.keys.items()}
    return CommandGate(settings.station.id, keys) if keys else None


def about_of(settings: Settings) -> About:
    """What the service board shows; the station master only where the settings make it public."""
    station = settings.station
    place = None
    if station.latitude is not None and station.longitude is not None:
        place = Coordinates(latitude=station.latitude, longitude=station.longitude)
    return About(
        name=station.name or station.id,
        address=station.address,
        coordinates=place,
        opening_hours=station.opening_hours,
        equipment=station.equipment,
        station_master=StationMaster(name=station.master_name, phone=station.master_phone)
        if station.is_master_public
        else None,
    )
