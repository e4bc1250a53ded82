//! The names of objects, checked for this backend.

use pennypost_ports::{check_object_name, check_object_prefix};

use crate::failure::Failure;

/// Is `name` a name? What passes is a relative path that stays inside the directory.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    check_object_name(name).map_err(|bad| Failure::Refused(bad.to_string()))
}

/// Is `prefix` empty, or the beginning of names up to a `/`?
pub(super) fn check_prefix(prefix: &str) -> Result<(), Failure> {
    check_object_prefix(prefix).map_err(|bad| Failure::Refused(bad.to_string()))
}
