//! Handler: wakes the sessions that watch an account.
