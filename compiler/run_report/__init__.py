"""Folders of runs and studies as pages for a browser: read as plain data, then written as one file."""
