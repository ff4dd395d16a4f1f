"""Sources, spans and diagnostics, which all other folders of the language share."""
