"""Consent: nothing is done with a face before it was given, for one purpose, for a time, to a text that was shown.

Order 19 (CAC and MPS, 2025) asks for a separate, voluntary and informed consent, and for a guardian's under 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.core.problems import Problem, problem
from agent.events import Consent

PURPOSE = "door_entry"
"""The only thing that a face is used for here."""

LANGUAGES = ("zh", "en")
WAYS = ("paper", "screen")
GUARDIANS = ("father", "mother", "grandparent", "sibling", "other")
"""How a guardian is related. Never a name: that stays on the paper."""


@dataclass(frozen=True, slots=True)
class ConsentText:
    """The words in one language, and their SHA-256."""

    text: str = field(repr=False)
    sha256: str


@dataclass(frozen=True, slots=True)
class ConsentRules:
    """What the settings say. `texts`: by language; empty when the files are not there, and then nobody can consent."""

    version: str = ""
    texts: Mapping[str, ConsentText] = field(default_factory=dict)
    valid_days: int = 365
    under_age: int = 14


def given(claimed: Mapping[str, Any] | None, rules: ConsentRules, account: str) -> Consent | Problem:
    """The consent to record, or why what was claimed is none. `account`: who says so."""
    if not claimed:
        return problem("consent.missing", "consent")
    text = rules.texts.get(claimed["language"])
    if text is None:
        return problem("consent.no_text", "consent.version", f"{rules.version}.{claimed['language']}.md")
    if claimed["version"] != rules.version:
        return problem("consent.other_version", "consent.version", f"{claimed['version']} ≠ {rules.version}")
    is_under_age, guardian = claimed.get("is_under_age", False), claimed.get("guardian")
    if is_under_age and guardian is None:
        return problem("consent.guardian_missing", "consent", str(rules.under_age))
    return Consent(
        version=rules.version,
        language=claimed["language"],
        text_sha256=text.sha256,
        purpose=PURPOSE,
        how=claimed["how"],
        recorded_by=account,
        valid_days=rules.valid_days,
        is_under_age=is_under_age,
        guardian=guardian,
    )
