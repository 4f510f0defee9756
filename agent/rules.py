"""The settings as the rules need them."""

from __future__ import annotations

from secrets import token_bytes, token_hex
from zoneinfo import ZoneInfo

from agent import __version__
from agent.certificates import CA_FILE, CERT_FILE
from agent.consent_texts import load_texts
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
from agent.core.state import Plate, Rules
from agent.core.supplies import DAY_S, SupplyRules
from agent.core.tally import CounterRules
from agent.notice_settings import notice_rules
from agent.opening_hours import schedule_of
from agent.room_rules import is_learning, limits_of, room_sources, saving_after_s, welfare_rules
from agent.sensor_settings import PLUGS, ApplianceSettings
from agent.settings import Settings, SupplySettings

NO_METER_STALE_S = 30.0  # of an appliance without a meter, which never has a reading to grow old
PZEM_WRAP_KWH = 10_000.0  # its counter ends at 9999.99 kWh (PZEM-004T V3.0 User Manual, 1.1)


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


def link_rules(settings: Settings) -> LinkRules:
    """Which certificates are watched, and whether the link leaves this machine in the clear."""
    mqtt = settings.mqtt
    if not mqtt.enabled:
        return LinkRules()
    if not mqtt.tls.enabled:
        return LinkRules(is_in_the_clear=mqtt.is_in_the_clear)
    files = {CA_FILE: mqtt.tls.ca_file, CERT_FILE: mqtt.tls.cert_file}
    return LinkRules(tuple(where for where, path in files.items() if path is not None))
