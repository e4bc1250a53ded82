//! Handler: the decision where each recipient's copy goes, and why.
