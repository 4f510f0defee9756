"""Builds the agent once from its settings, runs it, and takes it apart in reverse."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from secrets import token_bytes, token_hex
from types import FrameType
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent import __version__, credentials, effects, log_ring, systemd
from agent.certificates import CA_FILE, CERT_FILE, CertificateWatch
from agent.clock import Clock, SystemClock
from agent.command_gate import CommandGate, command_key
from agent.consent_texts import load_texts
from agent.control.server import ControlServer
from agent.core.appliance import Profile
from agent.core.assessment import Criterion
from agent.core.calls import CallRules
from agent.core.certificates import LinkRules
from agent.core.codes import CodeRules
from agent.core.consent import ConsentRules
from agent.core.door import DoorTimings, LockKind
from agent.core.enrolment import EnrolmentRules
from agent.core.guessing import GuessingRules
from agent.core.outbox import Limits
from agent.core.pass_book import PassRules
from agent.core.passback import Passback, VisitRules
from agent.core.passes import station_digest
from agent.core.recognition import RecognitionSettings
from agent.core.retention import RetentionRules
from agent.core.state import GallerySettings, Plate, Rules
from agent.core.supplies import DAY_S, SupplyRules
from agent.core.tally import CounterRules
from agent.credentials import CredentialChecker
from agent.diagnostics import DiagnosticsCollector
from agent.effects import Effect
from agent.events import ClockRead, Event, Restored, ShutdownRequested
from agent.galleries import GalleryBuilder
from agent.hardware import Hardware, open_hardware, stage_path
from agent.link_settings import MqttSettings
from agent.loop import Carry, Inbox, Loop
from agent.mqtt.backoff import Backoff
from agent.mqtt.client import Broker, Tls
from agent.mqtt.discovery import Announcement, Device
from agent.mqtt.link import BrokerLink
from agent.mqtt.payloads import About, Coordinates, StationMaster
from agent.mqtt.topics import Topics
from agent.notice_settings import notice_rules
from agent.notice_urls import find_urls
from agent.notifier import Notifier
from agent.opening_hours import schedule_of
from agent.pass_checker import PassChecker
from agent.room_rules import is_learning, limits_of, room_sources, saving_after_s, welfare_rules
from agent.sensor_settings import PLUGS, ApplianceSettings
from agent.settings import Settings, SupplySettings
from agent.signatures import public_key
from agent.storage.keys import find_keys
from agent.storage.opening import STATION_DATABASE
from agent.storage.pruning import Retention
from agent.storage.writer import StorageWriter
from agent.vision.protocol import CameraConfig, SimulatedCameraConfig, SimulatedPortrait, VisionConfig
from agent.vision.supervisor import VisionProcess

log = logging.getLogger(__name__)

Post = Callable[[Event], None]

NO_METER_STALE_S = 30.0  # of an appliance without a meter, which never has a reading to grow old
PZEM_WRAP_KWH = 10_000.0  # its counter ends at 9999.99 kWh (PZEM-004T V3.0 User Manual, 1.1)

SWITCH_S = 0.0005
"""How long a thread may compute in Python while the deciding one waits to; Python's own 5 ms are a late door."""

CREDENTIAL_OF_BROKER = "mqtt.password"


@dataclass(slots=True)
class App:
    """The agent, built and ready. `hardware.simulated` is how the demo and tests reach the door's twins."""

    settings: Settings
    clock: Clock
    inbox: Inbox
    loop: Loop
    hardware: Hardware
    restored: Restored

    def run(self) -> int:
        """Decide until something ends it; returns the exit code. Blocks."""
        systemd.ready()
        try:
            return self.loop.run(self.restored, systemd.feed_watchdog)
        finally:
            systemd.stopping()

    def end(self, reason: str) -> None:
        """Ask it to end; from any thread or signal handler."""
        self.inbox.post(ShutdownRequested(self.clock.now(), reason))


def run(settings: Settings) -> int:
    """Run the agent until SIGTERM or SIGINT; returns the process's exit code. Main thread only.

    Raises `StorageInUseError` and `ControlSocketError` when it cannot begin at all.
    """
    asked: list[str] = []
    running: list[App] = []

    def end(number: int, _frame: FrameType | None) -> None:
        asked.append(signal.Signals(number).name)
        for app in running:
            app.end(asked[-1])

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with build(settings, SystemClock()) as app:
        settle_interpreter()
        running.append(app)
        if asked:  # told to end while it was being built
            app.end(asked[-1])
        log.info("agent runs: %s, socket %s", settings.station.id, settings.control.socket)
        return app.run()


def settle_interpreter() -> None:
    """Keep this process's interpreter from holding up a decision: for a process that runs the agent and then ends.

    What is there after the start stays, so no later collection need look through it (60 ms with 2,000 members).
    """
    sys.setswitchinterval(SWITCH_S)
    gc.collect()
    gc.freeze()


@contextmanager
def build(
    settings: Settings,
    clock: Clock,
    portraits: Mapping[str, SimulatedPortrait] | None = None,
    inbox: Inbox | None = None,
) -> Iterator[App]:
    """Build every part, and close it in reverse on leaving: wires first (the lock is safe), the log last.

    `portraits` are those whom a simulated camera can show; `inbox`: one that is watched, for measuring. All closings
    together stay under 2 s, for the log is written out while the others close.
    """
    inbox = inbox or Inbox()
    post = inbox.post
    with ExitStack() as stack:
        ring = stack.enter_context(log_ring.kept())
        keys = find_keys(settings.key_file, os.environ)
        kept = Retention(
            settings.log.keep_days,
            settings.readings.keep_days,
            settings.mqtt.enabled,
            needs_confirmation=settings.log.prune_after == "confirmed",
        )
        writer = StorageWriter(
            settings.state.directory,
            settings.station.id,
            clock,
            post,
            keys,
            retention=kept,
            commit_readings_s=60.0 * settings.readings.commit_minutes,
        )
        restored = writer.open()
        stack.callback(writer.close)
        link = _open_link(settings, clock, post)
        if link is not None:
            stack.callback(link.close, 0.5)
        certificates = None if link is None else _watch_certificates(settings, clock, post, link)
        if certificates is not None:
            stack.callback(certificates.close)
        credential_keys = find_keys(
            settings.credential_key_file, os.environ, credentials.CREDENTIAL, credentials.HEADER
        )
        checker = CredentialChecker(settings.state.directory / STATION_DATABASE, credential_keys, clock, post)
        stack.callback(checker.close)
        galleries = GalleryBuilder(gallery_settings(settings), clock, post)
        stack.callback(galleries.close)
        passes = PassChecker(pass_keys(settings), clock, post)
        stack.callback(passes.close)
        diagnostics = DiagnosticsCollector(settings, ring, clock, post)
        stack.callback(diagnostics.close)
        notifier = _open_notifier(settings, clock, post)
        if notifier is not None:
            stack.callback(notifier.close)
        vision = VisionProcess(vision_config(settings, portraits or {}), clock, post)
        stack.callback(vision.close)
        control = ControlServer(settings.control.socket, settings.control.roles, post, clock)
        control.start()
        stack.callback(control.close)
        hardware = stack.enter_context(open_hardware(settings, clock, post))
        carry: dict[type[Effect], Carry] = {
            effects.EnergiseLock: lambda order: hardware.lock.drive(energised=True, seen_at=order.seen_at),
            effects.DeenergiseLock: lambda order: hardware.lock.drive(energised=False, seen_at=order.seen_at),
            effects.ShowIndication: hardware.show,
            effects.SwitchAppliance: hardware.switch,
            effects.ReadClock: lambda _order: post(_read_clock(clock)),
            effects.StartVision: lambda _order: vision.start(),
            effects.KillVision: lambda order: vision.kill(order.reason),
            effects.EncodePhoto: lambda order: vision.encode_photo(order.order, order.photo),
            effects.EnrolFromCamera: lambda order: vision.enrol(order.order, order.seconds),
            effects.ChallengeFace: vision.challenge,
            effects.WatchAgain: lambda _order: vision.watch(),
            effects.BuildGallery: galleries.build,
            effects.AuditGallery: galleries.audit,
            effects.CheckPass: passes.check,
            effects.CollectDiagnostics: diagnostics.collect,
            effects.PublishReply: link.publish_reply if link else _nowhere,
            effects.PublishPresence: link.publish_presence if link else _nowhere,
            effects.PublishState: link.publish_state if link else _nowhere,
            effects.PublishEntries: link.publish_entries if link else _nowhere,
            effects.ReplayEntries: link.replay_entries if link else _nowhere,
            effects.PublishReadings: link.publish_readings if link else _nowhere,
            effects.Notify: notifier.submit if notifier else _nowhere,
            effects.Reply: control.reply,
            **dict.fromkeys(_CREDENTIAL_ORDERS, checker.submit),
            **dict.fromkeys(_STORAGE_ORDERS, partial(_store, writer)),
        }
        if link is not None:
            link.start()
        if certificates is not None:
            certificates.start()
        stack.callback(writer.stop)  # nobody orders anything any more: its time runs beside the closings of the others
        yield App(settings, clock, inbox, Loop(inbox, clock, rules_of(settings), carry), hardware, restored)


_CREDENTIAL_ORDERS = (
    effects.FindCard,
    effects.CheckPin,
    effects.FindNumber,
    effects.SealCard,
    effects.SealPin,
    effects.SealMember,
    effects.LoadCredentials,
)
_STORAGE_ORDERS = (
    effects.AppendEntry,
    effects.KeepNotes,
    effects.ReadOutbox,
    effects.ReadEntries,
    effects.MoveCursor,
    effects.WriteReading,
    effects.SaveMember,
    effects.PutMember,
    effects.SuspendMember,
    effects.RecordConsent,
    effects.WithdrawConsent,
    effects.SaveCard,
    effects.SavePin,
    effects.RemoveCredentials,
    effects.ReadRetention,
    effects.EraseMember,
    effects.RedeemPass,
    effects.RevokePass,
    effects.RunQuery,
    effects.DescribeVault,
    effects.RotateVault,
)


def _store(writer: StorageWriter, order: Effect) -> None:
    """Hand an order over; one that cannot be stored is a mistake in the program, and must not stop the door."""
    try:
        writer.submit(order)
    except (TypeError, ValueError):
        log.exception("an order to the storage was refused: %s", type(order).__name__)


def _read_clock(clock: Clock) -> ClockRead:
    wall = clock.wall()
    return ClockRead(clock.now(), wall.utc, wall.is_trusted)


def _nowhere(_order: Effect) -> None:
    """Without a broker there is nobody to publish to, and without recipients nobody to tell."""


def rules_of(settings: Settings) -> Rules:
    """The settings as the rules need them."""
    return Rules(
        version=__version__,
        plate=_plate_of(settings),
        visit_prefix=token_hex(4),
        lock_kind=LockKind(settings.lock.kind),
        door=door_timings(settings),
        contact_debounce_s=settings.door.contact_debounce_ms / 1000,
        recognition=RecognitionSettings(
            frames_needed=settings.recognition.frames_needed,
            refuse_after=settings.recognition.refuse_after_frames,
            again_s=settings.recognition.again_after_s,
            code_window_s=settings.recognition.code_window_s,
            is_movement_needed=settings.liveness.mode == "challenge",
        ),
        challenge_secret=token_bytes(32),
        appliances={name: _profile(each, settings) for name, each in settings.appliances.items()},
        sensors=sensors_of(settings),
        room=room_sources(settings),
        contacts={name: each.kind for name, each in settings.contacts.items()},
        mains_signal=_mains_signal(settings),
        outbox=Limits(settings.mqtt.in_flight_max, float(settings.mqtt.entries_per_s_max) or None),
        readings_every_s=float(settings.readings.publish_interval_s) if settings.readings.publish else None,
        counter=CounterRules(settings.counter.fitted),
        calls=CallRules(settings.call_button.waits_s),
        link=link_rules(settings),
        has_vision=settings.vision.enabled,
        has_emergency=settings.emergency.enabled,
        schedule=schedule_of(settings.schedule, settings.station.timezone),
        passes=PassRules(station_digest(settings.station.id), settings.passes.trust_unsynchronised_clock),
        consent=ConsentRules(
            settings.consent.version,
            load_texts(settings.consent.folder, settings.consent.version),
            settings.consent.valid_days,
            settings.consent.under_age,
        ),
        enrolment=EnrolmentRules(settings.enrolment.min_frames),
        codes=CodeRules(
            readers={name: each.side == "inside" for name, each in settings.readers.items()},
            guessing=GuessingRules(settings.codes.wrong_codes, settings.codes.block_s, settings.codes.block_max_s),
            factors_needed=settings.codes.factors,
            pin_digits=settings.codes.pin_min_digits,
        ),
        visits=VisitRules(
            settings.visits.limit_h * 3600.0, settings.visits.capacity, Passback(settings.visits.passback)
        ),
        supplies=supply_rules(settings),
        assessment={each: settings.assessment.scale(each) for each in Criterion},
        zone=ZoneInfo(settings.station.timezone),
        notices=notice_rules(settings.notify, settings.station.timezone),
        welfare=welfare_rules(settings.welfare),
        retention=RetentionRules(settings.retention.unseen_days, settings.retention.consent_warning_days),
    )


def _profile(appliance: ApplianceSettings, settings: Settings) -> Profile:
    meter = settings.sensors.get(appliance.power or "")
    return Profile(
        appliance.running_above_w,
        appliance.standby_above_w,
        meter.silence_s if meter is not None else NO_METER_STALE_S,
        appliance.kind,
        limits_of(appliance),
        is_learning=is_learning(appliance),
        thermometer=appliance.temperature or "",
        water_signal=appliance.water or "",
        counter_wrap_kwh=PZEM_WRAP_KWH if meter is not None and meter.driver == "pzem004t" else None,
        meter=appliance.power or "",
        saving_after_s=saving_after_s(appliance),
        is_plug=meter is not None and meter.driver in PLUGS,
        can_switch=appliance.can_switch,
    )


def _mains_signal(settings: Settings) -> str:
    return next((name for name, each in settings.contacts.items() if each.kind == "mains"), "")


def sensors_of(settings: Settings) -> dict[str, str]:
    """What is fitted, by its name in faults, with its kind."""
    fitted: dict[str, str] = {f"sensors.{name}": each.driver for name, each in settings.sensors.items()}
    fitted |= {f"contacts.{name}": each.kind for name, each in settings.contacts.items()}
    others = {"motion": settings.motion.fitted, "counter": settings.counter.fitted}
    return fitted | {name: name for name, is_fitted in others.items() if is_fitted}


def supply_rules(settings: Settings) -> dict[str, SupplyRules]:
    """Each supply's, by its name."""
    return {
        name: SupplyRules(
            each.minimum,
            each.check_every_days * DAY_S,
            each.warning_days,
            None if each.lent_hours is None else each.lent_hours * 3600.0,
        )
        for name, each in settings.supplies.items()
    }


def pass_keys(settings: Settings) -> dict[int, Ed25519PublicKey]:
    """The keys that passes may be signed with, by their ids."""
    return {int(key_id): public_key(text) for key_id, text in settings.passes.keys.items()}


def door_timings(settings: Settings) -> DoorTimings:
    """The door's times in seconds; who needs longer never has less than anybody else."""
    door = settings.door
    return DoorTimings(
        release_s=door.unlock_s,
        open_alarm_s=door.open_alarm_s,
        extended_release_s=max(door.unlock_s, door.extended_unlock_s),
        extended_open_alarm_s=max(door.open_alarm_s, door.extended_open_alarm_s),
        open_warning_s=door.open_warning_s,
        relock_delay_s=door.relock_delay_s,
        relock_grace_s=door.relock_grace_ms / 1000,
        bolt_move_s=settings.bolt.move_s,
    )


def _plate_of(settings: Settings) -> Plate:
    labelled: dict[str, ApplianceSettings | SupplySettings] = {**settings.appliances, **settings.supplies}
    labels = {
        name: {language: text for language, text in (("zh", each.label_zh), ("en", each.label_en)) if text}
        for name, each in labelled.items()
    }
    return Plate(
        id=settings.station.id,
        name=settings.station.name,
        timezone=settings.station.timezone,
        has_contact=settings.contact.fitted,
        has_broker=settings.mqtt.enabled,
        labels={name: words for name, words in labels.items() if words},
    )


def gallery_settings(settings: Settings) -> GallerySettings:
    """How the gallery sets its threshold."""
    return GallerySettings(settings.recognition.target_fpir, settings.distance_ceiling)


def vision_config(settings: Settings, portraits: Mapping[str, SimulatedPortrait]) -> VisionConfig:
    """What the vision child is told."""
    directory = settings.state.directory
    camera: CameraConfig | SimulatedCameraConfig
    if settings.camera.source == "simulated":
        camera = SimulatedCameraConfig(stage=str(stage_path(settings)), portraits=dict(portraits))
    else:
        camera = CameraConfig(source=settings.camera.source)
    return VisionConfig(
        camera=camera,
        width_px=settings.camera.width,
        height_px=settings.camera.height,
        fps=settings.camera.fps,
        engine=settings.vision.engine,
        detector=settings.vision.detector,
        models=str(settings.models_folder),
        cache=str(directory / "networks"),
        face_width_floor_px=settings.vision.face_min_width_px,
        score_floor=settings.vision.min_score,
        is_mirrored=settings.camera.mirrored,
        liveness=settings.liveness.mode,
    )


def _open_notifier(settings: Settings, clock: Clock, post: Post) -> Notifier | None:
    ways = {name: each.urls for name, each in settings.notify.recipients.items()}
    return Notifier(ways, find_urls(settings.notify_urls_file, os.environ), clock, post) if ways else None


def _open_link(settings: Settings, clock: Clock, post: Post) -> BrokerLink | None:
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


def _watch_certificates(settings: Settings, clock: Clock, post: Post, link: BrokerLink) -> CertificateWatch | None:
    tls = _tls_of(settings)
    return None if tls is None else CertificateWatch(tls, clock, post, link.renew)


def link_rules(settings: Settings) -> LinkRules:
    """Which certificates are watched, and whether the link leaves this machine in the clear."""
    mqtt = settings.mqtt
    if not mqtt.enabled:
        return LinkRules()
    if not mqtt.tls.enabled:
        return LinkRules(is_in_the_clear=mqtt.is_in_the_clear)
    files = {CA_FILE: mqtt.tls.ca_file, CERT_FILE: mqtt.tls.cert_file}
    return LinkRules(tuple(where for where, path in files.items() if path is not None))


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
