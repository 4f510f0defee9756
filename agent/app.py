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
from types import FrameType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent import credentials, effects, log_ring, systemd
from agent.clock import Clock, SystemClock
from agent.control.server import ControlServer
from agent.core.state import GallerySettings
from agent.credentials import CredentialChecker
from agent.diagnostics import DiagnosticsCollector
from agent.effects import Effect
from agent.events import ClockRead, Event, Restored, ShutdownRequested
from agent.galleries import GalleryBuilder
from agent.hardware import Hardware, open_hardware, stage_path
from agent.link_opening import open_link, watch_certificates
from agent.loop import Carry, Inbox, Loop
from agent.notice_urls import find_urls
from agent.notifier import Notifier
from agent.pass_checker import PassChecker
from agent.rules import rules_of
from agent.settings import Settings
from agent.signatures import public_key
from agent.storage.keys import find_keys
from agent.storage.opening import STATION_DATABASE
from agent.storage.pruning import Retention
from agent.storage.writer import StorageWriter
from agent.vision.protocol import CameraConfig, SimulatedCameraConfig, SimulatedPortrait, VisionConfig
from agent.vision.supervisor import VisionProcess

log = logging.getLogger(__name__)

Post = Callable[[Event], None]


SWITCH_S = 0.0005
"""How long a thread may compute in Python while the deciding one waits to; Python's own 5 ms are a late door."""


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
        link = open_link(settings, clock, post)
        if link is not None:
            stack.callback(link.close, 0.5)
        certificates = None if link is None else watch_certificates(settings, clock, post, link)
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


def pass_keys(settings: Settings) -> dict[int, Ed25519PublicKey]:
    """The keys that passes may be signed with, by their ids."""
    return {int(key_id): public_key(text) for key_id, text in settings.passes.keys.items()}


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
