"""The smallest part of a sequence that still shows the same difference."""

from commands import Command


def shrink(sequence: list[Command], shows) -> list[Command]:
    """`shows(candidate)` says whether the difference is still there. Whole runs go first, then single commands."""
    size = max(1, len(sequence) // 2)
    while True:
        position = 0
        while position < len(sequence):
            candidate = sequence[:position] + sequence[position + size :]
            if candidate and shows(candidate):
                sequence = candidate
            else:
                position += size
        if size == 1:
            return sequence
        size //= 2
