//! The adapter: SMTP, IMAP and POP3.
