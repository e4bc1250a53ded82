//! Four eyes (ADM-13): what one administrator orders and another confirms.
//!
//! Where a tenant wishes it, an operation that [`Action::is_dangerous`] is not done when it is ordered: every method of
//! [`Administration`] that does one answers [`AdminError::NeedsSecond`], and whoever asked puts the order down here, in the
//! form in which he will read it again. Another person of the tenant who may do the same, and has confirmed who he is,
//! confirms it; then it is done in his name, by the same method, which looks again at everything. He may refuse it, and
//! whoever ordered it may take it back. After a day nobody confirms it any more.
//!
//! An order is taken away by compare-and-set before it is done: it is done once at most. If the process dies in between,
//! it is to be ordered again; the log tells that it was ordered, and confirmed.
//!
//! Operators need no second: they stand above the tenant. Keys can order, and not confirm.

use std::fmt;
use std::str::FromStr;

use pennypost_directory::{Listed, Page};
use pennypost_model::codec::Versioned;
use pennypost_model::{TenantId, Timestamp};
use pennypost_ports::{Consistency, ControlKey, Expected};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::action::Action;
use crate::authorise::{Actor, Means, Scope};
use crate::call::{About, Call};
use crate::operations::{Book, By};
use crate::{AdminError, Administration, Invalid};

/// How long an order waits.
const WAITS: i64 = 24 * 60 * 60 * 1000;
/// Bytes of an order.
const MAX_ORDER: usize = 64 * 1024;
/// Orders that wait at once in a tenant.
const MAX_WAITING: usize = 200;

/// The number of an order. Text form: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for RequestId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<RequestId, Self::Err> {
        u64::from_str_radix(text, 16).map(RequestId)
    }
}

/// What is ordered, in the form in which whoever puts it down reads it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What it is upon, for people.
    pub object: String,
    /// The order itself, for whoever put it down to read.
    pub bytes: Vec<u8>,
}

/// An order that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub id: RequestId,
    /// What is to be done: the name of an [`Action`].
    pub action: String,
    /// To what.
    pub object: String,
    /// Who ordered it.
    pub by: By,
    /// When.
    pub ordered: Timestamp,
    /// When nobody can confirm it any more.
    pub until: Timestamp,
    /// The order itself: [`Order::bytes`].
    pub order: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    action: String,
    order: Order,
    by: By,
    ordered: Timestamp,
}

impl Versioned for Item {
    const KIND: &'static str = "order for a second administrator";
}

impl Item {
    fn until(&self) -> Timestamp {
        self.ordered.plus_millis(WAITS)
    }

    fn shown(&self, id: RequestId) -> Pending {
        let Item { action, order, by, ordered } = self;
        let (action, object, by) = (action.clone(), order.object.clone(), by.clone());
        Pending { id, action, object, by, ordered: *ordered, until: self.until(), order: order.bytes.clone() }
    }

    fn action(&self) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| action.name() == self.action)
    }
}

fn partition(tenant: TenantId) -> String {
    format!("{tenant}/requests-for-second")
}

fn request_key(tenant: TenantId, id: RequestId) -> ControlKey {
    ControlKey::new(partition(tenant), id.to_string())
}

impl Administration {
    /// Does it take a second administrator?
    pub(crate) async fn permit_without_second(
        &self,
        call: &Call,
        book: Book,
        action: Action,
    ) -> Result<(), AdminError> {
        let (Some(tenant), Some(_)) = (book, call.actor.tenant()) else { return Ok(()) };
        let is_confirming = call.actor.presence().is_some_and(|presence| presence.seconds);
        // The second step of an order is none that takes a second itself.
        if !action.is_dangerous() || is_confirming || action == Action::RequestConfirm {
            return Ok(());
        }
        if self.rules_of(tenant).await?.four_eyes { Err(AdminError::NeedsSecond) } else { Ok(()) }
    }

    /// Puts an order down for a second administrator to confirm. The log tells it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn put_down(
        &self,
        call: &Call,
        tenant: TenantId,
        action: Action,
        order: Order,
    ) -> Result<Pending, AdminError> {
        self.admit(call, action, Some(tenant), &order.object).await?;
        if order.bytes.len() > MAX_ORDER {
            return Err(Invalid::LargeOrder { limit: MAX_ORDER }.into());
        }
        let now = self.clock.now();
        let page = Page { after: None, limit: 2 * MAX_WAITING };
        let mut waiting = 0;
        for (id, item) in self.list::<Item>(&partition(tenant), &page).await?.items {
            if item.until() <= now {
                self.erase(&ControlKey::new(partition(tenant), id)).await?;
            } else {
                waiting += 1;
            }
        }
        if waiting >= MAX_WAITING {
            return Err(Invalid::TooMany { limit: MAX_WAITING }.into());
        }
        let id = RequestId(self.ids.random());
        let object = order.object.clone();
        let item = Item { action: action.name().to_owned(), order, by: By::of(&call.actor), ordered: now };
        let about = About::new(Some(tenant), action, &object).to(json!({ "waits_as": id.to_string() }));
        self.act(call, &about, async {
            let is_written = self.write(&request_key(tenant, id), &item, Expected::Absent).await?;
            if is_written { Ok(()) } else { Err(AdminError::Changed) }
        })
        .await?;
        Ok(item.shown(id))
    }

    /// What waits for a second administrator.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn requests(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Pending>, AdminError> {
        call.may(Action::RequestRead, &Scope::Tenant(tenant))?;
        let Listed { items, next } = self.list::<Item>(&partition(tenant), page).await?;
        let now = self.clock.now();
        let waiting = items.into_iter().filter(|(_, item)| item.until() > now);
        let items = waiting.filter_map(|(id, item)| Some(item.shown(id.parse().ok()?))).collect();
        Ok(Listed { items, next })
    }

    /// One of them.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn request(&self, call: &Call, tenant: TenantId, id: RequestId) -> Result<Pending, AdminError> {
        call.may(Action::RequestRead, &Scope::Tenant(tenant))?;
        Ok(self.waiting(tenant, id).await?.0.shown(id))
    }

    async fn waiting(&self, tenant: TenantId, id: RequestId) -> Result<(Item, u64), AdminError> {
        let key = request_key(tenant, id);
        let found = self.control.get(&key, Consistency::Strong).await?;
        let found = found.ok_or(AdminError::NotFound("request"))?;
        let item: Item = pennypost_model::codec::decode(&found.value)?;
        if item.until() <= self.clock.now() {
            return Err(AdminError::NotFound("request"));
        }
        Ok((item, found.version))
    }

    /// Takes an order, which is then to be done with the call that comes with it. Who ordered it can't confirm it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn confirm_request(
        &self,
        call: &Call,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<(Action, Order, Call), AdminError> {
        let number = id.to_string();
        let about = About::new(Some(tenant), Action::RequestConfirm, &number);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (item, version) = self.waiting(tenant, id).await?;
        let action = item.action().ok_or(AdminError::NotFound("request"))?;
        self.admit(call, action, Some(tenant), &item.order.object).await?;
        if is_same_person(&item.by, &call.actor) {
            return Err(Invalid::OwnRequest.into());
        }
        let before = json!({ "action": item.action, "object": item.order.object, "by": item.by.shown() });
        let about = about.from(before);
        self.act(call, &about, self.take(tenant, id, version)).await?;
        let mut seconding = call.clone();
        if let Actor::Person { means: Means::Session(presence), .. } = &mut seconding.actor {
            presence.seconds = true;
        }
        Ok((action, item.order, seconding))
    }

    /// Refuses an order, or takes back the own one.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn refuse_request(
        &self,
        call: &Call,
        tenant: TenantId,
        id: RequestId,
    ) -> Result<(), AdminError> {
        let number = id.to_string();
        let about = About::new(Some(tenant), Action::RequestRefuse, &number);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (item, version) = self.waiting(tenant, id).await?;
        let before = json!({ "action": item.action, "object": item.order.object, "by": item.by.shown() });
        let about = about.from(before);
        self.act(call, &about, self.take(tenant, id, version)).await
    }

    /// Of two that take an order one does.
    async fn take(&self, tenant: TenantId, id: RequestId, version: u64) -> Result<(), AdminError> {
        let is_taken = self.control.delete_if(&request_key(tenant, id), version).await?;
        if is_taken { Ok(()) } else { Err(AdminError::NotFound("request")) }
    }
}

/// One person, by whatever key or session.
fn is_same_person(by: &By, actor: &Actor) -> bool {
    match (by, actor) {
        (By::Person { account, .. } | By::Session { account, .. }, Actor::Person { account: own, .. }) => {
            account == own
        }
        _ => false,
    }
}
