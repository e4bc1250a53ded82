"""Builders of the sample mails, one module per theme; see ../generate.py."""
