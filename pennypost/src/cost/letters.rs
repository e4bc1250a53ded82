//! The letters of a measured run, as an adapter accepts them.

use pennypost_bench::corpus::{Corpus, Size};
use pennypost_directory::Account;
use pennypost_mailstore::compress::compress;
use pennypost_model::event::{
    Accepted, AuthResults, Body, DmarcPolicy, Event, Recipient, Source, SourceKind, Verdict, Via,
};
use pennypost_model::message::cut;

use super::scene::Scene;
use crate::Failed;

/// The mail of every run.
const SEED: u64 = 1;

/// Letters of one size.
pub(super) struct Letters {
    corpus: Corpus,
}

impl Letters {
    pub(super) fn of(size: Size) -> Letters {
        Letters { corpus: Corpus::new(SEED, size) }
    }

    /// Letter `number` to these accounts, accepted now; and its bytes as it came.
    pub(super) fn accepted(
        &self,
        scene: &Scene,
        number: u64,
        to: &[&Account],
    ) -> Result<(Event, usize), Failed> {
        let raw = self.corpus.letter(number);
        let time = scene.clock.now();
        let id = scene.ids.event(time);
        let recipient = |account: &&Account| Recipient {
            account: account.key,
            address: account.address.to_string(),
            via: Via::Direct,
        };
        let host = format!("mail-{}.sender.example", number % 50);
        let domain = format!("sender{}.example", number % 50);
        let first = to.first().map(|account| account.address.to_string()).unwrap_or_default();
        // As the adapter writes them for mail from the internet.
        let receipt = format!(
            "Received: from {host} ({host} [192.0.2.{}])\r\n\tby mx.measured.example (Pennypost) with ESMTPS id {id}\r\n\tfor <{first}>; {}\r\nAuthentication-Results: mx.measured.example;\r\n\tspf=pass smtp.mailfrom={domain};\r\n\tdkim=pass header.d={domain} header.s=s1 header.b=abcdefgh;\r\n\tdmarc=pass header.from={domain}\r\n",
            number % 250,
            time.rfc3339(),
        );
        let accepted = Accepted {
            id,
            time,
            tenant: to.first().map(|account| account.key.tenant).unwrap_or_default(),
            source: Source {
                kind: SourceKind::Smtp,
                ip: Some([192, 0, 2, (number % 250) as u8].into()),
                helo: host,
                tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384".to_owned()),
            },
            auth: AuthResults {
                spf: Verdict::Pass,
                dkim: Verdict::Pass,
                dkim_domains: vec![domain.clone()],
                dmarc: Verdict::Pass,
                dmarc_policy: DmarcPolicy::Quarantine,
                arc: Verdict::None,
                trusted: false,
            },
            reverse_path: cut(&format!("bounce-{number}@{domain}"), 200).to_owned(),
            recipients: to.iter().map(recipient).collect(),
            body: Body::Inline(compress(&raw)?),
            receipt,
        };
        Ok((Event::Accepted(Box::new(accepted)), raw.len()))
    }
}
