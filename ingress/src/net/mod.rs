//! Connections: accepting, TLS, bounded lines, limits, graceful shutdown.
