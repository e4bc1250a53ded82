//! Notices of new mail for other programs, and how many unread letters a member has (INT-01): who wants to be told, where,
//! and how telling goes. What waits and who tells is `pennypost_hooks`' and notify's.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pennypost_directory::{DepartmentId, DirectoryError, Function};
use pennypost_hooks::{
    Attempted, Hooks, MAX_SUBSCRIPTIONS, Notice, NoticeKind, Pause, PauseCause, Place, State, Subscription,
    SubscriptionId, Whose, post,
};
use pennypost_model::{AccountKey, MailboxRole, TenantId, Timestamp};
use pennypost_ports::Consistency;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::mail::MailboxCount;
use crate::operations::{By, Entry, Origin, Outcome};
use crate::{AdminError, Administration, Invalid};

/// Characters of a name.
const MAX_NAME: usize = 100;
/// Accounts and departments that a subscription names.
const MAX_NAMED: usize = 100;
/// What every secret begins with, by the standard.
const PREFIX: &str = "whsec_";

/// A subscription as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSubscription {
    /// Its number.
    pub id: SubscriptionId,
    /// What is wanted.
    pub wish: NewSubscription,
    /// Anything is told at all.
    pub on: bool,
    /// Nothing is told any more.
    pub paused: Option<Pause>,
    /// Since when it is there.
    pub created: Timestamp,
}

/// A subscription that is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// What administrators call it.
    pub name: String,
    /// Where notices go.
    pub url: String,
    /// Which ones.
    pub kinds: BTreeSet<NoticeKind>,
    /// They tell who has sent a letter.
    pub tells_sender: bool,
    /// They tell its subject.
    pub tells_subject: bool,
    /// Of whose mail.
    pub whose: Whose,
}

/// What a subscription is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// What is wanted.
    pub wish: NewSubscription,
    /// Anything is told at all.
    pub on: bool,
}

/// How many letters a member has not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// In the inbox.
    pub inbox: u64,
    /// In each mailbox.
    pub mailboxes: Vec<MailboxCount>,
}

fn shown(subscription: &Subscription) -> SeenSubscription {
    let Subscription {
        id, name, place, kinds, tells_sender, tells_subject, whose, on, paused, created, ..
    } = subscription.clone();
    let wish = NewSubscription { name, url: place.text, kinds, tells_sender, tells_subject, whose };
    SeenSubscription { id, wish, on, paused, created }
}

/// A URL without what is asked of it: receivers often know by that who may tell them something, so it is a secret, and neither
/// kept in logs nor shown to who may only look.
fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(place, _)| place)
}

/// A subscription for who asks: only those who may change it see the whole URL.
fn shown_to(call: &Call, tenant: TenantId, subscription: &Subscription) -> SeenSubscription {
    let mut seen = shown(subscription);
    if call.may(Action::SubscriptionChange, &Scope::Tenant(tenant)).is_err() {
        seen.wish.url = without_query(&seen.wish.url).to_owned();
    }
    seen
}

fn summary(wish: &NewSubscription, on: bool) -> Value {
    let NewSubscription { name, url, kinds, tells_sender, tells_subject, whose } = wish;
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let accounts: Vec<String> = whose.accounts.iter().map(ToString::to_string).collect();
    let departments: Vec<u32> = whose.departments.iter().map(|one| one.0).collect();
    json!({
        "name": name, "url": without_query(url), "kinds": kinds, "sender": tells_sender, "subject": tells_subject,
        "accounts": accounts, "departments": departments, "on": on,
    })
}

impl Administration {
    fn hooks(&self) -> Hooks {
        Hooks::new(Arc::clone(&self.control))
    }

    async fn stored_subscription(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<Subscription, AdminError> {
        let all = self.hooks().subscriptions(tenant, Consistency::Strong).await?;
        all.into_iter().find(|one| one.id == id).ok_or(AdminError::NotFound("subscription"))
    }

    /// What is wanted as it is kept, if it can be: name and place. Who was named before may be gone meanwhile.
    async fn checked(
        &self,
        tenant: TenantId,
        wish: &NewSubscription,
        before: &Whose,
    ) -> Result<(String, Place), AdminError> {
        let name = wish.name.trim();
        let is_named = (1..=MAX_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if !is_named {
            return Err(Invalid::Name { limit: MAX_NAME }.into());
        }
        let place = Place::parse(&wish.url).ok_or(Invalid::Receiver)?;
        let whose = &wish.whose;
        if wish.kinds.is_empty() || whose.accounts.len() + whose.departments.len() > MAX_NAMED {
            return Err(Invalid::Subscription { limit: MAX_NAMED }.into());
        }
        for account in whose.accounts.difference(&before.accounts) {
            let found = self.directory.account(AccountKey { tenant, account: *account }).await?;
            found.ok_or(Invalid::NoAccount)?;
        }
        let mut departments = whose.departments.difference(&before.departments).peekable();
        if departments.peek().is_some() {
            let tree = self.directory.departments(tenant).await?;
            let is_missing =
                |one: &&DepartmentId| **one != DepartmentId::ROOT && tree.department(**one).is_none();
            if let Some(missing) = departments.find(is_missing) {
                return Err(DirectoryError::NoDepartment(missing.0.to_string()).into());
            }
        }
        Ok((name.to_owned(), place))
    }

    /// The subscriptions of a tenant, in the order in which they were added.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn subscriptions(
        &self,
        call: &Call,
        tenant: TenantId,
    ) -> Result<Vec<SeenSubscription>, AdminError> {
        call.may(Action::SubscriptionRead, &Scope::Tenant(tenant))?;
        self.stored_tenant(tenant).await?;
        let subscriptions = self.hooks().subscriptions(tenant, Consistency::Strong).await?;
        Ok(subscriptions.iter().map(|one| shown_to(call, tenant, one)).collect())
    }

    /// A subscription. Who may not change it sees its URL without what is asked of it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<SeenSubscription, AdminError> {
        call.may(Action::SubscriptionRead, &Scope::Tenant(tenant))?;
        Ok(shown_to(call, tenant, &self.stored_subscription(tenant, id).await?))
    }

    /// How telling goes.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn subscription_state(
        &self,
        call: &Call,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<State, AdminError> {
        call.may(Action::SubscriptionRead, &Scope::Tenant(tenant))?;
        self.stored_subscription(tenant, id).await?;
        Ok(self.hooks().state(tenant, id).await?.0)
    }

    /// Adds a subscription: what it is, and the secret with which its notices are signed, which is never told again.
    ///
    /// # Errors
    /// [`AdminError`]; [`crate::Conflict::NotInPlan`] where the plan has no interfaces.
    #[pennypost_ports::compiled_here]
    pub async fn add_subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        new: &NewSubscription,
    ) -> Result<(SeenSubscription, String), AdminError> {
        let about = About::new(Some(tenant), Action::SubscriptionChange, without_query(&new.url))
            .to(summary(new, true));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        self.needs_function(tenant, Function::Api).await?;
        let (name, place) = self.checked(tenant, new, &Whose::default()).await?;
        let id = SubscriptionId(self.ids.random());
        let secret = rand::random::<[u8; 32]>();
        let sealed = self.secrets()?.seal(&Hooks::place_of_secret(tenant, id), &secret).await?;
        let subscription = Subscription {
            id,
            name,
            place,
            kinds: new.kinds.clone(),
            tells_sender: new.tells_sender,
            tells_subject: new.tells_subject,
            whose: new.whose.clone(),
            secret: sealed,
            on: true,
            paused: None,
            created: self.clock.now(),
        };
        let hooks = self.hooks();
        let adding = hooks.change(tenant, |all| {
            if all.len() >= MAX_SUBSCRIPTIONS {
                return Err(AdminError::from(Invalid::TooMany { limit: MAX_SUBSCRIPTIONS }));
            }
            all.push(subscription.clone());
            Ok(())
        });
        self.act(call, &about, adding).await?;
        Ok((shown(&subscription), format!("{PREFIX}{}", BASE64_STANDARD.encode(secret))))
    }

    /// Changes a subscription, if it is still as it was seen.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn change_subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        seen: &SeenSubscription,
        change: &SubscriptionChange,
    ) -> Result<SeenSubscription, AdminError> {
        let about = About::new(Some(tenant), Action::SubscriptionChange, without_query(&seen.wish.url))
            .from(summary(&seen.wish, seen.on))
            .to(summary(&change.wish, change.on));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let (name, place) = self.checked(tenant, &change.wish, &seen.wish.whose).await?;
        let wish = NewSubscription { name, ..change.wish.clone() };
        let hooks = self.hooks();
        // How it went with the receiver before says nothing of another one, nor of this one after a while.
        let begins_anew = wish.url != seen.wish.url || (change.on && !seen.on);
        let changing = async {
            hooks
                .change(tenant, |all| {
                    let found = all.iter_mut().find(|one| one.id == seen.id && shown(one) == *seen);
                    let found = found.ok_or(AdminError::Changed)?;
                    let NewSubscription { name, kinds, tells_sender, tells_subject, whose, .. } =
                        wish.clone();
                    (found.name, found.place, found.kinds) = (name, place.clone(), kinds);
                    (found.tells_sender, found.tells_subject) = (tells_sender, tells_subject);
                    (found.whose, found.on) = (whose, change.on);
                    Ok::<_, AdminError>(())
                })
                .await?;
            if begins_anew {
                self.begin_anew(tenant, seen.id).await?;
            }
            Ok::<_, AdminError>(())
        };
        self.act(call, &about, changing).await?;
        Ok(SeenSubscription { wish, on: change.on, ..seen.clone() })
    }

    /// Forgets that a receiver has taken nothing, and has what waits looked after now.
    async fn begin_anew(&self, tenant: TenantId, id: SubscriptionId) -> Result<(), AdminError> {
        let hooks = self.hooks();
        hooks.begin_anew(tenant, id).await?;
        hooks.remind(tenant, id, self.clock.now()).await?;
        Ok(())
    }

    /// Lets a subscription go on that was paused, or tells one at once that waits because of failures. What would have been told meanwhile is not told any more.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn resume_subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<SeenSubscription, AdminError> {
        let object = id.to_string();
        let about =
            About::new(Some(tenant), Action::SubscriptionChange, &object).to(json!({ "paused": null }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let found = self.stored_subscription(tenant, id).await?;
        let about = About { object: without_query(&found.place.text), ..about };
        let hooks = self.hooks();
        let resuming = async {
            hooks
                .change(tenant, |all| {
                    let found = all.iter_mut().find(|one| one.id == id);
                    found.ok_or(AdminError::NotFound("subscription"))?.paused = None;
                    Ok::<_, AdminError>(())
                })
                .await?;
            self.begin_anew(tenant, id).await
        };
        self.act(call, &about, resuming).await?;
        Ok(SeenSubscription { paused: None, ..shown(&found) })
    }

    /// Nothing is told any more, because of the receiver: recorded as what was due.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn pause_subscription(
        &self,
        tenant: TenantId,
        id: SubscriptionId,
        cause: PauseCause,
    ) -> Result<(), AdminError> {
        let found = match self.stored_subscription(tenant, id).await {
            Err(AdminError::NotFound(_)) => return Ok(()),
            found => found?,
        };
        let entry = Entry {
            by: By::Schedule,
            origin: Origin::Schedule,
            action: Action::SubscriptionChange.name().to_owned(),
            object: without_query(&found.place.text).to_owned(),
            before: None,
            after: Some(json!({ "paused": cause.name() }).to_string()),
            outcome: Outcome::Ordered,
        };
        self.append(Some(tenant), entry).await?;
        let pause = Pause { since: self.clock.now(), cause };
        self.hooks()
            .change(tenant, |all| {
                if let Some(found) = all.iter_mut().find(|one| one.id == id && one.is_active()) {
                    found.paused = Some(pause);
                }
                Ok::<_, AdminError>(())
            })
            .await
    }

    /// Removes a subscription. What waits is dropped by whoever would tell it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn remove_subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<(), AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::SubscriptionChange, &object);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let found = shown(&self.stored_subscription(tenant, id).await?);
        let about =
            About { object: without_query(&found.wish.url), ..about }.from(summary(&found.wish, found.on));
        let hooks = self.hooks();
        let removing = async {
            hooks
                .change(tenant, |all| {
                    all.retain(|one| one.id != id);
                    Ok::<_, AdminError>(())
                })
                .await?;
            // It leads to what waits, and to its state: both go.
            hooks.remind(tenant, id, self.clock.now()).await?;
            Ok::<_, AdminError>(())
        };
        self.act(call, &about, removing).await
    }

    /// Tells the receiver something that is nothing, at once: what came of it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn test_subscription(
        &self,
        call: &Call,
        tenant: TenantId,
        id: SubscriptionId,
    ) -> Result<Attempted, AdminError> {
        let object = id.to_string();
        let about = About::new(Some(tenant), Action::SubscriptionChange, &object).to(json!({ "test": true }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let found = self.stored_subscription(tenant, id).await?;
        let about = About { object: without_query(&found.place.text), ..about };
        let https = Arc::clone(&self.outside()?.https);
        let secret = self.secrets()?.open(&Hooks::place_of_secret(tenant, id), &found.secret).await?;
        let now = self.clock.now();
        let data = json!({ "tenant": tenant.to_string(), "subscription": id.to_string() });
        let notice = Notice { id: format!("test-{:016x}", self.ids.random()), kind: "test", time: now, data };
        let telling = async { Ok::<_, AdminError>(post(&*https, &found.place, &secret, &notice, now).await) };
        self.act(call, &about, telling).await
    }

    /// How many letters a member has not read.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::NoMail`] where no mail is at hand.
    #[pennypost_ports::compiled_here]
    pub async fn unread(&self, call: &Call, key: AccountKey) -> Result<Unread, AdminError> {
        self.seen(call, Action::UnreadRead, key).await?;
        let mail = self.mail.as_ref().ok_or(AdminError::NoMail)?;
        let mailboxes = mail.counts(key).await?;
        let inbox = mailboxes.iter().find(|one| one.role == Some(MailboxRole::Inbox));
        Ok(Unread { inbox: inbox.map_or(0, |inbox| inbox.unread), mailboxes })
    }
}
