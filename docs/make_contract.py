"""Makes contract.md and asyncapi.json anew from the models: `python docs/make_contract.py`."""

from __future__ import annotations

from pathlib import Path

from agent.contract.documents import asyncapi_text, markdown_text

TARGETS = {
    Path(__file__).with_name("contract.md"): markdown_text,
    Path(__file__).with_name("asyncapi.json"): asyncapi_text,
}

if __name__ == "__main__":
    for target, text in TARGETS.items():
        target.write_text(text(), encoding="utf-8")
