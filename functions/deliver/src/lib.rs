//! Handler: packs, journals and traces of a decided message.
