//! One contract suite per port, for every backend.
