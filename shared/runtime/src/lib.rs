//! Drivers that run handlers: batching, fusing, retries, poison isolation.
