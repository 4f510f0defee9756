"""Any facts, in any order, at any time: what must hold all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from agent import events
from agent.contract.entries import PREFIX, body_model
from agent.core import alarms, own_data, upkeep
from agent.core.appliance import Profile
from agent.core.certificates import LinkRules
from agent.core.codes import CodeRules
from agent.core.commands import COMMANDS, Refusal, Scope
from agent.core.door import STANDING_OPEN, Lock, LockKind, Mode, is_energised
from agent.core.factors import count
from agent.core.gallery import Gallery, build_gallery
from agent.core.notices import HOUR_S, FaultPattern, NoticeRules, Recipient
from agent.core.pass_book import PassRules
from agent.core.passes import Pass, station_digest
from agent.core.problems import Words
from agent.core.publication import parts
from agent.core.repairs import REPORTED, identity
from agent.core.requests import ACTIONS
from agent.core.schedule import Admission, Schedule, Span
from agent.core.station import HANDLERS
from agent.core.supplies import SupplyRules
from agent.core.tally import CounterRules
from agent.effects import (
    AppendEntry,
    AuditGallery,
    BuildGallery,
    CheckPin,
    CollectDiagnostics,
    DeenergiseLock,
    EncodePhoto,
    EnergiseLock,
    EnrolFromCamera,
    EraseMember,
    Exit,
    FindCard,
    KeepNotes,
    KillVision,
    Notify,
    PublishEntries,
    PublishState,
    PutMember,
    ReadEntries,
    ReadOutbox,
    RecordConsent,
    RedeemPass,
    RemoveCredentials,
    ReplayEntries,
    RunQuery,
    SaveCard,
    SaveMember,
    SavePin,
    SealCard,
    SealMember,
    SealPin,
    SuspendMember,
    WithdrawConsent,
)
from agent.events import (
    Actor,
    Event,
    LoggedEntry,
    LogPlace,
    Member,
    MinuteReading,
    OpenVisit,
    Receipt,
    Restored,
    SealedCard,
    SealedPin,
)
from agent.mqtt.payloads import encode, state_of
from tests.core.station_play import CONSENT, ENGINE, RULES, Play, begin, face_of, member, ready

BEFORE = 60  # entries
PEOPLE = 4  # 0 may come in, 1 is suspended, the others are strangers until somebody enrols them
PEOPLE_AT_THE_START = (member("m-0", 0), member("m-1", 1, is_suspended=True))
RELEASES = ("door.unlock", "door.hold_open", "door.emergency")
DEVICES = ("lock", "button", "sensors.microwave", "sensors.radar")
WIRES = ("fire", "emergency", "tamper", "bolt")
HOURS = Schedule(
    zone=UTC,
    weekdays=((Span(480, 1080, Admission.OPEN), Span(1320, 1800, Admission.TWO_FACTORS)),) * 5
    + ((Span(0, 1440, Admission.CLOSED),), ()),
    untrusted=Admission.MEMBERS,
)
NIGHT = (Span(1320, 1830, Admission.CLOSED),)
RECIPIENTS = {
    "master": Recipient(("mail",), faults=(FaultPattern(),), repeat_s=30.0, repeats_max=5, per_hour=4),
    "office": Recipient(
        ("mail",), "en", frozenset(), (FaultPattern("device"),), Schedule(UTC, (NIGHT,) * 7), repeat_s=0.0, per_hour=1
    ),
}
LINK = LinkRules(("mqtt.tls.ca_file", "mqtt.tls.cert_file"))
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
GALLERY = build_gallery([("m-0", face_of(0)), ("m-1", face_of(1))], engine=ENGINE[0], weights=ENGINE[1])
HERE = station_digest("here")
PASSES = tuple(
    Pass(1, f"{n:016x}", f"m-{n % PEOPLE}", n % 2 == 1, (HERE,), 1_500 * (n % 3 > 0), 2_500, n % 3 == 0)
    for n in range(12)
)


@dataclass
class World:
    """The station and what its orders led to, as far as facts were made of it."""

    play: Play
    requests: list[str] = field(default_factory=list)
    unsent: set[str] = field(default_factory=set)  # messages that surely did not arrive
    subscriptions: set[str] = field(default_factory=set)
    sequence: int = 0
    commands: int = 0
    now: float = 0.0

    def gallery(self, order: BuildGallery) -> Gallery:
        templates = [(each.id, template.vector) for each in order.members for template in each.templates]
        return build_gallery(templates, engine=order.engine, weights=order.weights)

    def ask(self, action: str, role: str, number: int) -> Event:
        request = f"r-{len(self.requests)}"
        self.requests.append(request)
        if action == "subscribe":
            self.subscriptions.add(request)
        somebody = f"m-{number % PEOPLE}"
        arguments = {
            "id": somebody,
            "member_id": somebody,
            "name": "Somebody",
            "pass_id": PASSES[number % len(PASSES)].pass_id,
            "consent": CONSENT,
            "pin": ("2580", "1111")[number % 2],
            "alarm": sorted(alarms.WORDS)[number % len(alarms.WORDS)],
            "fault": ("camera.failed@camera", "reported.broken@microwave", "device.failed@contact")[number % 3],
            "stage": ("seen", "in_repair", "put_right", "checked")[number % 4],
            "where": "microwave",
            "appliance": "microwave",
            "on": number % 2 == 0,
            "zh": "停水",
            "en": "No water",
            "month": "2026-11",
            "part": (tuple(own_data.PARTS) if action == "members.data" else ("setup", "span", "log", "energy"))[
                number % 4
            ],
            "supply": ("aed_pads", "power_banks", "gold")[number % 3],
            "quantity": 1 + number % 4,
            "recipient": ("master", "office", "nobody")[number % 3],
            "epoch": 1 + number % 2,
            "sequence": 1 + number % 7,
            "hash": "" if number % 3 else "0" * 64,
            "first": 1 + number % 5,
            "last": 1 + 3 * number,
            "what": tuple(REPORTED)[number % len(REPORTED)],
            "number": "123456" if number % 3 else "",
            "read": number % 3 == 0,
            "needs_longer": number % 2 == 0,
            **({"until": f"2026-11-2{number % 7}T12:00:00Z"} if number % 3 else {}),
            **({"camera": True} if number % 5 == 0 else {"photos": (b"photo",) * (1 + number % 3)}),
        }
        return events.ControlRequested(self.now, request, Actor("local", "somebody", role), action, arguments)

    def command(self, number: int) -> Event:
        """One of the central server's, fresh or not; ids come again now and then."""
        name = tuple(COMMANDS)[number % len(COMMANDS)]
        nonces = tuple(self.play.state.commands.nonces)
        self.commands += 1
        return events.CommandReceived(
            self.now,
            f"c-{self.commands if number % 4 else number % 3}",
            name if number % 9 else "nonsense",
            {"id": f"m-{number % PEOPLE}", "pass_id": PASSES[number % 3].pass_id, "alarm": "forced"}
            | {"epoch": 1 + number % 2, "first": 1 + number % 5, "last": 1 + 3 * number}
            | {"fault": "camera.failed@camera", "stage": "seen", "appliance": "microwave", "on": number % 2 == 0}
            | {"zh": "停水", "en": "No water", **({"until": "2026-11-23T12:00:00Z"} if number % 2 else {})}
            | {"sequence": 1 + number % 7, "hash": "" if number % 3 else "0" * 64}
            | ({"cards": ["17"], "pin": "2580", "valid_until": "2026-11-22T06:00:00Z"} if number % 2 else {}),
            "central-1",
            frozenset(Scope) if number % 5 else frozenset({Scope.OPERATE}),
            f"{self.commands:032x}",
            nonce=nonces[-1] if nonces and number % 3 else "0" * 32,
            revision=self.commands if number % 3 else 1,
            session=self.play.state.session if number % 3 else "s-0",
            is_retained=number % 11 == 0,
        )

    def notified(self, number: int) -> Event:
        """How the newest message fared, or one before it."""
        orders = self.play.found(Notify)
        if not orders:
            return events.NotifyDone(self.now, "notice:master:1", "master", ok=True)
        order = orders[-1 - number % min(3, len(orders))]
        reason = ("", "unreachable", "timed_out", "", "refused")[number % 5]
        under_way = self.play.state.notices.boxes[order.recipient].under_way
        if reason in ("unreachable", "refused") and under_way and order.request.endswith(f":{under_way.number}"):
            self.unsent.add(order.request)
        return events.NotifyDone(self.now, order.request, order.recipient, not reason, reason, {"mail": reason})

    def redeemed(self, number: int) -> Event:
        """What the disk says of a pass that it was asked about, or of one that it was not."""
        asked = [(each.pass_id, each.until) for each in self.play.found(RedeemPass)]
        pass_id, until = asked[-1] if asked and number % 3 else (PASSES[number % len(PASSES)].pass_id, 0.0)
        return events.PassRedeemed(self.now, pass_id, ("redeemed", "redeemed", "spent", "late")[number % 4], until)

    def log(self, count: int) -> Event:
        entries = self.play.found(AppendEntry)[self.sequence :][: 1 + count]
        receipts = tuple(Receipt(1, self.sequence + n, each.tag) for n, each in enumerate(entries, 1))
        self.sequence += len(receipts)
        return events.EntriesLogged(self.now, receipts)

    def outbox(self, works: bool) -> Event:
        reads = self.play.found(ReadOutbox)
        if not reads or not works:
            return events.OutboxRead(self.now, ())
        last = min(self.sequence, reads[-1].after + reads[-1].limit)
        entries = [
            LoggedEntry(1, n, "station.started", "", "", 0, "", "{}", "", "", "")
            for n in range(reads[-1].after + 1, last + 1)
        ]
        return events.OutboxRead(self.now, tuple(entries))

    def acknowledge(self, number: int) -> Event:
        sent = self.play.found(PublishEntries)
        if not sent:
            return events.EntriesAcknowledged(self.now, "s-1", ((1, number),))
        entry = sent[-1].entries[number % len(sent[-1].entries)]
        return events.EntriesAcknowledged(self.now, sent[-1].session, ((entry.epoch, entry.sequence),))

    def page(self, number: int) -> Event:
        """What the log says to the newest question about a range, or to one before."""
        asked = self.play.found(ReadEntries)
        if not asked:
            return events.EntriesRead(self.now, "r-0#1")
        order = asked[-1 - number % min(2, len(asked))]
        if number % 7 == 0:
            return events.EntriesRead(self.now, order.question, error="it cannot be read")
        last = min(order.last, order.after + order.limit, max(BEFORE, self.sequence))
        first = order.after + 1 + (number % 5 == 0) * 3  # as if three of them were pruned
        entries = tuple(
            LoggedEntry(order.epoch, n, "station.started", "", "", 0, "", "{}", "", "", "")
            for n in range(first, last + 1)
        )
        return events.EntriesRead(self.now, order.question, entries, LogPlace(1, first, "0" * 64))

    def replayed(self, number: int) -> Event:
        sent = self.play.found(ReplayEntries)
        if not sent:
            return events.EntryReplayed(self.now, "r-0", 1, number)
        entry = sent[-1].entries[number % len(sent[-1].entries)]
        error = "quota exceeded" if number % 11 == 0 else ""
        return events.EntryReplayed(self.now, sent[-1].request, entry.epoch, entry.sequence, error)

    def photo(self, number: int) -> Event:
        orders = self.play.found(EncodePhoto)
        order = orders[-1 - number % len(orders)].order if orders else "r-0:1"
        if number % 5 == 0:
            return events.PhotoRefused(self.now, order, "no_face")
        return events.PhotoEncoded(self.now, order, face_of(number % PEOPLE) * (-1 if number % 7 == 0 else 1))

    def saved(self, number: int) -> Event:
        saves = self.play.found(SaveMember)
        if not saves:
            return events.MemberSaved(self.now, Member("m-9"), "r-0")
        save = saves[-1 - number % len(saves)]
        return events.MemberSaved(self.now, save.member, save.request)

    def erased(self, number: int) -> Event:
        erasures = self.play.found(EraseMember)
        if not erasures:
            return events.MemberErased(self.now, "m-9", "r-0", existed=False)
        erasure = erasures[-1 - number % len(erasures)]
        return events.MemberErased(self.now, erasure.member_id, erasure.request, number % 2 == 0)

    def put(self, number: int) -> Event:
        changes = self.play.found(PutMember)
        if not changes:
            return events.MemberPut(self.now, "r-0", Member("m-9"), number % 2 == 0, ("needs_longer",))
        change = changes[-1 - number % len(changes)]
        if number % 5 == 0:
            return events.PutRefused(self.now, change.request, change.member_id, "card.taken", "m-0")
        changed = ("cards", "pin", "valid_until")[: number % 4]
        end = (None, MIDNIGHT, MIDNIGHT + timedelta(hours=9))[number % 3]
        who = Member(change.member_id, valid_until=end)
        return events.MemberPut(self.now, change.request, who, number % 2 == 0, changed, number % 3, number % 7 > 3)

    def sealed_for_put(self, number: int) -> Event:
        orders = self.play.found(SealMember)
        if not orders:
            return events.MemberSealed(self.now, "r-0", "m-9")
        order = orders[-1 - number % len(orders)]
        return events.MemberSealed(
            self.now, order.request, order.member_id, ((SealedCard("k-1", "0" * 64),),)[: number % 2], SEALED_PIN
        )

    def suspended(self, number: int) -> Event:
        orders = self.play.found(SuspendMember)
        if not orders:
            return events.MemberSuspended(self.now, "r-0", "m-9", number % 2 == 0, is_suspended=True)
        order = orders[-1 - number % len(orders)]
        return events.MemberSuspended(
            self.now, order.request, order.member_id, number % 5 > 0, order.is_suspended, order.until, order.why
        )

    def consented(self, number: int) -> Event:
        orders = self.play.found(RecordConsent)
        if not orders:
            return events.ConsentRecorded(self.now, "r-0", "m-9", "c-1", "2027-01-01T00:00:00.000Z")
        order = orders[-1 - number % len(orders)]
        return events.ConsentRecorded(self.now, order.request, order.member_id, "c-1" if number % 9 else "", "")

    def withdrawn(self, number: int) -> Event:
        orders = self.play.found(WithdrawConsent)
        if not orders:
            return events.ConsentWithdrawn(self.now, "r-0", "m-9", existed=False, templates=0, why="withdrawn")
        order = orders[-1 - number % len(orders)]
        return events.ConsentWithdrawn(self.now, order.request, order.member_id, number % 2 == 0, 1, order.why)

    def framed(self, number: int) -> Event:
        orders = self.play.found(EnrolFromCamera)
        order = orders[-1].order if orders else "r-0"
        return events.EnrolmentFrameTaken(self.now, order, face_of(number % PEOPLE), number / 10, 0.5, 100)

    def dates(self, number: int) -> Event:
        known = tuple(
            events.MemberDates(
                f"m-{n}",
                ("2026-11-01", "2020-01-01", None)[(n + number) % 3],
                ("2027-01-01T00:00:00.000Z", "2026-11-01T00:00:00.000Z", None)[(n + number) % 5 % 3],
                "",
                number % 2 == 0,
            )
            for n in range(PEOPLE)
        )
        return events.RetentionRead(self.now, "2026-11-22T03:04:05.000Z", number % 3 == 0, known)

    def answered(self, number: int) -> Event:
        queries = self.play.found(RunQuery)
        request = queries[-1 - number % len(queries)].request if queries else "r-0"
        return events.QueryAnswered(self.now, request, (), "" if number % 2 else "it failed")

    def diagnosed(self, number: int) -> Event:
        orders = self.play.found(CollectDiagnostics)
        request = orders[-1 - number % len(orders)].request if orders else "r-0"
        return events.DiagnosticsCollected(self.now, request, ({"station": {}},) * (1 + number % 3))

    def built(self, number: int) -> Event:
        orders = self.play.found(BuildGallery)
        if not orders:
            return events.GalleryBuilt(self.now, number, GALLERY)
        order = orders[-1 - number % len(orders)]
        return events.GalleryBuilt(self.now, order.request, self.gallery(order))

    def audited(self, number: int) -> Event:
        orders = self.play.found(AuditGallery)
        request = orders[-1 - number % len(orders)].request if orders else "r-0"
        return events.GalleryAudited(self.now, request, {"members": number})

    def coded(self, number: int) -> Event:
        """What the checker says to the newest question, or to one that nobody asked."""
        questions: list[FindCard | CheckPin] = [*self.play.found(FindCard), *self.play.found(CheckPin)]
        request = questions[-1 - number % len(questions)].request if questions else "code-9"
        somebody = None if number % 3 == 0 else f"m-{number % PEOPLE}"
        if number % 7 == 0:
            return events.CodeUnchecked(self.now, request)
        if number % 2:
            return events.CardFound(self.now, request, somebody)
        return events.PinChecked(self.now, request, somebody, is_duress=number % 4 == 0)

    def sealed(self, number: int) -> Event:
        cards, pins = self.play.found(SealCard), self.play.found(SealPin)
        if pins and number % 2:
            pin = pins[-1 - number % len(pins)]
            return events.PinSealed(self.now, pin.request, pin.member_id, pin.number, SEALED_PIN)
        if cards:
            card = cards[-1 - number % len(cards)]
            return events.CardSealed(self.now, card.request, card.member_id, SealedCard("k-1", "0" * 64))
        return events.CardSealed(self.now, "r-0", "m-9", SealedCard("k-1", "0" * 64))

    def changed(self, number: int) -> Event:
        orders: list[SaveCard | SavePin | RemoveCredentials] = [
            *self.play.found(SaveCard),
            *self.play.found(SavePin),
            *self.play.found(RemoveCredentials),
        ]
        request, member_id = "r-0", "m-9"
        if orders:
            order = orders[-1 - number % len(orders)]
            request, member_id = order.request, order.member_id
        if number % 5 == 0:
            return events.CredentialsRefused(self.now, request, "card.taken", "m-0")
        what = ("card_added", "pin_set", "cards_removed")[number % 3]
        return events.CredentialsChanged(self.now, request, member_id, what, number, "123456")


SEALED_PIN = SealedPin("k-1", b"salt", b"hash", b"duress")
READING = MinuteReading("2026-11-22T03:04Z", "microwave", "power_w", 1.0, 2.0, 3.0, 60)
NOTIFY_FAULTS = (("notify.urls_refused", "notify.urls_file", "mode"), ("notify.url_missing", "master", "mail"))
VAULT_FAULTS = (("vault.key_lost", "vault", "k-1"), ("vault.template_refused", "m-1", "m-1"))
MAKERS: dict[type[Event], Callable[[World, int], Event]] = {
    events.DoorContactChanged: lambda w, n: events.DoorContactChanged(w.now, (True, False, True, False, None)[n % 5]),
    events.ExitButtonPressed: lambda w, n: events.ExitButtonPressed(w.now),
    events.CallButtonPressed: lambda w, n: events.CallButtonPressed(w.now),
    events.SignalChanged: lambda w, n: events.SignalChanged(
        w.now, WIRES[n % 4], (True, False, None, False)[n // 4 % 4]
    ),
    events.PersonCounted: lambda w, n: events.PersonCounted(w.now, n % 3 > 0),
    events.ClockRead: lambda w, n: events.ClockRead(w.now, MIDNIGHT + timedelta(hours=3 * n), n % 5 > 0),
    events.MotionChanged: lambda w, n: events.MotionChanged(w.now, n % 2 == 0),
    events.PresenceSensed: lambda w, n: events.PresenceSensed(w.now, "radar", n % 3 > 0, n % 2 == 0),
    events.SensorRead: lambda w, n: events.SensorRead(
        w.now, "microwave", {"power_w": (0.0, 5.0, 700.0, float("nan"), -1.0)[n % 5]}
    ),
    events.PresenceSensed: lambda w, n: events.PresenceSensed(w.now, "radar", n % 2 == 0, n % 4 == 0),
    events.SensorStateTold: lambda w, n: events.SensorStateTold(
        w.now, "microwave", f"state-{n % 50}" if n % 3 else "on", n % 2 == 0
    ),
    events.ApplianceSwitched: lambda w, n: events.ApplianceSwitched(w.now, "microwave", n % 2 == 0, "x" * (n % 4)),
    events.DeviceFailed: lambda w, n: events.DeviceFailed(w.now, DEVICES[n % 4], "x" * n),
    events.DeviceRecovered: lambda w, n: events.DeviceRecovered(w.now, DEVICES[n % 4]),
    events.VisionStarted: lambda w, n: events.VisionStarted(w.now, *ENGINE),
    events.VisionStopped: lambda w, n: events.VisionStopped(w.now, "killed"),
    events.VisionBeat: lambda w, n: events.VisionBeat(w.now, n, None if n % 2 else 0.1),
    events.CameraFailed: lambda w, n: events.CameraFailed(w.now, "x" * 100 * n),
    events.CameraRecovered: lambda w, n: events.CameraRecovered(w.now),
    # Everybody has a track, and now and then another one's face appears in it.
    events.FaceSeen: lambda w, n: events.FaceSeen(
        w.now,
        n // 3 % PEOPLE,
        w.now,
        face_of(n // (3 if n % 3 else 4) % PEOPLE),
        liveness=("live", "live", "undecided", "live", "attack")[n % 5],
    ),
    events.FaceUnusable: lambda w, n: events.FaceUnusable(w.now, n % 3, ("too_far", "two_faces", "hat")[n % 3]),
    events.TrackEnded: lambda w, n: events.TrackEnded(w.now, n % 3),
    events.ChallengeAnswered: lambda w, n: events.ChallengeAnswered(
        w.now, f"c-{n % 4}", n % 3, ("turned", "wrong_way", "not_in_time", "turned", "changed")[n % 5]
    ),
    events.GalleryBuilt: World.built,
    events.GalleryAudited: World.audited,
    events.CodePresented: lambda w, n: events.CodePresented(w.now, "card", (f"m-{n % PEOPLE}", "m-0")[: n % 3]),
    events.CodeSeen: lambda w, n: events.CodeSeen(w.now, "NO PASS"),
    events.PassChecked: lambda w, n: events.PassChecked(
        w.now,
        None if n % 7 == 0 else PASSES[n % len(PASSES)],
        ("pass_forged", "pass_unreadable")[n % 2],
        (1_000, 2_000, 3_000)[n % 3],
        n % 5 > 0,
    ),
    events.PassRedeemed: World.redeemed,
    events.PassRevoked: lambda w, n: events.PassRevoked(w.now, f"r-{n}", PASSES[n % len(PASSES)].pass_id),
    events.CardRead: lambda w, n: events.CardRead(w.now, ("front", "exit", "none")[n % 7 % 3], str(n % 3)),
    events.KeyPressed: lambda w, n: events.KeyPressed(w.now, ("front", "exit")[n % 9 == 0], "0123#*#"[n % 7]),
    events.CardFound: World.coded,
    events.PinChecked: World.coded,
    events.CodeUnchecked: World.coded,
    events.CardSealed: World.sealed,
    events.PinSealed: World.sealed,
    events.CredentialsChanged: World.changed,
    events.CredentialsRefused: World.changed,
    events.CredentialsLoaded: lambda w, n: events.CredentialsLoaded(
        w.now, ("", "credentials.key_lost", "credentials.unreadable")[n % 3], "x" * n
    ),
    events.PhotoEncoded: World.photo,
    events.PhotoRefused: World.photo,
    events.EntriesLogged: World.log,
    events.EntriesLost: lambda w, n: events.EntriesLost(w.now, (f"r-{n}",)),
    events.StorageFailed: lambda w, n: events.StorageFailed(w.now, "full"),
    events.StorageOpened: lambda w, n: events.StorageOpened(w.now, Restored(members=PEOPLE_AT_THE_START)),
    events.StorageRecovered: lambda w, n: events.StorageRecovered(w.now),
    events.OutboxRead: lambda w, n: w.outbox(n % 4 > 0),
    events.EntriesRead: World.page,
    events.EntryReplayed: World.replayed,
    events.DiskSpaceChanged: lambda w, n: events.DiskSpaceChanged(w.now, is_low=n % 2 == 0, free_mb=n),
    events.MinutesMeasured: lambda w, n: events.MinutesMeasured(w.now, (READING,) * n, lost=n // 3),
    events.QueryAnswered: World.answered,
    events.DiagnosticsCollected: World.diagnosed,
    events.MemberSaved: World.saved,
    events.MemberErased: World.erased,
    events.MemberPut: World.put,
    events.PutRefused: World.put,
    events.MemberSealed: World.sealed_for_put,
    events.MemberSuspended: World.suspended,
    events.VaultDescribed: lambda w, n: events.VaultDescribed(w.now, f"r-{n}", {"locked": 0}),
    events.VaultRotated: lambda w, n: events.VaultRotated(w.now, f"r-{n}", "k-2", ("k-1",), n),
    events.VaultRefused: lambda w, n: events.VaultRefused(w.now, f"r-{n}", "vault.key_lost", "k-1"),
    events.VaultExamined: lambda w, n: events.VaultExamined(w.now, VAULT_FAULTS[: n % 3]),
    events.ConsentRecorded: World.consented,
    events.ConsentWithdrawn: World.withdrawn,
    events.EnrolmentFrameTaken: World.framed,
    events.EnrolmentFrameUnusable: lambda w, n: events.EnrolmentFrameUnusable(w.now, f"r-{n}", "too_far"),
    events.RetentionRead: World.dates,
    events.CommandReceived: lambda w, n: w.command(n),
    events.CommandRejected: lambda w, n: events.CommandRejected(
        w.now, tuple(Refusal)[n % 5], f"c-{n % 7}" if n % 2 else "", "central-1" if n % 3 else ""
    ),
    events.BrokerConnected: lambda w, n: events.BrokerConnected(w.now, f"s-{n}"),
    events.BrokerDisconnected: lambda w, n: events.BrokerDisconnected(w.now, Words("timeout", "timeout")),
    events.EntriesAcknowledged: World.acknowledge,
    events.NotifyDone: World.notified,
    events.NotifyExamined: lambda w, n: events.NotifyExamined(w.now, NOTIFY_FAULTS[: n % 3]),
    events.CertificateRead: lambda w, n: events.CertificateRead(
        w.now, LINK.files[n % 2], None if n % 7 == 0 else MIDNIGHT + timedelta(days=n - 10), "x" * n
    ),
    events.ControlRequested: lambda w, n: w.ask(
        (*ACTIONS, "nonsense")[n % (len(ACTIONS) + 1)], ("viewer", "master", "master", "guest")[n % 4], n
    ),
    events.SubscriberLeft: lambda w, n: events.SubscriberLeft(w.now, f"r-{n}"),
    events.TimePassed: lambda w, n: events.TimePassed(w.now),
    events.PauseSkipped: lambda w, n: events.PauseSkipped(w.now, float(n)),
}
ENDS: dict[type[Event], Callable[[World], Event]] = {
    events.WorkerFailed: lambda w: events.WorkerFailed(w.now, "storage", "OSError"),
    events.ShutdownRequested: lambda w: events.ShutdownRequested(w.now, "SIGTERM"),
}
# What a day is made of comes more often than what hardly ever happens.
OFTEN = [
    events.DoorContactChanged,
    events.ExitButtonPressed,
    events.FaceSeen,
    events.PassChecked,
    events.PassRedeemed,
    events.FaceSeen,
    events.FaceSeen,
    events.FaceSeen,
    events.CardRead,
    events.KeyPressed,
    events.CardFound,
    events.GalleryBuilt,
    events.VisionStarted,
    events.ControlRequested,
    events.EntriesLogged,
    events.BrokerConnected,
    events.NotifyDone,
]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*MAKERS, *OFTEN, *OFTEN, *OFTEN]),
        st.integers(0, 60),
        st.integers(1, 3),  # how often, for a face needs several frames
        st.one_of(st.sampled_from([0.0, 0.1, 1.0, 3.0, 6.0]), st.floats(0, 0.2), st.floats(0, 40)),
        st.one_of(st.just(0.0), st.floats(0, 2)),
    ),
    min_size=10,
    max_size=80,
)


def test_every_kind_of_fact_is_tried() -> None:
    assert {*MAKERS, *ENDS} == set(HANDLERS)


def check_lock(before: Lock, cause: Event, play: Play, seen: int) -> None:
    """The lock is released for a reason, for a time, and the current is right."""
    door = play.state.door
    is_fire = "fire" in play.state.signals and play.state.signals["fire"].level is True
    is_broken = "emergency" in play.state.signals and play.state.signals["emergency"].level is True
    if is_fire or is_broken or isinstance(cause, events.ExitButtonPressed):
        assert door.lock is Lock.RELEASED
    if door.mode in STANDING_OPEN:
        assert {
            Mode.RELEASED_BY_FIRE: is_fire,
            Mode.EMERGENCY: is_broken or play.state.is_emergency_ordered,
            Mode.HELD_OPEN: bool(play.logged("control.done")),
            Mode.UNLOCKED: play.state.admission is Admission.OPEN,
        }[door.mode]
    elif before is Lock.SECURED and door.lock is Lock.RELEASED:
        if isinstance(cause, events.ControlRequested):
            assert cause.action in RELEASES
            assert cause.actor.role == "master"
        elif isinstance(cause, events.CommandReceived):
            assert cause.name in RELEASES
            assert Scope.OPEN in cause.scopes
            assert not cause.is_retained
            assert play.logged("command.accepted")[-1]["id"] == cause.id
            assert cause.nonce not in play.state.commands.nonces  # it was good, and is used
        elif isinstance(cause, events.PassChecked):
            assert cause.token is not None
            assert not cause.token.is_once
            assert cause.token.pass_id not in play.state.passes.revoked
        elif isinstance(cause, events.PassRedeemed):
            assert cause.outcome == "redeemed"
            assert cause.pass_id not in play.state.passes.revoked
        elif isinstance(cause, (events.FaceSeen, events.CardFound, events.PinChecked)):
            granted = play.logged("access.granted")[-1]["member"]
            assert not play.state.members[granted].is_suspended
        elif isinstance(cause, events.CardRead):
            assert play.rules.codes.readers[cause.reader]  # who is inside may leave
        else:
            assert isinstance(cause, events.ExitButtonPressed)
        if isinstance(cause, (events.FaceSeen, events.CardFound, events.PinChecked, events.PassChecked)):
            granted = play.logged("access.granted")[-1]
            is_strict = play.state.admission is Admission.TWO_FACTORS or play.rules.codes.factors_needed == 2
            assert count(granted["way"]) >= 1 + is_strict
            assert granted.get("pass") not in {each.pass_id for each in PASSES if each.is_once}  # not redeemed yet
        if isinstance(cause, events.FaceSeen):
            assert door.mode is Mode.NORMAL
            assert play.state.admission in (Admission.OPEN, Admission.MEMBERS) or not play.state.code
    if door.lock is Lock.RELEASED and door.mode not in STANDING_OPEN:
        assert door.release_ends_at is not None
        assert door.release_ends_at <= play.now + play.rules.door.extended_release_s
    orders = [each for each in play.orders[seen:] if isinstance(each, (EnergiseLock, DeenergiseLock))]
    if orders:
        assert isinstance(orders[-1], EnergiseLock) is is_energised(door.lock, play.rules.lock_kind)
    if door.lock is not before:
        assert orders


def check_visits(play: Play) -> None:
    """Each visit begins once and ends at most once, and those that have not ended are inside."""
    changes = [change for entry in play.found(AppendEntry) for change in entry.visits]
    begun = [each.visit for each in changes if hasattr(each, "entered_at")]
    ended = [each.visit for each in changes if hasattr(each, "left_at")]
    assert len(set(begun)) == len(begun)
    assert len(set(ended)) == len(ended)
    assert {"before-1", *begun} - set(ended) == {each.id for each in play.state.occupancy.visits}
    assert 0 <= play.inside <= len(play.state.occupancy.visits)


def check_faults(play: Play) -> None:
    """Each fault in the log is raised before it is cleared or checked off, and what is left is what is wrong."""
    standing: set[tuple[str, str]] = set()
    noted: set[str] = set()
    for entry in play.found(AppendEntry):
        key = (str(entry.body.get("code")), str(entry.body.get("where")))
        if entry.type == "station.fault.raised":
            assert key not in standing
            standing.add(key)
        if entry.type == "station.fault.cleared" or entry.body.get("stage") == "checked":
            standing.remove(key)
        for note in entry.notes:
            if note.kind == "repair":
                (noted.discard if note.body is None else noted.add)(note.name)
    assert standing == set(play.state.repairs)
    assert noted == {identity(key) for key in standing}
    assert set(play.state.faults) == {key for key, each in play.state.repairs.items() if each.is_present}


def check_alarms(play: Play) -> None:
    """Every alarm that is so now is in the register, and the notes say what the register does."""
    assert {name for name, each in play.state.alarms.items() if each.is_active} == upkeep.active(play.state)
    noted: set[str] = set()
    for order in play.orders:
        for note in order.notes if isinstance(order, (AppendEntry, KeepNotes)) else ():
            if note.kind == "alarm":
                (noted.discard if note.body is None else noted.add)(note.name)
    assert noted == set(play.state.alarms)


def check_notices(world: World) -> None:
    """Nobody gets more than their limit within an hour, and no alarm that nobody has seen is forgotten."""
    play = world.play
    for name, recipient in RECIPIENTS.items():
        sent = [
            at
            for order, at in zip(play.orders, play.ordered_at, strict=True)
            if isinstance(order, Notify) and order.recipient == name and order.request.startswith("notice:")
            if order.request not in world.unsent
        ]
        for at in sent:
            assert sum(at <= other < at + HOUR_S for other in sent) <= recipient.per_hour
    box = play.state.notices.boxes["master"]
    of_delivery = box.under_way.about if box.under_way else {}
    remembered = {what for _, what, _ in (*box.told, *box.waiting, *of_delivery)}
    assert {name for name, each in play.state.alarms.items() if not each.is_acknowledged} <= remembered


def check_published(play: Play) -> None:
    """What is published fits the contract."""
    for order in play.found(PublishState):
        assert encode(state_of(order.part, order.body, order.at, lambda at: "2026-11-22T03:04:05Z"))
    assert set(parts(play.state, play.rules, play.now)) >= {"door", "occupancy", "health"}


def check_replays(play: Play) -> None:
    """Nothing that the broker does not have goes once more, and every command that was begun has one end."""
    for order in play.found(ReadEntries):
        assert order.epoch < play.state.outbox.cursor[0] or (order.epoch, order.last) <= play.state.outbox.cursor
    begun = [body["id"] for body in play.logged("command.accepted")]
    assert sorted(begun) == sorted(body["id"] for body in play.logged("command.ended"))
    assert play.state.replay is None


def check_logged(play: Play) -> None:
    """What is logged fits the contract."""
    for order in play.found(AppendEntry):
        body_model(order.type.removeprefix(PREFIX)).model_validate_json(json.dumps(dict(order.body)))


@settings(max_examples=150)
@given(
    steps=STEPS,
    kind=st.sampled_from(LockKind),
    factors=st.integers(1, 2),
    is_counted=st.booleans(),
    is_challenging=st.booleans(),
    is_old=st.booleans(),
    end=st.sampled_from(list(ENDS)),
    beginning=st.sampled_from([begin, ready]),
)
def test_whatever_happens(
    steps: Sequence[tuple[type[Event], int, int, float, float]],
    kind: LockKind,
    factors: int,
    is_counted: bool,
    is_challenging: bool,
    is_old: bool,
    end: type[Event],
    beginning: Callable[..., Play],
) -> None:
    restored = Restored(open_visits=(OpenVisit("before-1", None),), revoked_passes=frozenset({PASSES[0].pass_id}))
    if is_old:  # there is a log of before, which the broker has
        restored = replace(restored, newest=(1, BEFORE), cursor=(1, BEFORE))
    codes = CodeRules(readers={"front": False, "exit": True}, factors_needed=factors)
    rules = replace(
        RULES,
        lock_kind=kind,
        codes=codes,
        has_emergency=True,
        link=LINK,
        schedule=HOURS,
        passes=PassRules(HERE),
        notices=NoticeRules(RECIPIENTS),
        appliances={"microwave": Profile(running_above_w=100.0, saving_after_s=60.0, can_switch=True)},
        supplies={"aed_pads": SupplyRules(), "power_banks": SupplyRules(lend_s=3600.0)},
    )
    rules = replace(rules, counter=CounterRules(is_counted))
    rules = replace(rules, recognition=replace(RULES.recognition, is_movement_needed=is_challenging))
    world = World(beginning(*PEOPLE_AT_THE_START, rules=rules, restored=restored))
    play = world.play
    for what, number, times, wait_s, late_s in steps:
        # Time passes with the loop awake; then, perhaps, it stands still while the facts wait in the inbox.
        play.wait(wait_s)
        happened_at = play.now
        for n in range(times):
            world.now = happened_at + n / 20
            before, seen = play.state.door.lock, len(play.orders)
            fact = MAKERS[what](world, number)
            play.put_late(max(play.now, world.now + late_s), fact)
            check_lock(before, fact, play, seen)
    check_visits(play)
    check_faults(play)
    check_alarms(play)
    check_notices(world)
    check_published(play)
    check_logged(play)
    # What waits for real processes waits as much longer as station time jumped ahead.
    play.wait(120.0 + sum(number * times for what, number, times, *_ in steps if what is events.PauseSkipped))
    assert [len([r for r in play.replies(request) if r.is_last]) for request in world.requests] == [
        0 if request in world.subscriptions and play.replies(request)[0].ok else 1 for request in world.requests
    ]
    check_replays(play)
    door = play.state.door
    assert door.lock is (Lock.RELEASED if door.mode in STANDING_OPEN else Lock.SECURED)
    assert not play.found(Exit)
    world.now = play.now
    play.put_late(play.now, ENDS[end](world))
    assert isinstance(play.orders[-1], Exit)
    assert len(play.found(KillVision)) <= play.now  # one in five seconds at the most
