"""The settings of the `search` and `train` sections, as pydantic models. No torch."""
