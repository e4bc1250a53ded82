//! Handler: MIME structure and facts of an accepted message.
