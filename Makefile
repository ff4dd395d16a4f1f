# Two commands that need nothing but Python and pip: `make demo` and `make check`. `make test` runs in the current
# environment.
.PHONY: demo check test

demo: .venv
	.venv/bin/hdas-compile spaces/hdas_digits.hsp --search --out runs/hdas_digits

check: .venv
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(MAKE) test

test:
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile

.venv: pyproject.toml
	python3 -m venv .venv
	.venv/bin/pip install --quiet --upgrade pip
	.venv/bin/pip install --quiet -e '.[dev]'
	touch .venv
