//! The decision before the `250`: may this message come in at all?
//!
//! Feature RCV-03: tenant blacklist: refused at MAIL/RCPT, before 250
//! Feature RCV-04: tenant whitelist
//! Feature RCV-05: tenant subject filter: refused after DATA, before 250

use pennypost_model::event::{AuthResults, DmarcPolicy, Verdict};

use crate::address::MailAddress;
use crate::tenant::TenantPolicy;

/// May a message come in?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptance {
    /// Yes.
    Accept,
    /// No; the sender is told so before the `250` (architecture, invariant 9).
    Refuse {
        /// SMTP reply code, permanent.
        code: u16,
        /// Enhanced status code (RFC 3463).
        enhanced: &'static str,
        /// Text of the reply: ASCII, one line, without what the tenant has listed.
        text: &'static str,
        /// Name of the rule, for the trace.
        rule: &'static str,
    },
}

impl Acceptance {
    /// Did it say yes?
    #[must_use]
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Acceptance::Accept)
    }
}

const fn refuse(text: &'static str, rule: &'static str) -> Acceptance {
    Acceptance::Refuse { code: 550, enhanced: "5.7.1", text, rule }
}

/// Decides before the `250`, in this order; the first rule that fires wins:
///
/// 1. the envelope sender or an author in From is blacklisted (RCV-03): refused;
/// 2. the subject contains a filtered keyword (RCV-05, "whoever sent it"): refused;
/// 3. the envelope sender or an author in From is whitelisted (RCV-04): accepted;
/// 4. DMARC failed, the domain asks for `reject`, and no intact ARC chain explains it: refused, if the tenant
///    honours that;
/// 5. accepted.
///
/// `envelope_sender` is the reverse-path (empty for `<>`), `authors` the addresses in From, `subject` decoded.
/// At RCPT, before the message is there, it may be called with no authors and an empty subject.
#[must_use]
pub fn accept<'a>(
    policy: &TenantPolicy,
    envelope_sender: &str,
    authors: impl IntoIterator<Item = &'a str>,
    subject: &str,
    auth: &AuthResults,
) -> Acceptance {
    let senders = senders(envelope_sender, authors);
    if policy.blacklists(&senders) {
        return refuse("this sender is not welcome here", "tenant-blacklist");
    }
    if policy.filters_subject(subject) {
        return refuse("the subject of this message is not welcome here", "tenant-subject-filter");
    }
    if policy.whitelists(&senders) {
        return Acceptance::Accept;
    }
    let forged = auth.dmarc == Verdict::Fail && auth.dmarc_policy == DmarcPolicy::Reject;
    if policy.dmarc_reject && forged && auth.arc != Verdict::Pass && !auth.trusted {
        return refuse("the author's domain asks to refuse this message (DMARC)", "dmarc-reject");
    }
    Acceptance::Accept
}

/// The same for what a member hands in, having signed in: who wrote it is known, so that lists of senders and DMARC, which
/// are about claims, say nothing of it. The subject filter holds whoever sent it (RCV-05).
#[must_use]
pub fn submit(policy: &TenantPolicy, subject: &str) -> Acceptance {
    if policy.filters_subject(subject) {
        return refuse("the subject of this message is not welcome here", "tenant-subject-filter");
    }
    Acceptance::Accept
}

/// Has the tenant a sender of the message on its whitelist?
#[must_use]
pub fn whitelists<'a>(
    policy: &TenantPolicy,
    envelope_sender: &str,
    authors: impl IntoIterator<Item = &'a str>,
) -> bool {
    policy.whitelists(&senders(envelope_sender, authors))
}

/// Authors that are compared with the lists; a message with more is compared by the first of them.
const MAX_AUTHORS: usize = 100;

/// The senders of a message as addresses. What is no address is in no list.
pub(crate) fn senders<'a>(
    envelope_sender: &str,
    authors: impl IntoIterator<Item = &'a str>,
) -> Vec<MailAddress> {
    let mut senders: Vec<MailAddress> = MailAddress::parse(envelope_sender).into_iter().collect();
    senders
        .extend(authors.into_iter().take(MAX_AUTHORS).filter_map(|author| MailAddress::parse(author).ok()));
    senders
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy() -> TenantPolicy {
        let mut policy = TenantPolicy::default();
        policy.add_to_blacklist("bad.example").expect("domain");
        policy.add_to_whitelist("good.example").expect("domain");
        policy.add_to_whitelist("friend@bad.example").expect("address");
        policy.add_to_subject_filter("Lottery").expect("keyword");
        policy.add_to_subject_filter("发票").expect("keyword");
        policy
    }

    fn rejected_by_dmarc(arc: Verdict) -> AuthResults {
        AuthResults { dmarc: Verdict::Fail, dmarc_policy: DmarcPolicy::Reject, arc, ..AuthResults::default() }
    }

    fn rule(acceptance: &Acceptance) -> &'static str {
        match acceptance {
            Acceptance::Accept => "accept",
            Acceptance::Refuse { code, enhanced, text, rule } => {
                assert_eq!((*code, *enhanced), (550, "5.7.1"));
                assert!(text.is_ascii() && !text.contains(['\r', '\n']));
                rule
            }
        }
    }

    #[test]
    fn the_order_of_the_rules_holds() {
        let none = AuthResults::default();
        let dmarc = rejected_by_dmarc(Verdict::None);
        for (sender, author, subject, auth, expected) in [
            ("a@any.example", "a@any.example", "hello", &none, "accept"),
            ("a@bad.example", "a@any.example", "hello", &none, "tenant-blacklist"),
            ("a@any.example", "a@sub.bad.example", "hello", &none, "tenant-blacklist"),
            ("", "a@bad.example", "hello", &none, "tenant-blacklist"),
            ("friend@bad.example", "friend@bad.example", "hello", &none, "tenant-blacklist"),
            ("a@good.example", "a@bad.example", "hello", &none, "tenant-blacklist"),
            ("a@any.example", "a@any.example", "You won the LOTTERY!", &none, "tenant-subject-filter"),
            ("a@good.example", "a@good.example", "代开发票", &none, "tenant-subject-filter"),
            ("a@good.example", "a@good.example", "hello", &dmarc, "accept"),
            ("a@any.example", "a@any.example", "hello", &dmarc, "dmarc-reject"),
            ("a@any.example", "a@any.example", "hello", &rejected_by_dmarc(Verdict::Fail), "dmarc-reject"),
            ("a@any.example", "a@any.example", "hello", &rejected_by_dmarc(Verdict::Pass), "accept"),
            ("garbage", "more garbage", "", &none, "accept"),
        ] {
            let acceptance = accept(&policy(), sender, [author], subject, auth);
            assert_eq!(rule(&acceptance), expected, "{sender} {author} {subject}");
        }
    }

    #[test]
    fn of_what_a_member_hands_in_only_the_subject_counts() {
        assert_eq!(rule(&submit(&policy(), "hello")), "accept");
        assert_eq!(rule(&submit(&policy(), "A LOTTERY")), "tenant-subject-filter");
    }

    #[test]
    fn a_tenant_may_ignore_dmarc() {
        let policy = TenantPolicy { dmarc_reject: false, ..TenantPolicy::default() };
        let auth = rejected_by_dmarc(Verdict::None);
        assert!(accept(&policy, "a@any.example", ["a@any.example"], "", &auth).is_accepted());
    }

    #[test]
    fn quarantine_is_no_reason_to_refuse() {
        let auth = AuthResults {
            dmarc: Verdict::Fail,
            dmarc_policy: DmarcPolicy::Quarantine,
            ..AuthResults::default()
        };
        assert!(accept(&TenantPolicy::default(), "", ["a@any.example"], "", &auth).is_accepted());
    }

    proptest! {
        #[test]
        fn nothing_panics_and_the_blacklist_always_wins(sender in ".{0,60}", author in ".{0,60}", subject in ".{0,60}") {
            let auth = AuthResults::default();
            let _ = accept(&policy(), &sender, [author.as_str()], &subject, &auth);
            let refused = accept(&policy(), &sender, [author.as_str(), "x@bad.example"], &subject, &auth);
            prop_assert_eq!(rule(&refused), "tenant-blacklist");
        }
    }
}
