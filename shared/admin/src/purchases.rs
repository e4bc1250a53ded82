//! Orders of plans as records (PLN-08): administrators submit them ([`crate::orders`]) or the operator writes them down,
//! administrators read them, and ask for an invoice or a contract while the order's term lasts. Nothing is paid here, and no
//! plan follows from what the operator writes down.
//!
//! `T/purchases` holds them, the newest first.

use pennypost_directory::{DirectoryError, Listed, MAX_PAGE, Page};
use pennypost_model::codec::{CodecError, Versioned, decode_plain};
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::operations::By;
use crate::store::MAX_ATTEMPTS;
use crate::{AdminError, Administration, Conflict, Invalid};

/// Characters of the name of an edition.
const MAX_EDITION: usize = 50;
/// Characters of a note.
pub(crate) const MAX_NOTE: usize = 500;
/// Orders of a tenant.
pub(crate) const MAX_PURCHASES: usize = 1_000;

/// What an order is for. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PurchaseKind {
    /// A first plan.
    Buy,
    /// Another term.
    Renew,
    /// More seats.
    Extend,
    /// Pro for a while without paying (TEN-05).
    Trial,
    /// More accounts than there may be (TEN-15).
    Ceiling,
}

/// How a paper stands that goes with an order. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaperState {
    /// Nobody has asked for it.
    #[default]
    None,
    /// An administrator has asked for it.
    Requested,
    /// It was issued.
    Issued,
}

/// Which paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paper {
    /// The invoice.
    Invoice,
    /// The contract.
    Contract,
}

/// What an order is about: what was agreed, once it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// What it is for.
    pub kind: PurchaseKind,
    /// Of which edition.
    pub edition: String,
    /// Seats: of [`PurchaseKind::Extend`] that many more, of [`PurchaseKind::Ceiling`] that many in all.
    pub seats: u32,
    /// VIP seats.
    pub vip_seats: u32,
    /// What it costs, in hundredths of the currency's unit.
    pub amount: u64,
    /// Its currency, by three letters (ISO 4217); empty before it is known.
    pub currency: String,
    /// When the term that it pays for begins.
    pub starts: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// What the operator says to it; may be empty.
    pub note: String,
}

/// How an order stands that an administrator has submitted. Stored: new ones at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderState {
    /// The operator has not decided.
    Submitted,
    /// It was withdrawn before that.
    Withdrawn,
    /// The operator has refused it.
    Refused,
    /// It is approved, and is being carried out.
    Approved,
    /// The plan is as it says.
    Done,
}

/// What an administrator has submitted; nobody changes it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Who.
    pub by: By,
    /// Years that are wished for.
    pub years: u32,
    /// Why; may be empty.
    pub reason: String,
    /// How it stands.
    pub state: OrderState,
    /// When it was decided, or withdrawn.
    pub decided: Option<Timestamp>,
    /// Why it was refused.
    pub answer: String,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Which: 16 hex digits, the newest order has the lowest.
    pub id: u64,
    /// What it is about.
    pub terms: OrderTerms,
    /// When it was paid.
    pub paid: Option<Timestamp>,
    /// The invoice.
    pub invoice: PaperState,
    /// The contract.
    pub contract: PaperState,
    /// When it was written.
    pub created: Timestamp,
    /// What an administrator has submitted; `None`: the operator has written it down.
    pub application: Option<Application>,
}

impl Versioned for Purchase {
    const KIND: &'static str = "purchase";
    const VERSION: u8 = 2;

    fn upgrade(found: u8, bytes: &[u8]) -> Result<Purchase, CodecError> {
        if found != 1 {
            return Err(CodecError::Version { kind: Self::KIND, found, known: Self::VERSION });
        }
        let PurchaseV1 { id, terms, paid, invoice, contract, created } = decode_plain(Self::KIND, bytes)?;
        Ok(Purchase { id, terms, paid, invoice, contract, created, application: None })
    }
}

/// As stored before administrators could submit one.
#[derive(Serialize, Deserialize)]
struct PurchaseV1 {
    id: u64,
    terms: OrderTerms,
    paid: Option<Timestamp>,
    invoice: PaperState,
    contract: PaperState,
    created: Timestamp,
}

impl Purchase {
    pub(crate) fn new(id: u64, terms: OrderTerms, created: Timestamp) -> Purchase {
        Purchase {
            id,
            terms,
            paid: None,
            invoice: PaperState::None,
            contract: PaperState::None,
            created,
            application: None,
        }
    }
}

/// What the operator says of an order; `None` stays as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurchaseChange {
    /// When it was paid; `Some(None)`: it was not.
    pub paid: Option<Option<Timestamp>>,
    /// The invoice.
    pub invoice: Option<PaperState>,
    /// The contract.
    pub contract: Option<PaperState>,
}

pub(crate) fn partition(tenant: TenantId) -> String {
    format!("{tenant}/purchases")
}

pub(crate) fn key_of(tenant: TenantId, id: u64) -> ControlKey {
    ControlKey::new(partition(tenant), format!("{id:016x}"))
}

fn document(purchase: &Purchase) -> Value {
    json!({
        "paid": purchase.paid.map(Timestamp::rfc3339), "invoice": format!("{:?}", purchase.invoice),
        "contract": format!("{:?}", purchase.contract),
    })
}

pub(crate) fn is_text(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

impl OrderTerms {
    fn check(&self) -> Result<(), Invalid> {
        let is_currency = self.currency.len() == 3 && self.currency.bytes().all(|b| b.is_ascii_uppercase());
        let is_edition = !self.edition.trim().is_empty() && is_text(&self.edition, MAX_EDITION);
        if !is_edition {
            return Err(Invalid::Name { limit: MAX_EDITION });
        }
        if !is_currency || self.starts >= self.ends || !is_text(&self.note, MAX_NOTE) {
            return Err(Invalid::Purchase);
        }
        Ok(())
    }
}

impl Administration {
    /// Writes an order down, as the operator.
    ///
    /// # Errors
    /// [`Invalid::Purchase`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn add_purchase(
        &self,
        call: &Call,
        tenant: TenantId,
        new: OrderTerms,
    ) -> Result<Purchase, AdminError> {
        let (id, now) = self.fresh_order();
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::PurchaseAdd, &object).to(json!({
            "kind": format!("{:?}", new.kind), "edition": new.edition, "seats": new.seats,
            "vip_seats": new.vip_seats, "amount": new.amount, "currency": new.currency,
            "starts": new.starts.rfc3339(), "ends": new.ends.rfc3339(),
        }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.stored_tenant(tenant).await?;
        new.check()?;
        let page = Page { after: None, limit: MAX_PAGE };
        let all = self.list::<Purchase>(&partition(tenant), &page).await?.items;
        self.room_for_order(tenant, &all).await?;
        let edition = new.edition.trim().to_owned();
        let purchase = Purchase::new(id, OrderTerms { edition, ..new }, now);
        self.act(call, &about, async {
            let is_written = self.write(&key_of(tenant, id), &purchase, Expected::Absent).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(purchase)
    }

    /// The orders of a tenant, the newest first.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn purchases(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Purchase>, AdminError> {
        call.may(Action::PurchaseRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.list::<Purchase>(&partition(tenant), page).await?;
        Ok(Listed { items: items.into_iter().map(|(_, purchase)| purchase).collect(), next })
    }

    /// An id, and the time in it. The newest has the lowest; two of one moment differ by chance.
    pub(crate) fn fresh_order(&self) -> (u64, Timestamp) {
        let now = self.clock.now();
        (self.order_at(now), now)
    }

    /// An id by which what is of a later time comes first.
    pub(crate) fn order_at(&self, time: Timestamp) -> u64 {
        let back = u64::MAX - u64::try_from(time.0).unwrap_or_default();
        (back << 16) | (self.ids.random() & 0xffff)
    }

    /// The time of a number that [`Administration::order_at`] gave.
    pub(crate) fn time_of(number: u64) -> Timestamp {
        Timestamp(i64::try_from(!number >> 16).unwrap_or_default())
    }

    pub(crate) async fn stored_purchase(
        &self,
        tenant: TenantId,
        id: u64,
    ) -> Result<(Purchase, u64), AdminError> {
        self.read::<Purchase>(&key_of(tenant, id)).await?.ok_or(AdminError::NotFound("order"))
    }

    /// Says something else of an order that is still as `expected`, as the operator.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_purchase(
        &self,
        call: &Call,
        tenant: TenantId,
        expected: &Purchase,
        change: PurchaseChange,
    ) -> Result<Purchase, AdminError> {
        let mut changed = expected.clone();
        changed.paid = change.paid.unwrap_or(changed.paid);
        changed.invoice = change.invoice.unwrap_or(changed.invoice);
        changed.contract = change.contract.unwrap_or(changed.contract);
        let object = format!("{:016x}", expected.id);
        let about = About::new(Some(tenant), Action::PurchaseChange, &object)
            .from(document(expected))
            .to(document(&changed));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.act(call, &about, async {
            let (stored, version) = self.stored_purchase(tenant, expected.id).await?;
            let key = key_of(tenant, expected.id);
            if stored != *expected {
                return Err(AdminError::Changed);
            }
            let is_paid_now = expected.paid.is_none() && changed.paid.is_some();
            if is_paid_now && expected.application.is_some() && expected.terms.kind == PurchaseKind::Buy {
                // First what follows from it: said again, it is the same. Of a tenant that is being erased nothing does.
                match self.directory.note_paid(tenant, expected.id).await {
                    Ok(()) | Err(DirectoryError::NoTenant(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if self.write(&key, &changed, Expected::Version(version)).await? {
                Ok(())
            } else {
                Err(AdminError::Changed)
            }
        })
        .await?;
        Ok(changed)
    }

    /// An order.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn purchase(&self, call: &Call, tenant: TenantId, id: u64) -> Result<Purchase, AdminError> {
        call.may(Action::PurchaseRead, &Scope::Tenant(tenant))?;
        Ok(self.stored_purchase(tenant, id).await?.0)
    }

    /// An order of which the actor is about to say something.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn purchase_to_change(
        &self,
        call: &Call,
        tenant: TenantId,
        id: u64,
    ) -> Result<Purchase, AdminError> {
        call.may(Action::PurchaseChange, &Scope::Tenant(tenant))?;
        Ok(self.stored_purchase(tenant, id).await?.0)
    }

    /// Asks for the paper of an order whose term is not over. Asked again it changes nothing.
    ///
    /// # Errors
    /// [`Conflict::OrderOver`], or others of [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn request_paper(
        &self,
        call: &Call,
        tenant: TenantId,
        id: u64,
        paper: Paper,
    ) -> Result<Purchase, AdminError> {
        let object = format!("{id:016x}");
        let about = About::new(Some(tenant), Action::PaperRequest, &object)
            .to(json!({ "paper": format!("{paper:?}") }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        if self.stored_purchase(tenant, id).await?.0.terms.ends <= self.clock.now() {
            return Err(AdminError::Conflict(Conflict::OrderOver));
        }
        self.act(call, &about, async {
            for _ in 0..MAX_ATTEMPTS {
                let (mut purchase, version) = self.stored_purchase(tenant, id).await?;
                let state = match paper {
                    Paper::Invoice => &mut purchase.invoice,
                    Paper::Contract => &mut purchase.contract,
                };
                if *state != PaperState::None {
                    return Ok(purchase);
                }
                *state = PaperState::Requested;
                if self.write(&key_of(tenant, id), &purchase, Expected::Version(version)).await? {
                    return Ok(purchase);
                }
            }
            Err(AdminError::Changed)
        })
        .await
    }
}
