//! The traits through which every handler reaches the world, with their contracts.
