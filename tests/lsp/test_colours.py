"""What each name of a text is, as editors read it (semantic tokens)."""

from __future__ import annotations

from pathlib import Path

from compiler.lsp import colours
from compiler.lsp.document import Document, read_document
from hdas_dsl.units import LIBRARY


def read(text: str) -> Document:
    return read_document(text, Path("/nowhere/net.hsp"))


def coloured(text: str) -> list[tuple[str, str, list[str]]]:
    """Each token as an editor reads it: its text, by line and UTF-16 unit, its type and its modifiers."""
    lines, data = text.split("\n"), colours.tokens(read(text)).data
    found, line, start = [], 0, 0
    for down, right, length, kind, modifiers in zip(*(data[n::5] for n in range(5)), strict=True):
        line, start = line + down, right if down else start + right
        raw = lines[line].encode("utf-16-le")[2 * start : 2 * (start + length)]
        set_ = [name for bit, name in enumerate(colours.LEGEND.token_modifiers) if modifiers >> bit & 1]
        found.append((raw.decode("utf-16-le"), colours.LEGEND.token_types[kind], set_))
    return found


def test_names_have_the_colour_of_what_they_are() -> None:
    text = (
        'hsp 1\nuse "lib/mobile.hsp" as m\n# 𝔸\nop f(x; k) = x -> conv(k)\nchoice Op = f(3) | m.mbconv(3, 2)\n'
        "cell Cell(a) {\n  n[i < 3] = Op(a) where a2 = a\n  output n0\n}\n"
        "network Net(image: [3, 8, 8]) {\n  output image -> Cell\n}\n"
        'search by darts {\n  until = taken("f", 2)\n  phase one = Net\n}\n'
    )
    assert coloured(text) == [
        ("m", "namespace", ["definition"]),
        ("f", "function", ["definition"]),
        ("x", "parameter", ["definition"]),
        ("k", "parameter", ["definition"]),
        ("x", "parameter", []),
        ("conv", "function", ["defaultLibrary"]),
        ("k", "parameter", []),
        ("Op", "enum", ["definition"]),
        ("f", "function", []),
        ("m", "namespace", []),
        ("mbconv", "function", ["defaultLibrary"]),
        ("Cell", "class", ["definition"]),
        ("a", "parameter", ["definition"]),
        ("n", "variable", ["definition"]),
        ("i", "variable", ["definition"]),
        ("Op", "enum", []),
        ("a", "parameter", []),
        ("a2", "variable", ["definition"]),
        ("a", "parameter", []),
        ("n", "variable", []),
        ("Net", "class", ["definition"]),
        ("image", "parameter", ["definition"]),
        ("image", "parameter", []),
        ("Cell", "class", []),
        ("darts", "method", ["defaultLibrary"]),
        ("f", "function", []),
        ("one", "property", ["definition"]),
        ("Net", "class", []),
    ]
    for path in (LIBRARY / "darts.hsp", LIBRARY / "grammars" / "einspace.hsp"):
        document = read_document(path.read_text(), path)
        assert len(colours.tokens(document).data) % 5 == 0
        assert len(colours.tokens(document).data) // 5 <= len(document.mentions)
    assert colours.tokens(read("hsp 1\nop (")).data == []
