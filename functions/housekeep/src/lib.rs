//! Handler: bases, list cards and garbage collection.
