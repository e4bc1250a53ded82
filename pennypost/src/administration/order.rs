//! `pennypost order …`: orders of plans, as they stand (PLN-08).

use clap::Subcommand;
use pennypost_admin::{OrderState, PaperState, Purchase, PurchaseKind};
use pennypost_directory::Page;
use serde_json::{Value, json};

use super::{OPERATOR, refused, tenant};
use crate::office::Office;
use crate::print::{Output, time};
use crate::text::Text;
use crate::{Failed, say};

/// Subcommands of `order`.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List the orders of a tenant, the newest first
    #[command(after_help = "Example:\n  pennypost order list --tenant acme")]
    List {
        /// Name or id of the tenant; may be left out if there is only one
        #[arg(long)]
        tenant: Option<String>,
    },
}

/// Does what was asked.
pub async fn run(
    office: &Office,
    command: &OrderCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let OrderCommand::List { tenant: name } = command;
    let administration = office.administration();
    let tenant = tenant(office, name.as_deref(), text).await?;
    let mut found = Vec::new();
    let mut page = Page::default();
    loop {
        let listed = administration.purchases(&OPERATOR, tenant.id, &page).await;
        let listed = listed.map_err(|error| refused(error, text))?;
        found.extend(listed.items);
        page.after = listed.next;
        if page.after.is_none() {
            break;
        }
    }
    let rows = found.iter().map(|order| {
        let paid = order.paid.map_or_else(|| say!(text, "order-unpaid"), time);
        let amount =
            format!("{}.{:02} {}", order.terms.amount / 100, order.terms.amount % 100, order.terms.currency);
        let cells = vec![
            format!("{:016x}", order.id),
            order.terms.edition.clone(),
            order.terms.seats.to_string(),
            amount,
            time(order.terms.ends),
            paid,
        ];
        (cells, document(order))
    });
    let heads = vec![
        say!(text, "word-number"),
        say!(text, "word-edition"),
        say!(text, "word-seats"),
        say!(text, "word-amount"),
        say!(text, "word-ends"),
        say!(text, "word-paid"),
    ];
    Ok(output.table(heads, rows.collect(), &say!(text, "orders-none"))?)
}

const fn paper(state: PaperState) -> &'static str {
    match state {
        PaperState::None => "none",
        PaperState::Requested => "requested",
        PaperState::Issued => "issued",
    }
}

const fn state(state: OrderState) -> &'static str {
    match state {
        OrderState::Submitted => "submitted",
        OrderState::Withdrawn => "withdrawn",
        OrderState::Refused => "refused",
        OrderState::Approved => "approved",
        OrderState::Done => "done",
    }
}

fn document(order: &Purchase) -> Value {
    let kind = match order.terms.kind {
        PurchaseKind::Buy => "buy",
        PurchaseKind::Renew => "renew",
        PurchaseKind::Extend => "extend",
        PurchaseKind::Trial => "trial",
        PurchaseKind::Ceiling => "ceiling",
    };
    json!({
        "id": format!("{:016x}", order.id), "kind": kind, "edition": order.terms.edition, "seats": order.terms.seats,
        "vip_seats": order.terms.vip_seats, "amount": order.terms.amount, "currency": order.terms.currency,
        "starts": order.terms.starts.rfc3339(), "ends": order.terms.ends.rfc3339(), "note": order.terms.note,
        "paid": order.paid.map(|paid| paid.rfc3339()), "invoice": paper(order.invoice),
        "contract": paper(order.contract), "created": order.created.rfc3339(),
        "state": order.application.as_ref().map(|application| state(application.state)),
    })
}
