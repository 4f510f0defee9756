"""Makes demo.svg anew from one real round of the demo: `python docs/pictures/make.py`."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from agent.demo.run import play, summarise
from agent.demo.scenario import find_config, load_scenario


def main() -> None:
    """Play one round into a recorded terminal of 110 columns."""
    console = Console(record=True, width=110, file=io.StringIO(), highlight=False, force_terminal=True)
    scenario = load_scenario(find_config("demo-scenario.toml"))
    left = iter(range(len(scenario.scenes) - 1, -1, -1))
    evidence = play(scenario, console, lambda _began_at: next(left) == 0)
    summarise(console, evidence, [], [])
    picture = console.export_svg(title="station demo")
    local = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # no fonts from elsewhere
    Path(__file__).with_name("demo.svg").write_text(local, encoding="utf-8")


if __name__ == "__main__":
    main()
