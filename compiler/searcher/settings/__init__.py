"""What the sections of a program say, as pydantic models. No torch."""
