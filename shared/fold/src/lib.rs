//! State of an account = base + journal tail: the pure fold, bases and snapshots.
