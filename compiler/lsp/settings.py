"""Settings of sections: which there are, what they mean, which values they take."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.words import Setting, Word, menu_of, names_of, show
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

MEANINGS: Mapping[str, str] = {
    "task": "what the network is to do: which loss, which metric, which output",
    "data": "the data set, and how its images are divided and changed",
    "epochs": "how many passes over the training images",
    "batch": "how many images a step takes",
    "weights": "how the weights of the network learn",
    "alphas": "how the architecture parameters learn",
    "alphas_from": "the first epoch in which the architecture parameters take steps",
    "relax": "how a choice runs while it is open: as a mixture of its items, or as one that is drawn",
    "derive": "how one architecture is selected at the end",
    "judge": "how good an architecture is that an explorer proposes",
    "rungs": "with which budgets an explorer judges, and which architectures go on",
    "confirm": "whether the best that an explorer judged are judged anew, with other seeds, before one is derived",
    "unique": "the equivalence of which an explorer judges one architecture of each class",
    "order": "the order of the gradient of the architecture parameters",
    "edges": "whether the inputs of a sum have strengths of their own",
    "channels": "which share of the channels a mixture computes",
    "levels": "whether architecture parameters learn on images of their own",
    "beside": "what runs beside the items of a choice while it is open",
    "dropout": "what is dropped of items while a choice is open",
    "drop_path": "how probably a path is dropped in training",
    "perturb": "how the architecture parameters are displaced when weights learn",
    "align": "that the instances of a cell want the same of its architecture parameters",
    "freeze": "which operations stop learning",
    "teacher": "which network teaches the others",
    "start": "the phase whose weights, or architecture parameters, are the first",
    "narrow": "which items are given up while the search goes on",
    "until": "when the search ends before its last epoch",
    "preferences": "how preferences enter the loss",
    "optional": "whether a phase may be left out",
    "seed": "the seed of all random numbers",
    "precision": "the type of numbers in which networks compute",
    "workers": "how many processes load images",
    "aux_weight": "the weight of the loss of the auxiliary output",
    "label_smoothing": "how much of a label is given to the other classes",
}
"""The purpose of each setting of a section."""


@dataclass(frozen=True)
class Place:
    """A setting of a text, or a word in its value, with the model that has it as a field."""

    span: Span
    model: type[Setting]
    name: str
    word: type[Word] | None = None
    """The word under the pointer, where that is one."""


def section_model(line: ast.Line) -> type[Setting] | None:
    """The model of the settings of a section; None for one that has none."""
    if isinstance(line, ast.Search | ast.Method):
        return SearchSettings
    return TrainSettings if isinstance(line, ast.Train) else None


def setting_at(module: ast.Module, at: int) -> Place | None:
    """The setting at a place, or the word of its value."""
    for line in module.lines:
        model = section_model(line)
        if model is None or not line.span.start <= at <= line.span.end:
            continue
        for item in line.walk():
            if isinstance(item, ast.Setting) and item.span.start <= at <= item.span.end:
                return _within(item, model, at)
    return None


def _within(item: ast.Setting, model: type[Setting], at: int) -> Place | None:
    if item.name not in model.model_fields:
        return None
    place = Place(item.ident.span, model, item.name)
    if at <= item.ident.span.end:
        return place
    here: type[Setting] = model
    name: str = item.name
    node: ast.Node = item.value
    while True:
        words = menu_of(here.model_fields[name])
        word = words.get(_word_of(node))
        head = node.func if isinstance(node, ast.Call) else node
        if word is None:
            return Place(node.span, here, name)
        if at <= head.span.end or not isinstance(node, ast.Call):
            return Place(head.span, here, name, word)
        inside = next((arg for arg in node.args if arg.span.start <= at <= arg.span.end), None)
        if inside is None:
            return Place(head.span, here, name, word)
        given = inside.name or _positional(word, node, inside)
        if given not in word.model_fields:
            return Place(head.span, here, name, word)
        if inside.ident is not None and at <= inside.ident.span.end:
            return Place(inside.ident.span, word, given)
        here, name, node = word, given, inside.value


def _word_of(node: ast.Node) -> str:
    head = node.func if isinstance(node, ast.Call) else node
    return head.id if isinstance(head, ast.Name) else ""


def _positional(word: type[Word], call: ast.Call, arg: ast.Arg) -> str:
    place = next(at for at, other in enumerate(call.args) if other is arg)
    return word.order()[place] if place < len(word.order()) else ""


def setting_text(place: Place) -> str:
    """The documentation of a setting or a word: its meaning, default and values."""
    if place.word is not None:
        return f"`{form(place.word)}`\n\n{inspect.cleandoc(place.word.__doc__ or '')}"
    info = place.model.model_fields[place.name]
    meaning = MEANINGS.get(place.name, "") if place.model in (SearchSettings, TrainSettings) else ""
    owner = f"`{place.name}` of `{place.model.word}`"
    default = "it has to be given" if info.is_required() else f"default `{show(info.default)}`"
    known = values(place.model, place.name)
    takes = f"takes {', '.join(f'`{value}`' for value in known)}" if known else ""
    kind = f"takes {info.description}" if info.description and not known else ""
    return "\n\n".join(part for part in (f"{owner}: {meaning}" if meaning else owner, default, takes or kind) if part)


def values(model: type[Setting], name: str) -> list[str]:
    """The words that a field takes, with what each must have."""
    info = model.model_fields[name]
    if words := menu_of(info):
        return [form(word) for word in words.values()]
    named = names_of(info)
    if named is not None:
        return list(named)
    return ["true", "false"] if info.annotation is bool else []


def form(word: type[Word]) -> str:
    """A word with the names of the arguments that it cannot do without."""
    needed = [name for name in word.order() if word.model_fields[name].is_required()]
    return f"{word.word}({', '.join(needed)})" if needed else word.word
