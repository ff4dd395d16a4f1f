"""Plain PyTorch constructions of the published networks, written from their description alone: the oracle of the tests.

Nothing here knows the language or the compiler. Modules are registered in the order of execution, so that the
parameters of a compiled network can be zipped with those of its reference.
"""
