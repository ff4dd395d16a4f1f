"""Reports of runs: as plain data, as a page, in a browser."""
