"""Measurements of the whole server, each against its own floor in the same run. `python -m bench` runs them."""
