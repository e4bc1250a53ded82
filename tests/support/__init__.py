"""Helpers shared by the interop, crash and performance scripts.

Python 3.11, standard library only, so that a bare Debian can run them.
"""
