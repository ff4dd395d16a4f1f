"""The promises of `docs/promises.md`, each tested by the file of its name."""
