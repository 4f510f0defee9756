"""How the searching tests of the rules search."""

from __future__ import annotations

from hypothesis import settings

# No time limit for one example: a shared machine may be slow, and slowness is not what they look for.
settings.register_profile("rules", deadline=None)
settings.load_profile("rules")
