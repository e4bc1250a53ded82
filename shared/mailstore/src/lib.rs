//! The commit rule, packs, and live accounts over the ports.
