"""Devices, processes, precision, and batches on their way to them."""
