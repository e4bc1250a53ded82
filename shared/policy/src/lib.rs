//! Pure decisions over messages: refuse, junk, deliver where and why.
