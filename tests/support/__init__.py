"""What several tests use: programs, random spaces, golden files."""
