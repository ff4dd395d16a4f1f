"""How long the language server takes: from a keystroke to what is wrong, and for each feature, over its own protocol.

python bench/lsp.py [spaces/hdas_cifar.hsp] [--keystrokes 40]
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from hdas_dsl.units import LIBRARY

PLACE = types.Position(3, 5)
KEYSTROKES: list[tuple[str, Callable[[str, int], str]]] = [
    ("a comment", lambda text, number: text + "#" * number),
    ("a setting", lambda text, number: re.sub(r"epochs = \d+", f"epochs = {number}", text, count=1)),
    ("an argument of a network", lambda text, number: re.sub(r"\(c = \d+", f"(c = {number}", text, count=1)),
    ("a name, which is wrong then", lambda text, number: re.sub(r"epochs =", f"epochs{number} =", text, count=1)),
]
WHOLE = types.Range(types.Position(0, 0), types.Position(9999, 0))


async def measure(path: Path, keystrokes: int) -> dict[str, list[float]]:
    """Milliseconds of each thing, as often as there are keystrokes."""
    client: Any = LanguageClient("bench", "1")
    said: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
    client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda found: said.put_nowait(found))
    await client.start_io(sys.executable, "-c", "from compiler.lsp.server import main; main()")
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
    uri, text = path.as_uri(), path.read_text()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "hsp", 0, text)))
    await said.get()
    here = types.TextDocumentIdentifier(uri)
    features: dict[str, Callable[[], Awaitable[object]]] = {
        "hover": lambda: client.text_document_hover_async(types.HoverParams(here, PLACE)),
        "completion": lambda: client.text_document_completion_async(types.CompletionParams(here, PLACE)),
        "definition": lambda: client.text_document_definition_async(types.DefinitionParams(here, PLACE)),
        "symbols": lambda: client.text_document_document_symbol_async(types.DocumentSymbolParams(here)),
        "inlay hints": lambda: client.text_document_inlay_hint_async(types.InlayHintParams(here, WHOLE)),
        "lenses": lambda: client.text_document_code_lens_async(types.CodeLensParams(here)),
        "formatting": lambda: client.text_document_formatting_async(
            types.DocumentFormattingParams(here, types.FormattingOptions(2, True))
        ),
    }
    found: dict[str, list[float]] = {}
    for version in range(1, keystrokes + 1):
        name, typed = KEYSTROKES[version % len(KEYSTROKES)]
        change = types.TextDocumentContentChangeWholeDocument(typed(text, version))
        since = time.perf_counter()
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(types.VersionedTextDocumentIdentifier(version, uri), [change])
        )
        await said.get()
        found.setdefault(f"what is wrong, after a key in {name}", []).append(time.perf_counter() - since)
        for name, ask in features.items():
            since = time.perf_counter()
            await ask()
            found.setdefault(name, []).append(time.perf_counter() - since)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=LIBRARY / "hdas_cifar.hsp")
    parser.add_argument("--keystrokes", type=int, default=40)
    asked = parser.parse_args()
    for name, seconds in asyncio.run(measure(asked.file.resolve(), asked.keystrokes)).items():
        print(f"{name:<58} median {1000 * median(seconds):7.1f} ms, most {1000 * max(seconds):7.1f} ms")


if __name__ == "__main__":
    main()
