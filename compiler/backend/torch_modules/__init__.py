"""The torch modules that primitives become, where torch has none."""
