"""The space graph: nodes, decisions, undecided values, primitives. No torch, no syntax."""
