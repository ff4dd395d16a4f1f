"""Sources, spans and diagnostics, which all other rooms of the language share."""
