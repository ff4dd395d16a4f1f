"""Studies: many runs that differ in file, method, settings and seed, and a table of what came out."""
