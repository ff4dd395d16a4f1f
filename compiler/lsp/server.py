"""`hdas-lsp`: a language server, spoken to by an editor over its standard input and output (extra `lsp`).

Each feature is a function of a `Document` in a file of its own; here they are given the protocol's names. Those
that ask for more than names run in threads, so that keystrokes are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass, field
from functools import cache, partial

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from compiler.util.errors import UsageError
from compiler.util.version import package_version
from hdas_dsl.format import format_text
from hdas_dsl.text.diagnostics import Diagnostic, HspError

from . import annotate, colours, complete, diagnose, navigate, workspace
from .document import Document, read_document
from .hover import hover
from .mentions import mention_at
from .positions import offset, path_of, position


@dataclass
class Open:
    """The texts that an editor has open, as they were read last."""

    documents: dict[str, Document] = field(default_factory=dict)
    elaborating: set[str] = field(default_factory=set)


class Server(LanguageServer):
    """The server, with the texts that are open."""

    def __init__(self) -> None:
        super().__init__("hdas-lsp", package_version())
        self.open = Open()

    def read(self, uri: str, again: bool = False) -> Document:
        """The text of an address as it stands in the editor; ``again`` where a file that it uses may be another."""
        text = self.workspace.get_text_document(uri)
        known = self.open.documents.get(uri)
        if known is None or again or known.source.text != text.source:
            known = self.open.documents[uri] = read_document(text.source, path_of(uri), known)
        return known

    async def others(self, uri: str, place: types.Position) -> list[tuple[str, Document]]:
        """The other texts in which the name at a place may stand: those that are open, and files of open folders."""
        document = self.read(uri)
        found = [(at, item) for at, item in self.open.documents.items() if at != uri]
        mention = mention_at(document.mentions, offset(document.source, place))
        if mention is None:
            return found
        folders = [path_of(folder.uri) for folder in self.workspace.folders.values()]
        opened = {path_of(at).resolve() for at in self.open.documents}
        read = partial(workspace.documents, folders, mention.target.name, document, opened)
        return [*found, *await asyncio.to_thread(lambda: list(read()))]

    def show(self, uri: str, found: tuple[Diagnostic, ...]) -> None:
        """Send what is wrong with a text."""
        document = self.read(uri)
        items = diagnose.diagnostics(document, uri, found)
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, items, version))


server = Server()


@cache
def _keep() -> None:
    """Take what is there after the first answer, modules above all, out of garbage collection: it stays.

    A collection of everything takes a tenth of a second, which every few keystrokes would wait for.
    """
    gc.collect()
    gc.freeze()


async def _changed(uri: str, again: bool = False) -> None:
    """Send what is wrong with a text: at once where it cannot be elaborated, else when it is.

    A text that is typed on meanwhile is elaborated once more, as it stands then; states between are passed over.
    """
    document = server.read(uri, again)
    if not document.is_right:
        server.show(uri, document.diagnostics)
        return
    if uri in server.open.elaborating:
        return
    server.open.elaborating.add(uri)
    try:
        while True:
            wrong = await asyncio.to_thread(lambda asked: asked.every_diagnostic, document)
            if uri not in server.open.documents:
                return
            newest = server.read(uri)
            if newest is document:
                server.show(uri, wrong)
                _keep()
                return
            if not newest.is_right:
                return
            document = newest
    finally:
        server.open.elaborating.discard(uri)


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
async def did_open(params: types.DidOpenTextDocumentParams) -> None:
    """A text is opened."""
    await _changed(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
async def did_change(params: types.DidChangeTextDocumentParams) -> None:
    """A text is typed."""
    await _changed(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_SAVE)
async def did_save(params: types.DidSaveTextDocumentParams) -> None:
    """A text is saved: texts that use it may mean something else now."""
    for uri in list(server.open.documents):
        await _changed(uri, again=True)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def did_close(params: types.DidCloseTextDocumentParams) -> None:
    """A text is closed."""
    uri = params.text_document.uri
    server.open.documents.pop(uri, None)
    server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))


@server.feature(types.TEXT_DOCUMENT_HOVER)
async def on_hover(params: types.HoverParams) -> types.Hover | None:
    """The word under the pointer."""
    return await asyncio.to_thread(hover, server.read(params.text_document.uri), params.position)


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", '"', "="]))
def on_completion(params: types.CompletionParams) -> list[types.CompletionItem]:
    """The completions at a place."""
    return complete.completions(server.read(params.text_document.uri), params.position)


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def on_definition(params: types.DefinitionParams) -> types.Location | None:
    """Where a name is defined."""
    return navigate.definition(server.read(params.text_document.uri), params.text_document.uri, params.position)


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
async def on_references(params: types.ReferenceParams) -> list[types.Location]:
    """Where a name stands."""
    uri = params.text_document.uri
    others = await server.others(uri, params.position)
    return navigate.references(server.read(uri), uri, params.position, others)


@server.feature(types.TEXT_DOCUMENT_RENAME)
async def on_rename(params: types.RenameParams) -> types.WorkspaceEdit | None:
    """Another name."""
    uri = params.text_document.uri
    others = await server.others(uri, params.position)
    try:
        return navigate.rename(server.read(uri), uri, params.position, params.new_name, others)
    except UsageError as error:
        raise JsonRpcInvalidParams(str(error)) from None


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def on_symbols(params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """The outline of the text."""
    return navigate.symbols(server.read(params.text_document.uri))


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def on_formatting(params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """The text in canonical form; as it is where it is wrong."""
    document = server.read(params.text_document.uri)
    source = document.source
    try:
        text = format_text(source.text)
    except HspError:
        return []
    whole = types.Range(types.Position(0, 0), position(source, len(source.text)))
    return [] if text == source.text else [types.TextEdit(whole, text)]


@server.feature(
    types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
)
async def on_code_action(params: types.CodeActionParams) -> list[types.CodeAction]:
    """The quick fixes of a range."""
    uri = params.text_document.uri
    document = server.read(uri)
    wrong = await asyncio.to_thread(lambda: document.every_diagnostic)
    return list(diagnose.fixes(document, uri, wrong, params.range))


@server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
async def on_inlay_hint(params: types.InlayHintParams) -> list[types.InlayHint]:
    """Shapes."""
    return await asyncio.to_thread(annotate.inlay_hints, server.read(params.text_document.uri), params.range)


@server.feature(types.TEXT_DOCUMENT_CODE_LENS)
async def on_code_lens(params: types.CodeLensParams) -> list[types.CodeLens]:
    """The summaries above networks, searches and trainings."""
    return await asyncio.to_thread(annotate.lenses, server.read(params.text_document.uri))


@server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, colours.LEGEND)
def on_semantic_tokens(params: types.SemanticTokensParams) -> types.SemanticTokens:
    """The semantic tokens of the text."""
    return colours.tokens(server.read(params.text_document.uri))


def main() -> int:
    """Speak with an editor until it ends.

    Trees and graphs are many small objects that live until the next keystroke, so that looking for garbage among them
    finds little: it is looked for a hundred times less often, which spares some keys 40 ms.
    """
    gc.set_threshold(100_000, 50, 100)
    server.start_io()
    return 0
