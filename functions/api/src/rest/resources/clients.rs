//! What a tenant and an account say about mail programs.

use pennypost_admin::Action;
use pennypost_directory::{ClientRange, ClientSettings, ProtocolSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::Kind;
use crate::rest::reply::Reply;

/// How far back mail programs see.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Range {
    /// Everything.
    All,
    /// The last two years.
    TwoYears,
    /// The last year.
    Year,
    /// The last three months.
    ThreeMonths,
    /// The last 30 days.
    Month,
    /// The last seven days.
    Week,
}

/// What is said about one protocol; null where nothing is said.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClientProtocol")]
pub(crate) struct Protocol {
    /// It is open.
    open: Option<bool>,
    /// How far back it sees.
    range: Option<Range>,
    /// It sees own folders.
    folders: Option<bool>,
    /// It sees the junk folder.
    junk: Option<bool>,
}

/// What is said about mail programs; null where nothing is said.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Clients {
    /// About IMAP.
    imap: Protocol,
    /// About POP3.
    pop3: Protocol,
    /// The password opens the mailbox; if not, only tokens do.
    passwords: Option<bool>,
    /// What a POP3 program deletes is deleted.
    pop3_deletes: Option<bool>,
    /// What a mail program sends is kept in Sent.
    sent_copies: Option<bool>,
}

const RANGES: [(Range, ClientRange); 6] = [
    (Range::All, ClientRange::All),
    (Range::TwoYears, ClientRange::TwoYears),
    (Range::Year, ClientRange::Year),
    (Range::ThreeMonths, ClientRange::ThreeMonths),
    (Range::Month, ClientRange::Month),
    (Range::Week, ClientRange::Week),
];

impl Range {
    fn of(stored: ClientRange) -> Range {
        RANGES.into_iter().find(|(_, known)| *known == stored).map_or(Range::All, |(range, _)| range)
    }

    fn stored(self) -> ClientRange {
        match self {
            Range::All => ClientRange::All,
            Range::TwoYears => ClientRange::TwoYears,
            Range::Year => ClientRange::Year,
            Range::ThreeMonths => ClientRange::ThreeMonths,
            Range::Month => ClientRange::Month,
            Range::Week => ClientRange::Week,
        }
    }
}

fn show(said: &ClientSettings) -> Clients {
    let protocol = |said: &ProtocolSettings| Protocol {
        open: said.open,
        range: said.range.map(Range::of),
        folders: said.folders,
        junk: said.junk,
    };
    Clients {
        imap: protocol(&said.imap),
        pop3: protocol(&said.pop3),
        passwords: said.passwords,
        pop3_deletes: said.pop3_deletes,
        sent_copies: said.sent_copies,
    }
}

fn read(clients: &Clients) -> ClientSettings {
    let mut said = ClientSettings::default();
    for (said, clients) in [(&mut said.imap, &clients.imap), (&mut said.pop3, &clients.pop3)] {
        said.open = clients.open;
        said.range = clients.range.map(Range::stored);
        said.folders = clients.folders;
        said.junk = clients.junk;
    }
    said.passwords = clients.passwords;
    said.pop3_deletes = clients.pop3_deletes;
    said.sent_copies = clients.sent_copies;
    said
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "read-tenant-clients",
        method: Method::Get,
        path: "/tenants/{tenant}/clients",
        action: Some(Action::TenantClientsRead),
        summary: "What the tenant says about mail programs",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Clients>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let tenant = ask.administration.tenant_clients(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show(&tenant.clients)))
            })
        },
    },
    Operation {
        name: "change-tenant-clients",
        method: Method::Put,
        path: "/tenants/{tenant}/clients",
        action: Some(Action::TenantClientsChange),
        summary: "Say something else about mail programs, for all members",
        query: &[],
        body: Some(shape::<Clients>),
        is_update: true,
        good: Good::one(shape::<Clients>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let said: Clients = ask.body()?;
                let seen = ask.directory().tenant(ask.tenant()?).await?.ok_or(Kind::NotFound)?;
                ask.must_match(&show(&seen.clients))?;
                let changed =
                    ask.administration.change_tenant_clients(&ask.call, &seen, &read(&said)).await?;
                Ok(Reply::tagged(&show(&changed.clients)))
            })
        },
    },
    Operation {
        name: "read-account-clients",
        method: Method::Get,
        path: "/tenants/{tenant}/accounts/{account}/clients",
        action: Some(Action::AccountClientsRead),
        summary: "What an account says about mail programs",
        query: &[],
        body: None,
        is_update: false,
        good: Good::one(shape::<Clients>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let account = ask.administration.account_clients(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&show(&account.clients)))
            })
        },
    },
    Operation {
        name: "change-account-clients",
        method: Method::Put,
        path: "/tenants/{tenant}/accounts/{account}/clients",
        action: Some(Action::AccountClientsChange),
        summary: "Say something else about mail programs, for one account",
        query: &[],
        body: Some(shape::<Clients>),
        is_update: true,
        good: Good::one(shape::<Clients>),
        problems: &[],
        handler: |ask| {
            Box::pin(async move {
                let said: Clients = ask.body()?;
                let action = Action::AccountClientsChange;
                let seen = ask.administration.account_for(action, &ask.call, ask.account()?).await?;
                ask.must_match(&show(&seen.clients))?;
                let changed =
                    ask.administration.change_account_clients(&ask.call, &seen, &read(&said)).await?;
                Ok(Reply::tagged(&show(&changed.clients)))
            })
        },
    },
];
