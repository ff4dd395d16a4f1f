"""Pictures: laid out without Graphviz, nothing over anything else, and nothing that a file says is more than text."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from compiler.elaborate import Elaborated
from compiler.program.compile_file import compile_file
from compiler.reports.diagram import Arrow, Mark, Picture, Role, Spot, difference, pictures
from compiler.reports.svg import png_of, svg, svg_of
from compiler.reports.svg.layout import Placed, placed
from compiler.reports.svg.measure import arrow_box
from hdas_dsl.units import LIBRARY
from tests.support.paths import FIXTURES

SVG = "{http://www.w3.org/2000/svg}"


def space(path: Path) -> Elaborated:
    found, diagnostics = compile_file(path)
    assert found is not None, diagnostics
    return found.network


def rectangles(found: Placed) -> list[tuple[float, float, float, float]]:
    boxes = [(found.boxes[key], at) for key, at in found.spots.items()]
    boxes += [(arrow_box(route.arrow), route.label) for route in found.routes if route.label is not None]
    return [(x - b.width / 2, y - b.height / 2, x + b.width / 2, y + b.height / 2) for b, (x, y) in boxes]


@pytest.mark.parametrize("name", ["emit/space.hsp", "emit/found.hsp", "darts.hsp", "ofa_mobilenetv3.hsp"])
def test_nothing_lies_over_anything_else_and_arrows_run_to_the_right(name: str) -> None:
    drawn = pictures(space((FIXTURES if "/" in name else LIBRARY) / name))
    assert drawn
    for picture in drawn:
        found = placed(picture)
        assert found.spots.keys() == {spot.key for spot in picture.spots}
        assert [route.arrow for route in found.routes] == list(picture.arrows)
        every = rectangles(found)
        for number, (left, top, right, bottom) in enumerate(every):
            assert left >= 0
            assert top >= -1e-6
            assert right <= found.width + 1e-6
            assert bottom <= found.height + 1e-6
            for other in every[:number]:
                assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
        for route in found.routes:
            across = [x for x, _ in route.points]
            assert across == sorted(across)


def test_every_spot_word_and_choice_is_text_and_every_decision_is_found_on_the_picture() -> None:
    found = space(FIXTURES / "emit/space.hsp")
    root = ElementTree.fromstring(svg(found))
    words = {element.text for element in root.iter(f"{SVG}text")}
    for picture in pictures(found):
        for spot in picture.spots:
            assert {spot.label, *spot.facts, *spot.choices} <= words
        assert {word for arrow in picture.arrows for word in arrow.label} <= words
    shown = {
        f"{copy}.{slot}"
        for panel in root.iter(f"{SVG}g")
        for copy in panel.get("data-copies", "").split()
        for part in panel.iter(f"{SVG}g")
        for slot in part.get("data-slots", "").split()
    }
    assert shown == set(found.decisions)


def test_a_hostile_name_is_text() -> None:
    evil = '<script>alert(1)</script>" onload="alert(1)\x1b]]>'
    spots = (Spot("a", evil, Role.INPUT, facts=(evil,), slots=(evil,)), Spot("output", evil, Role.OUTPUT))
    picture = Picture("cell", evil, (evil,), 1, spots, (Arrow("a", "output", (evil,), True, (evil,)),), (evil,))
    root = ElementTree.fromstring(svg_of(evil, [picture]))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "style", "defs", "marker", "path", "rect", "g", "text")
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]


def test_a_picture_without_arrows_and_one_of_a_single_spot_are_drawn() -> None:
    alone = Picture("cell", "C", ("C",), 1, (Spot("a", "a", Role.VALUE), Spot("b", "b", Role.VALUE)), ())
    first, second = placed(alone).spots.values()
    assert first != second
    ElementTree.fromstring(svg_of("C", [alone]))


def test_a_png_is_the_picture_in_pixels_with_its_words() -> None:
    text = svg(space(FIXTURES / "emit/found.hsp"))
    with Image.open(BytesIO(png_of(text))) as image:
        assert image.width == 2 * int(ElementTree.fromstring(text).attrib["width"])
        colours = image.getcolors(1 << 20) or []
        assert (31, 35, 40) in {colour for _, colour in colours}, "words are drawn in the colour of ink"


def test_a_difference_marks_what_is_new_gone_and_changed() -> None:
    def of(op: str, width: int, more: str = "") -> list[Picture]:
        text = f"hsp 1\nop unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm\ncell Cell(x) {{\n  a = {op}\n{more}"
        text += "  output a + x\n}\nnetwork Net(image: [1, 8, 8]; classes = 3) {\n"
        text += f"  output image -> conv(3, {width}) -> Cell -> classifier(classes)\n}}\n"
        found, diagnostics = compile_file("test.hsp", text=text)
        assert found is not None, diagnostics
        return pictures(found.network)

    left, right = of("unit(x)", 4), of("unit(x, 3)", 8)
    network, cell = difference(left, right)
    assert {arrow.label: arrow.mark for arrow in cell.arrows if arrow.label} == {
        ("unit",): Mark.REMOVED,
        ("unit(3)",): Mark.ADDED,
    }
    changed = {spot.key: spot.facts for spot in network.spots if spot.mark is Mark.CHANGED}
    assert any("4×8×8 → 8×8×8" in facts for facts in changed.values())
    same = difference(left, left)
    assert {spot.mark for picture in same for spot in picture.spots} == {Mark.SAME}
    assert {arrow.mark for picture in same for arrow in picture.arrows} == {Mark.SAME}
    assert [picture.instances for picture in same] == [picture.instances for picture in left]
