"""Search: settings, data, relaxations, the engine."""
