"""The parts of the template that follow from facts: see ../generate.py."""
