"""`station demo`: the whole agent with simulated hardware, an embedded broker, real faces and real recognition."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console

from agent.app import App, build
from agent.clock import SkippingClock
from agent.control.client import ControlClient
from agent.demo.broker import EmbeddedBroker
from agent.demo.director import Director, Outcome, seconds_until
from agent.demo.passes import PassOffice
from agent.demo.portraits import find_portraits
from agent.demo.recipient import NoticeRecipient
from agent.demo.report import Evidence, as_json, count, missing, spread
from agent.demo.scenario import Scenario, Scene, find_config, load_scenario
from agent.fleet.watch import Watcher
from agent.mqtt.client import Broker
from agent.settings import Settings, load_settings
from agent.vision.protocol import SimulatedPortrait

START_S = 60.0  # the first start converts the network, on a slow card too
SETTLE_S = 10.0  # until the last entries are acknowledged and received
END_S = 5.0


def main(seconds: int | None, report: Path | None) -> int:
    """Play the scenario until Ctrl-C, or for about `seconds`; returns 1 when something expected did not happen.

    `report`: where the figures go, as JSON.
    """
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    scenario = load_scenario(find_config("demo-scenario.toml"))
    with _interruptible() as interrupted:

        def is_over(began_at: float) -> bool:
            return interrupted.is_set() or _is_time_up(began_at, seconds)

        evidence = play(scenario, console, is_over)
    lacking = missing(evidence)
    if report is not None:
        report.write_text(json.dumps(as_json(evidence, lacking), indent=2) + "\n", encoding="utf-8")
    played = {scene.name for scene in evidence.scenes}
    left_out = [scene.name for scene in scenario.scenes if scene.name not in played]
    summarise(console, evidence, left_out, lacking)
    return 1 if lacking else 0


def _is_time_up(began_at: float, seconds: int | None) -> bool:
    return seconds is not None and time.monotonic() >= began_at + seconds


IsOver = Callable[[float], bool]
"""Whether to stop after a scene; is given when the first one began (CLOCK_MONOTONIC), for loading takes its time."""


def play(scenario: Scenario, console: Console, is_over: IsOver) -> Evidence:
    """Run an agent, a broker and a subscriber, and play scenes until `is_over` says so after one of them."""
    portraits = {name: path for name, path in find_portraits().items() if name in scenario.portraits}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="station-demo-")))
        broker = EmbeddedBroker()
        stack.callback(broker.stop)
        broker.start()
        station = load_settings(find_config("demo.toml"))
        office = PassOffice(folder, station.station.id)
        settings = _settings(station, folder, broker.port, office)
        recipient = stack.enter_context(NoticeRecipient())
        recipient.give_url(settings.notify_urls_file)
        watcher = Watcher(Broker("127.0.0.1", broker.port, protocol="3.1.1"), settings.mqtt.prefix)
        stack.callback(watcher.close)
        watcher.start()
        shown = {name: SimulatedPortrait(path=str(path)) for name, path in portraits.items()}
        shown |= {phone: office.screen(phone) for phone in scenario.phones}
        clock = SkippingClock()
        clock.skip(seconds_until(scenario.begins, clock.wall().utc, settings.station.timezone))
        app = stack.enter_context(build(settings, clock, shown))
        stack.enter_context(_running(app))
        client = ControlClient(settings.control.socket)
        director = Director(app, watcher, client, portraits, office, recipient, partial(_tell, console))
        _await_recognition(client)
        scenes = _play_rounds(scenario, director, console, is_over)
        return _gather(scenes, director, settings.station.id)


def _play_rounds(scenario: Scenario, director: Director, console: Console, is_over: IsOver) -> list[Scene]:
    played: list[Scene] = []
    rounds = 0
    began_at = time.monotonic()
    while True:
        for scene in scenario.scenes:
            if scene.once and rounds:
                continue
            console.print(f"\n[bold]{scene.zh}[/]\n[bold]{scene.en}[/]")
            director.play(scene)
            played.append(scene)
            if is_over(began_at):
                return played
        rounds += 1


def _gather(scenes: list[Scene], director: Director, station: str) -> Evidence:
    """Let the last entries arrive, then read the figures off both ends."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        status = director.client.request("status")
        received = director.watcher.entries(station)
        written, acknowledged = status["log"]["sequence"], status["broker"]["acknowledged"]
        if len(received) == written == acknowledged or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return Evidence(
        scenes=scenes,
        outcomes=director.outcomes,
        latencies_ms=director.latencies_ms,
        received=received,
        audit=director.watcher.audit(station),
        log_entries=written,
        acknowledged=acknowledged,
        notices=director.recipient.count,
        complaints=director.watcher.complaints(),
        named=[name for name in director.portraits if any(name in each.model_dump_json().lower() for each in received)],
    )


def _settings(settings: Settings, folder: Path, broker_port: int, office: PassOffice) -> Settings:
    """The demo's with a state directory and a socket of its own, at the embedded broker, knowing the office's key."""
    return settings.model_copy(
        update={
            "state": settings.state.model_copy(update={"directory": folder / "state"}),
            "control": settings.control.model_copy(update={"socket": folder / "control.sock"}),
            "notify": settings.notify.model_copy(update={"urls_file": folder / "notify.urls"}),
            "mqtt": settings.mqtt.model_copy(update={"host": "127.0.0.1", "port": broker_port}),
            "passes": settings.passes.model_copy(update={"keys": office.keys}),
        }
    )


@contextmanager
def _running(app: App) -> Iterator[None]:
    """The deciding thread, ended and joined on leaving."""
    thread = threading.Thread(target=app.run, name="deciding")
    thread.start()
    try:
        yield
    finally:
        app.end("the demo is over")
        thread.join(END_S)


def _await_recognition(client: ControlClient) -> None:
    deadline = time.monotonic() + START_S
    while client.request("status")["parts"]["health"]["vision"] != "running":
        if time.monotonic() > deadline:
            return  # the scenes will name what does not happen
        time.sleep(0.05)


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C ends the demo after the scene that is running; a second one at once."""
    interrupted = threading.Event()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if interrupted.is_set():
            raise KeyboardInterrupt
        interrupted.set()

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(console: Console, outcome: Outcome) -> None:
    mark = f"[red]✘ {outcome.failure}[/]" if outcome.failure else "[green]✔[/]"
    console.print(f"  {outcome.took_ms:8.1f} ms  {outcome.step}  {mark}")


def summarise(console: Console, evidence: Evidence, left_out: list[str], lacking: list[str]) -> None:
    """Print the figures, what was left out and what is missing."""
    counted = count(evidence)
    latency = spread(evidence.latencies_ms)
    console.print(
        f"\n[bold]{len(evidence.scenes)} scenes[/]: {counted['visits']} visits, {counted['refusals']} refusals, "
        f"{counted['alarms']} alarms, {counted['faults']} faults of appliances, {counted['notices']} messages sent "
        f"out; {evidence.log_entries} entries written, {evidence.acknowledged} acknowledged, "
        f"{len(evidence.received)} received"
    )
    console.print(
        f"face to lock: p50 {latency['p50']} ms, p95 {latency['p95']} ms, max {latency['max']} ms "
        f"({len(evidence.latencies_ms)} openings)"
    )
    if left_out:
        console.print(f"[yellow]time was up; left out: {', '.join(left_out)}[/]")
    for each in lacking:
        console.print(f"[red]✘ {each}[/]")
    if not lacking:
        console.print("[green]✔ everything in the scenes that were played happened[/]")
