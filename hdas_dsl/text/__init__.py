"""Sources, spans and diagnostics: what every other room of the language speaks of."""
