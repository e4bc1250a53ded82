//! Which names objects can have: the same on every backend.

/// Bytes of a name at most.
const MAX_NAME: usize = 512;
/// Bytes of one component at most: what every file system carries.
const MAX_COMPONENT: usize = 200;

/// A name that no object can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("object name {name:?} {why}")]
pub struct BadObjectName {
    /// The beginning of the name.
    name: String,
    /// What is wrong with it.
    why: &'static str,
}

fn refused(name: &str, why: &'static str) -> BadObjectName {
    BadObjectName { name: name.chars().take(80).collect(), why }
}

/// Is `name` a name? What passes is a relative path that stays inside its directory.
///
/// # Errors
/// [`BadObjectName`] says why it is none.
pub fn check_object_name(name: &str) -> Result<(), BadObjectName> {
    if name.len() > MAX_NAME {
        return Err(refused(name, "is longer than 512 bytes"));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !name.bytes().all(allowed) {
        return Err(refused(name, "has a character other than letters, digits, '-', '_', '.' and '/'"));
    }
    for component in name.split('/') {
        if matches!(component, "" | "." | "..") {
            return Err(refused(name, "has an empty, '.' or '..' component"));
        }
        if component.len() > MAX_COMPONENT {
            return Err(refused(name, "has a component longer than 200 bytes"));
        }
    }
    if !name.contains('/') {
        return Err(refused(name, "has one component only"));
    }
    Ok(())
}

/// Is `prefix` empty, or the beginning of names up to a `/`?
///
/// # Errors
/// [`BadObjectName`] says why it is not.
pub fn check_object_prefix(prefix: &str) -> Result<(), BadObjectName> {
    match prefix.strip_suffix('/') {
        None if prefix.is_empty() => Ok(()),
        None => Err(refused(prefix, "does not end with '/'")),
        Some(directory) if directory.contains('/') => check_object_name(directory),
        Some(directory) => check_object_name(&format!("{directory}/x")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_contract_pass() {
        for good in ["t/pack/1", "T/a.b-c_d/..x", "a/b"] {
            assert_eq!(check_object_name(good), Ok(()), "{good}");
        }
        let long = format!("t/{}", "x".repeat(511));
        let long_component = format!("t/{}", "x".repeat(MAX_COMPONENT + 1));
        for bad in [
            "",
            "/",
            "t",
            "t/",
            "/t",
            "t//x",
            "t/../x",
            "t/.",
            "t/ä",
            "t/a b",
            "t/a\0",
            "t/~tmp",
            &long,
            &long_component,
        ] {
            assert!(check_object_name(bad).is_err(), "{bad}");
        }
        for good in ["", "t/", "t/pack/"] {
            assert_eq!(check_object_prefix(good), Ok(()), "{good}");
        }
        for bad in ["t", "/", "../", "t/../", "t//"] {
            assert!(check_object_prefix(bad).is_err(), "{bad}");
        }
    }
}
