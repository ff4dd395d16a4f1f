"""Sums of terms computed as a whole: their algebra, and the C++ kernel that computes it on the CPU."""
