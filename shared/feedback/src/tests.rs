use std::collections::HashMap;
use std::net::IpAddr;

use async_trait::async_trait;
use pennypost_model::event::Verdict;
use pennypost_ports::{Dns, DnsError, DnsKind, DnsRecord};

use super::published::{places, published};
use super::seen::{Disposition, Seen, Sums};

struct Zone(HashMap<&'static str, &'static str>);

#[async_trait]
impl Dns for Zone {
    async fn look_up(&self, name: &str, _kind: DnsKind) -> Result<Vec<DnsRecord>, DnsError> {
        match self.0.get(name) {
            Some(&"") => Err(DnsError("test".to_owned())),
            Some(text) => Ok(text.split('|').map(|text| DnsRecord::Txt(text.to_owned())).collect()),
            None => Ok(Vec::new()),
        }
    }
}

fn zone() -> Zone {
    Zone(HashMap::from([
        (
            "_dmarc.d.example",
            "v=spf1 -all|v=DMARC1; p=none; rua=mailto:a@d.example!10k, mailto:b@x.d.example,mailto:c@far.example,mailto:e@near.example,https://d.example/x",
        ),
        ("_dmarc.own.d.example", "v=DMARC1; p=reject"),
        ("_dmarc.example", "v=DMARC1; p=none; psd=y; rua=mailto:psd@example"),
        ("d.example._report._dmarc.near.example", "v=DMARC1;"),
        ("_dmarc.two.example", "v=DMARC1; p=none|v=DMARC1; p=reject"),
        ("_dmarc.silent.example", ""),
    ]))
}

#[tokio::test]
async fn the_policy_of_a_domain_is_its_own_or_that_above_it() {
    let zone = zone();
    for (author, expected) in [
        ("d.example", Some("d.example")),
        ("a.b.d.example", Some("d.example")),
        ("own.d.example", Some("own.d.example")),
        ("x.own.d.example", Some("d.example")),
        ("1.2.3.4.5.6.7.8.9.d.example", Some("d.example")),
        ("nobody.example", None),
        ("two.example", None),
        ("example", None),
        ("", None),
    ] {
        let found = published(&zone, author).await.expect("an answer");
        assert_eq!(found.map(|found| found.domain).as_deref(), expected, "{author}");
    }
    assert!(published(&zone, "silent.example").await.is_err());
}

#[tokio::test]
async fn reports_go_to_the_domain_itself_and_to_who_agrees() {
    let zone = zone();
    let found = published(&zone, "d.example").await.expect("an answer").expect("a policy");
    let places = places(&zone, &found).await.expect("an answer");
    let places: Vec<_> = places.iter().map(|place| (place.address.to_string(), place.max_size)).collect();
    let at = |address: &str, size| (address.to_owned(), size);
    assert_eq!(
        places,
        [at("a@d.example", Some(10_240)), at("b@x.d.example", None), at("e@near.example", None)]
    );
}

#[test]
fn what_strangers_bring_about_is_bounded() {
    let seen = |number: u32| Seen {
        source: IpAddr::from(number.to_be_bytes()),
        author: "D.example".repeat(100),
        envelope_from: "x".repeat(10_000),
        spf_domain: "é".repeat(10_000),
        spf: Verdict::Fail,
        signatures: Vec::new(),
        is_spf_aligned: false,
        is_dkim_aligned: false,
        disposition: Disposition::None,
        reason: None,
    };
    let mut sums = Sums::default();
    for number in 0..5_000 {
        let row = (seen(number % 4_000).bounded(), 1);
        sums.merge(Sums { rows: vec![row], left_out: 0 });
    }
    assert!(pennypost_model::codec::encode(&sums).len() < 300_000);
    let listed: u64 = sums.rows.iter().map(|(_, count)| count).sum();
    assert_eq!(listed + sums.left_out, 5_000);
    assert!(sums.rows.len() > 200 && sums.rows[0].1 == 2);
}
