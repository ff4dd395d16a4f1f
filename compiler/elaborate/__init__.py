"""Elaboration: a program of the language becomes a space graph, with its decisions and how many there are."""

from .body_elaboration import BodyElaboration, Copy
from .building import Building
from .entry import CopyAlone, NetworkCall, elaborate, elaborate_copy, is_network, read_network_call
from .frame import Frame
from .space import Elaborated, Origin, Requirement, check_number

__all__ = [
    "BodyElaboration",
    "Building",
    "Copy",
    "CopyAlone",
    "Elaborated",
    "Frame",
    "NetworkCall",
    "Origin",
    "Requirement",
    "check_number",
    "elaborate",
    "elaborate_copy",
    "is_network",
    "read_network_call",
]
