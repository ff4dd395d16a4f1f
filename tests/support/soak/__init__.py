"""The checks of `bench/soak.py`: each kind of case is one function from a case to what is wrong with it, or None."""
