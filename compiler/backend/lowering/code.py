"""The Python code of a lowered network, for reading."""

from __future__ import annotations

import re

from torch import fx


def code(module: fx.GraphModule) -> str:
    """The Python code of a lowered network: each distinct cell and stage once, then the network."""
    seen: dict[str, list[str]] = {}
    for path, part in [*module.named_modules()]:
        if isinstance(part, fx.GraphModule):
            seen.setdefault(_clean(part.code), []).append(path or "network")
    texts = []
    for text, paths in reversed(seen.items()):
        texts.append(f"# {', '.join(paths)}\n{text}")
    return "\n\n".join(texts) + "\n"


def _clean(text: str) -> str:
    """fx's code without its clean-up of variables."""
    lines = [re.sub(r";(\s+\w+ = )+None$", "", re.sub(r";\s+(\w+ = )+None$", "", line)) for line in text.splitlines()]
    return "\n".join(line for line in lines if line.strip()).strip()
