"""The verifier: what a well-formed space graph is, as one table of legal forms and one list of rules of the whole.

A graph is well-formed before and after every pass. Elaboration gives a hierarchical one, of inputs, primitives, choices
and calls; `flatten` makes it flat, without calls; later passes put fused sums in it. Tests verify between passes, and
so does everything under the environment variable ``HDAS_VERIFY=1``.
"""

from .rules import Stage
from .verifier import MalformedGraphError, is_asked_for, verify

__all__ = ["MalformedGraphError", "Stage", "is_asked_for", "verify"]
