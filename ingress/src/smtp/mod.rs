//! SMTP in (RFC 5321).
