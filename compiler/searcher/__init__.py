"""What learns and decides: settings, data, relaxations, the engine."""
