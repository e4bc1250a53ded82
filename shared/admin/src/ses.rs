//! What the SMTP servers of Amazon SES want to know of a user of IAM: a password that follows from the secret key and the region
//! (<https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html>). The key itself is not kept.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// What the documentation says is signed, one behind the other, after the region; the date before it is no day's.
const DATE: &str = "11111111";
const REST: [&str; 3] = ["ses", "aws4_request", "SendRawEmail"];
/// The version of the algorithm, in front of what it comes to.
const VERSION: u8 = 4;

/// The host in a region; none, where a region can't be called so, or has servers of another name.
pub(crate) fn host(region: &str) -> Option<String> {
    let parts: Vec<&str> = region.split('-').collect();
    let [country, middle @ .., number] = &*parts else { return None };
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_good = country.len() == 2
        && is_word(country)
        && *country != "cn"
        && !middle.is_empty()
        && middle.iter().all(is_word)
        && matches!(number.as_bytes(), [b'1'..=b'9']);
    (is_good && region.len() <= 40).then(|| format!("email-smtp.{region}.amazonaws.com"))
}

/// The password of the user whose secret key that is, in a region.
pub(crate) fn password(secret_key: &str, region: &str) -> String {
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let first = sign(format!("AWS4{secret_key}").as_bytes(), DATE);
    let signature = std::iter::once(region).chain(REST).fold(first, |key, text| sign(&key, text));
    BASE64_STANDARD.encode([&[VERSION], &*signature].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_follow_from_keys_as_the_documentation_says() {
        for (key, region, expected) in [
            ("some+secret+key", "eu-central-1", "BMXhUYlu5Z3gSXVQORxlVa7XPaz91aGWdfHxvkOZdWZ2"),
            ("another+secret+key", "eu-central-1", "BBbphbrQmrKMx42d1N6+C7VINYEBGI5v9VsZeTxwskfh"),
            ("some+secret+key", "us-west-1", "BH+jbMzper5WwlwUar9E1ySBqHa9whi0GPo+sJ0mVYJj"),
            ("another+secret+key", "us-west-1", "BKVmjjMDFk/qqw8EROW99bjCS65PF8WKvK5bSr4Y6EqF"),
        ] {
            assert_eq!(password(key, region), expected, "{key} {region}");
        }
    }

    #[test]
    fn regions_name_hosts() {
        assert_eq!(host("eu-central-1").as_deref(), Some("email-smtp.eu-central-1.amazonaws.com"));
        assert!(host("us-gov-west-1").is_some());
        for bad in [
            "",
            "eu",
            "eu-1",
            "eu-central",
            "eu-central-1.evil.example",
            "EU-central-1",
            "cn-north-1",
            "eu--1",
        ] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }
}
