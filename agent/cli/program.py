"""Puts the groups together."""

from __future__ import annotations

from typing import Annotated

import typer

from agent import __version__
from agent.cli import (
    alarms,
    appliances,
    consent,
    contract,
    diagnostics,
    door,
    faces,
    faults,
    fleet,
    keys,
    log,
    members,
    models,
    notice,
    notify,
    passes,
    report,
    sensors,
    service,
    status,
    supplies,
    vault,
    visits,
)
from agent.cli.options import LanguageOption

app = typer.Typer(
    name="station",
    help="无人值守驿站的程序 / The software of an unattended rest station.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="版本 / Print the version")
    ] = False,
    _lang: LanguageOption = None,
) -> None:
    """Options that stand before a command."""


service.add_to(app)
status.add_to(app)
report.add_to(app)
contract.add_to(app)
app.add_typer(consent.app, name="consent")
app.add_typer(diagnostics.app, name="diagnostics")
app.add_typer(door.app, name="door")
app.add_typer(alarms.app, name="alarms")
app.add_typer(appliances.app, name="appliances")
app.add_typer(faults.app, name="faults")
app.add_typer(notice.app, name="notice")
app.add_typer(notify.app, name="notify")
app.add_typer(members.app, name="members")
app.add_typer(visits.app, name="visits")
app.add_typer(log.app, name="log")
app.add_typer(faces.app, name="faces")
app.add_typer(models.app, name="models")
app.add_typer(sensors.app, name="sensors")
app.add_typer(supplies.app, name="supplies")
app.add_typer(passes.app, name="passes")
app.add_typer(keys.app, name="keys")
app.add_typer(fleet.app, name="fleet")
app.add_typer(vault.app, name="vault")
