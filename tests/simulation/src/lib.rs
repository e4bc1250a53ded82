//! Random schedules of the whole mail store, with crashes and stale reads.
