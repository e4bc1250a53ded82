//! What the directory refuses, in the person's language.

use pennypost_directory::{
    AddressError, Broken, DirectoryError, InvitationEnd, NoSeat, PolicyError, Weakness,
};

use crate::{Lang, Text, say};

/// A directory error in the person's language.
#[must_use]
pub fn directory_message(error: &DirectoryError, text: &Text) -> String {
    use DirectoryError as E;
    match error {
        E::Port(port) if port.is_temporary() => say!(text, "error-unavailable", cause = port.to_string()),
        E::Port(port) => say!(text, "error-damaged", cause = port.to_string()),
        E::Item(item) => say!(text, "error-damaged", cause = item.to_string()),
        E::Contended | E::Busy => say!(text, "error-contended"),
        E::Address(address) | E::Policy(PolicyError::Address(address)) => address_message(address, text),
        E::UnsuitableAddress { address } => say!(text, "error-unsuitable-address", address = address),
        E::Policy(PolicyError::ListFull { limit }) => say!(text, "error-list-full", limit = *limit),
        E::Policy(PolicyError::Keyword { limit }) => say!(text, "error-keyword", limit = *limit),
        E::MemberRules(error) => {
            let cause = match text.lang() {
                Lang::En => error.fault.to_string(),
                Lang::ZhCn => error.fault.chinese(),
            };
            say!(text, "error-member-rules", place = &error.at, cause = cause)
        }
        E::Name { limit } => say!(text, "error-name", limit = *limit),
        E::Password(weakness) => say!(text, "error-password", broken = broken_rules(weakness, text)),
        E::SignInRules(error) => say!(text, "error-sign-in-rules", cause = error.to_string()),
        E::NoTenant(name) => say!(text, "error-no-tenant", name = name),
        E::NoDomain(name) => say!(text, "error-no-domain", name = name),
        E::NoAccount(name) => say!(text, "error-no-account", name = name),
        E::NoAlias(name) => say!(text, "error-no-alias", name = name),
        E::NoGroup(name) => say!(text, "error-no-group", name = name),
        E::NoMember(name) => say!(text, "error-no-member", name = name),
        E::TenantTaken(name) => say!(text, "error-tenant-taken", name = name),
        E::DomainTaken(name) => say!(text, "error-domain-taken", name = name),
        E::AddressTaken(address) => say!(text, "error-address-taken", address = address),
        E::Mobile => say!(text, "error-mobile"),
        E::MobileTaken => say!(text, "error-mobile-taken"),
        E::OtherTenant(name) => say!(text, "error-other-tenant", name = name),
        E::NoTargets => say!(text, "error-no-targets"),
        E::TooMany { limit, .. } => say!(text, "error-too-many", limit = *limit),
        E::GroupCycle(address) => say!(text, "error-group-cycle", address = address),
        E::GroupDepth { limit } => say!(text, "error-group-depth", limit = *limit),
        E::NoDepartment(name) => say!(text, "error-no-department", name = name),
        E::DepartmentTaken(name) => say!(text, "error-department-taken", name = name),
        E::DepartmentName { limit } => say!(text, "error-department-name", limit = *limit),
        E::DepartmentDepth { limit } => say!(text, "error-department-depth", limit = *limit),
        E::DepartmentCycle(name) => say!(text, "error-department-cycle", name = name),
        E::DepartmentNotEmpty(name) => say!(text, "error-department-not-empty", name = name),
        E::NoTag(name) => say!(text, "error-no-tag", name = name),
        E::TagTaken(name) => say!(text, "error-tag-taken", name = name),
        E::InBin(address) => say!(text, "error-in-bin", address = address),
        E::NotInBin(address) => say!(text, "error-not-in-bin", address = address),
        E::BinOver(address) => say!(text, "error-bin-over", address = address),
        E::WrongKind(address) => say!(text, "error-wrong-kind", address = address),
        E::SecretaryCycle(address) => say!(text, "error-secretary-cycle", address = address),
        E::GroupFollows => say!(text, "error-group-follows"),
        E::AliasDomain(name) => say!(text, "error-alias-domain", name = name),
        E::DomainNotEmpty(name) => say!(text, "error-domain-not-empty", name = name),
        E::DomainState(name) => say!(text, "error-domain-state", name = name),
        E::NoSeat(why) => no_seat_message(why, text),
        E::PlanTerm => say!(text, "plan-term"),
        E::NoInvitation => say!(text, "error-no-invitation"),
        E::InvitationOver(InvitationEnd::Closed) => say!(text, "error-joining-closed"),
        E::InvitationOver(InvitationEnd::Past) => say!(text, "error-invitation-past"),
        E::InvitationOver(InvitationEnd::Revoked) => say!(text, "error-invitation-revoked"),
        E::InvitationOver(InvitationEnd::UsedUp) => say!(text, "error-invitation-used-up"),
        E::InvitationTerms => say!(text, "error-invitation-terms"),
        E::AddressFixed(address) => say!(text, "error-address-fixed", address = address),
        E::JoiningDomain => say!(text, "error-joining-domain"),
        E::NoApplication(address) => say!(text, "error-no-application", address = address),
        E::Decided(address) => say!(text, "error-decided", address = address),
        E::AlreadyJoined(address) => say!(text, "error-already-joined", address = address),
        E::Field { name, limit } => say!(text, "error-field", name = *name, limit = *limit),
    }
}

fn no_seat_message(why: &NoSeat, text: &Text) -> String {
    match why {
        NoSeat::Members { seats } => say!(text, "plan-seats-taken", seats = *seats),
        NoSeat::Vip { seats, by_business } => {
            say!(text, "plan-vip-seats-taken", seats = *seats, business = *by_business)
        }
        NoSeat::Business { allowed } => say!(text, "plan-business-taken", allowed = *allowed),
        NoSeat::NoPlan => say!(text, "plan-no-vip"),
        NoSeat::NotVip(address) => say!(text, "plan-not-vip", address = address),
        NoSeat::NoSecretaries(address) => say!(text, "plan-no-secretaries", address = address),
    }
}

/// Every rule that a password breaks.
fn broken_rules(weakness: &Weakness, text: &Text) -> String {
    let sentences: Vec<String> = weakness.0.iter().map(|broken| broken_rule(*broken, text)).collect();
    sentences.join(&say!(text, "between-sentences"))
}

fn broken_rule(broken: Broken, text: &Text) -> String {
    match broken {
        Broken::TooShort { min } => say!(text, "password-too-short", min = min),
        Broken::TooLong { max } => say!(text, "password-too-long", max = max),
        Broken::Control => say!(text, "password-control"),
        Broken::Classes { wanted } => say!(text, "password-classes", wanted = usize::from(wanted)),
        Broken::Capital => say!(text, "password-capital"),
        Broken::Sequence => say!(text, "password-sequence"),
        Broken::AccountName => say!(text, "password-account-name"),
        Broken::Used { history } => say!(text, "password-used", history = usize::from(history)),
    }
}

fn address_message(error: &AddressError, text: &Text) -> String {
    match error {
        AddressError::Domain(shown) => say!(text, "error-not-a-domain", text = shown),
        AddressError::Shape(shown) => say!(text, "error-not-an-address", text = shown),
        AddressError::LocalPart(shown) => say!(text, "error-local-part", text = shown),
    }
}
