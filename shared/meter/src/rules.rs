//! How services turn bytes into units. A backend that is told the units by the service takes those; these rules are
//! for what services do not tell, and for counting what calls would have used.

use crate::MILLI;

/// Bytes of an item that a write unit covers.
const WRITE: u64 = 1024;
/// Bytes that a read unit covers.
const READ: u64 = 4096;
/// Bytes of a call to a queue that a request covers.
const REQUEST: u64 = 64 * 1024;

/// Thousandths of a write unit for an item of so many bytes: a unit for each begun 1 KB, at least one. A conditional
/// write whose condition fails is billed alike.
#[must_use]
pub const fn write(bytes: u64) -> u64 {
    at_least_one(bytes.div_ceil(WRITE)) * MILLI
}

/// Thousandths of a read unit for a read or a query that touches so many bytes: a unit for each begun 4 KB, at least
/// one, and half of it where a stale answer will do.
#[must_use]
pub const fn read(bytes: u64, is_strong: bool) -> u64 {
    let units = at_least_one(bytes.div_ceil(READ));
    if is_strong { units * MILLI } else { units * MILLI / 2 }
}

/// Thousandths of a queue request for a call with so many bytes of messages: one for each begun 64 KB, at least one.
#[must_use]
pub const fn request(bytes: u64) -> u64 {
    at_least_one(bytes.div_ceil(REQUEST)) * MILLI
}

const fn at_least_one(units: u64) -> u64 {
    if units == 0 { 1 } else { units }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begun_units_count() {
        assert_eq!([0, 1, 1024, 1025, 2048].map(write), [1000, 1000, 1000, 2000, 2000]);
        assert_eq!([0, 4096, 4097].map(|bytes| read(bytes, true)), [1000, 1000, 2000]);
        assert_eq!([0, 4096, 4097].map(|bytes| read(bytes, false)), [500, 500, 1000]);
        assert_eq!([0, 65_536, 65_537, 262_144].map(request), [1000, 1000, 2000, 4000]);
    }
}
