"""What a program requires: evaluated, bounded, and met by what is derived."""
