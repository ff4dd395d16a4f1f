"""The language server as an editor meets it: a client over standard input and output walks through all features."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

from tests.support.paths import ROOT

OPS = """\
hsp 1
# Looks at k x k pixels.
op look(x; k = 3) = x -> relu -> conv(k) -> batch_norm
"""
TEXT = """\
hsp 1
use "ops.hsp"
choice Op = look | look(k = 5) | identity
network Net(image: [3, 8, 8]; c = 4, classes = 3) {
  stem = image -> conv(3, c)
  n[i < 2] = prev(stem) -> Op
  output last of n -> classifier(classes)
}
search Net {
  epochs = 2
}
"""
OTHER = """\
hsp 1
use "ops.hsp"
op twice(x) = x -> look -> relu
"""
AFTER = 300.0
"""Seconds after which an answer is not waited for any more: many times what a machine takes that others use too."""


def place(text: str, word: str, inside: int = 1) -> types.Position:
    """The position in a word of a text."""
    before = text[: text.index(word) + inside]
    return types.Position(before.count("\n"), len(before.rpartition("\n")[2]))


class Editor:
    """A client that keeps what the server says of its text."""

    def __init__(self, folder: Path) -> None:
        self.client: Any = LanguageClient("test", "1")
        self.path = folder / "net.hsp"
        self.uri = self.path.as_uri()
        self.text = types.TextDocumentIdentifier(self.uri)
        self.said: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.version = 1
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda said: self.said.put_nowait(said))

    async def start(self) -> Any:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = "from compiler.lsp.server import main; main()"
        await self.client.start_io(sys.executable, "-c", command, env=environment)
        found = await self.client.initialize_async(
            types.InitializeParams(
                types.ClientCapabilities(), workspace_folders=[types.WorkspaceFolder(self.path.parent.as_uri(), "")]
            )
        )
        self.client.initialized(types.InitializedParams())
        item = types.TextDocumentItem(self.uri, "hsp", self.version, self.path.read_text())
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return found.capabilities

    def type(self, text: str) -> None:
        self.version += 1
        change = types.TextDocumentContentChangeWholeDocument(text)
        item = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(item, [change]))

    async def until(self, wanted: Callable[[list[str]], bool]) -> list[types.Diagnostic]:
        """The first diagnostics of the present version that are wanted."""
        while True:
            found = await asyncio.wait_for(self.said.get(), AFTER)
            if found.version == self.version and wanted([item.message for item in found.diagnostics]):
                return list(found.diagnostics)


async def walk(folder: Path) -> None:
    editor = Editor(folder)
    client, text, uri = editor.client, editor.text, editor.uri
    can = await editor.start()
    assert all((can.hover_provider, can.rename_provider, can.code_lens_provider, can.inlay_hint_provider))
    await editor.until(lambda messages: not messages)

    shown = await client.text_document_hover_async(types.HoverParams(text, place(TEXT, "look |")))
    assert "op look(x; k = 3)" in shown.contents.value
    assert "Looks at k x k pixels." in shown.contents.value
    shown = await client.text_document_hover_async(types.HoverParams(text, place(TEXT, "Op\n")))
    assert "chooses one of 3 at `Net.n0.from_stem`: look, look(k = 5), identity" in shown.contents.value
    shown = await client.text_document_hover_async(types.HoverParams(text, place(TEXT, "conv(3, c)", 6)))
    assert "shape `4x8x8`" in shown.contents.value
    shown = await client.text_document_hover_async(types.HoverParams(text, place(TEXT, "epochs")))
    assert "default `50`" in shown.contents.value

    where = types.CompletionParams(text, place(TEXT, "epochs", 0))
    assert {"data", "relax", "derive"} <= {item.label for item in await client.text_document_completion_async(where)}

    found = await client.text_document_definition_async(types.DefinitionParams(text, place(TEXT, "look |")))
    assert (found.uri, found.range.start) == ((folder / "ops.hsp").as_uri(), place(OPS, "look", 0))
    context = types.ReferenceContext(include_declaration=True)
    places = await client.text_document_references_async(types.ReferenceParams(context, text, place(TEXT, "stem")))
    assert [(item.uri, item.range.start.line) for item in places] == [(uri, 4), (uri, 5)]
    edit = await client.text_document_rename_async(types.RenameParams(text, place(TEXT, "stem"), "head"))
    assert [(item.range.start.line, item.new_text) for item in edit.changes[uri]] == [(4, "head"), (5, "head")]
    with pytest.raises(JsonRpcException, match="is of the shipped library, which stays as it is"):
        await client.text_document_rename_async(types.RenameParams(text, place(TEXT, "conv"), "head"))

    edit = await client.text_document_rename_async(types.RenameParams(text, place(TEXT, "look |"), "see"))
    assert {address: len(found) for address, found in edit.changes.items()} == {
        uri: 2,
        (folder / "ops.hsp").as_uri(): 1,  # Neither is open, nor is that below.
        (folder / "other.hsp").as_uri(): 1,
    }
    places = await client.text_document_references_async(types.ReferenceParams(context, text, place(TEXT, "look |")))
    assert {item.uri for item in places} == set(edit.changes)

    symbols = await client.text_document_document_symbol_async(types.DocumentSymbolParams(text))
    assert [item.name for item in symbols] == ["Op", "Net", "search Net"]
    assert [item.name for item in symbols[1].children] == ["stem", "n"]
    options = types.FormattingOptions(2, True)
    (change,) = await client.text_document_formatting_async(types.DocumentFormattingParams(text, options))
    assert change.new_text == TEXT.replace("\nnetwork", "\n\nnetwork").replace("\nsearch", "\n\nsearch")
    whole = types.Range(types.Position(0, 0), types.Position(99, 0))
    hints = await client.text_document_inlay_hint_async(types.InlayHintParams(text, whole))
    assert [(item.position.line, item.label) for item in hints] == [(4, ": 4x8x8"), (5, ": 4x8x8"), (6, ": 3")]
    colours = await client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(text))
    assert can.semantic_tokens_provider.legend.token_types[colours.data[3]] == "enum"
    lenses = await client.text_document_code_lens_async(types.CodeLensParams(text))
    assert [(item.range.start.line, item.command.title.split(",")[0]) for item in lenses] == [
        (3, "9 architectures"),
        (8, "9 architectures"),
    ]

    editor.type(TEXT.replace("epochs", "epohcs"))
    (wrong,) = await editor.until(lambda messages: any("epohcs" in message for message in messages))
    assert wrong.range.start == place(TEXT, "epochs", 0)
    asked = types.CodeActionParams(text, wrong.range, types.CodeActionContext([wrong]))
    (fix,) = await client.text_document_code_action_async(asked)
    assert fix.title == "Replace 'epohcs' by 'epochs'"
    assert fix.edit.changes[uri][0].new_text == "epochs"

    editor.type(TEXT.replace("-> Op\n", "-> Op(\n"))  # Half typed: the lines above still have names.
    await editor.until(bool)
    found = await client.text_document_definition_async(types.DefinitionParams(text, place(TEXT, "look |")))
    assert found.uri == (folder / "ops.hsp").as_uri()
    editor.type(TEXT)
    await editor.until(lambda messages: not messages)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()


def test_an_editor_walks_through_all_features(tmp_path: Path) -> None:
    (tmp_path / "ops.hsp").write_text(OPS)
    (tmp_path / "net.hsp").write_text(TEXT)
    (tmp_path / "other.hsp").write_text(OTHER)
    (tmp_path / "own.hsp").write_text(OPS)  # Another `look`.
    asyncio.run(walk(tmp_path))
