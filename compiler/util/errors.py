"""What may go wrong after a file was found right; each is told in one sentence. No torch."""


class UsageError(Exception):
    """The command line, not the file, is wrong: one clear sentence."""


class LoweringError(ValueError):
    """The graph has no meaning in torch: an open width, or a plugin that is not allowed."""
