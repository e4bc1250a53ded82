//! MIME structure, decoded facts and previews of a message; tolerant of anything.
