"""Questions about spaces and architectures, answered without torch."""
