"""Networks of the size space of NATS-Bench: ``16:24:32:40:48``, the channels of five parts."""

from __future__ import annotations

import re

from hdas_dsl.genotype.literals import Literal, Text
from hdas_dsl.genotype.model import Widths
from hdas_dsl.genotype.problems import Report
from hdas_dsl.text.source import Span

from .base import Form, bare_text

_WIDTHS = re.compile(r"[1-9][0-9]{0,5}(?::[1-9][0-9]{0,5}){4}")


def _looks(value: Literal) -> bool:
    return isinstance(value, Text) and _WIDTHS.fullmatch(value.value.strip()) is not None


def _read(value: Literal, report: Report) -> Widths:
    assert isinstance(value, Text)
    return Widths(tuple(map(int, value.value.strip().split(":"))), value.inner)


def _bare(span: Span) -> Literal | None:
    return bare_text(span) if _WIDTHS.fullmatch(span.text) else None


FORM = Form(
    "widths of NATS-Bench",
    _looks,
    _read,
    re.compile(rf"(?<![\d:.,-]){_WIDTHS.pattern}(?![\d:.])"),
    _bare,
    weak=True,
)
