"""`station consent …`: the text that people consent to, and asking for it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli.connection import connect, reporting
from agent.cli.language import Language, clean, pick, spoken, tell_problems
from agent.cli.options import ConfigOption, LanguageOption, SocketOption
from agent.control.client import ControlClient
from agent.core.problems import Words, problem

app = typer.Typer(help="同意书 / Consent to face recognition.", no_args_is_help=True, rich_markup_mode=None)

ConsentLanguageOption = Annotated[
    Language | None,
    typer.Option("--consent-language", help="同意书的语言 / The language of the text; else that of the messages"),
]


@app.command("show")
def show(
    consent_language: ConsentLanguageOption = None,
    config: ConfigOption = None,
    socket: SocketOption = None,
    _lang: LanguageOption = None,
) -> None:
    """显示现行同意书 / Print the text in force, to read or to sign on paper."""
    with reporting():
        shown = connect(config, socket).request("consent.show", language=(consent_language or spoken()).value)
    _print(shown)


def obtain(
    client: ControlClient,
    language: Language | None,
    guardian: str | None,
    *,
    photos: int | None,
    is_under_age: bool,
    is_given: bool,
) -> dict[str, Any]:
    """The consent to enrol with: asked for here on screen, or given before on paper. Raises `ControlError`, `Exit`.

    `photos`: how many there are, None for the camera. Nobody is asked to read and agree for too few.
    """
    shown = client.request("consent.show", language=(language or spoken()).value)
    needed = shown.get("min_frames", 1)
    if photos is not None and photos < needed:
        few = Words(f"至少需要 {needed} 张照片,给了 {photos} 张", f"at least {needed} photos needed, you gave {photos}")
        tell_problems([problem("enrolment.too_few", "photos", few)])
        raise typer.Exit(1)
    if not is_given:
        _print(shown)
        asked = Words(
            "本人(或监护人)已阅读并同意?", "Has this person (or their guardian) read this, and do they consent?"
        )
        try:
            has_agreed = typer.confirm(clean(pick(asked)), err=True)
        except typer.Abort:
            has_agreed = False
        if not has_agreed:
            tell_problems([problem("consent.missing", "consent")])
            raise typer.Exit(1)
    return {
        "version": shown["version"],
        "language": shown["language"],
        "how": "paper" if is_given else "screen",
        "is_under_age": is_under_age,
        **({"guardian": guardian} if guardian else {}),
    }


def _print(shown: dict[str, Any]) -> None:
    for line in str(shown["text"]).splitlines():
        typer.echo(clean(line))
    days = Words(f"有效期:{shown['valid_days']} 天。", f"It holds for {shown['valid_days']} days.")
    typer.echo(f"\n{pick(days)}")
