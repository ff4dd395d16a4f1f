"""The requirements of a space: evaluated, bounded, and met by constrained derivation."""
