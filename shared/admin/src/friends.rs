//! Friends: members elsewhere of groups, who have to agree before anything goes to them (GRP-07, CON-06).
//!
//! Who agrees or leaves is nobody here, so no action of the table permits it: what the letters bring does. It is in the log of
//! operations all the same.

use std::net::IpAddr;

use pennypost_directory::{
    Admission, DirectoryError, Friend, FriendStanding, Group, Listed, MailAddress, Outward, Page,
};
use pennypost_model::{AccountId, AccountKey, TenantId};
use pennypost_text::say;
use serde_json::{Value, json};

use crate::action::Action;
use crate::authorise::Scope;
use crate::call::{About, Call};
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::operations::{By, Entry, Origin, Outcome};
use crate::{AdminError, Administration, Conflict};

/// What the log calls it that somebody agrees, or leaves.
const ACCEPTED: &str = "friend.accept";
const LEFT: &str = "friend.leave";
/// Milliseconds in which nobody is invited again who has left; then administrators may ask once more.
const LEFT_ALONE: i64 = 90 * 24 * 60 * 60 * 1000;

/// What somebody may do by what a letter has brought him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenFriend {
    /// The name of the organisation.
    pub organisation: String,
    /// Who he is to it.
    pub friend: Friend,
    /// To leave; else to agree.
    pub leaves: bool,
}

fn standing(friend: &Friend) -> Value {
    json!({ "standing": friend.standing.name() })
}

impl Administration {
    /// Addresses elsewhere that were invited, in no order that means anything.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn friends(
        &self,
        call: &Call,
        tenant: TenantId,
        page: &Page,
    ) -> Result<Listed<Friend>, AdminError> {
        call.may(Action::FriendRead, &Scope::Tenant(tenant))?;
        Ok(self.directory.friends(tenant, page).await?)
    }

    /// Invites whoever has an address elsewhere to get what members write to a group, by a letter to him.
    ///
    /// # Errors
    /// [`AdminError`]; [`AdminError::TooManyLetters`] if he was invited within the last day, [`Conflict::NotFromHere`] and
    /// [`Conflict::NoPages`] where no letter goes there, or nobody could agree, [`Conflict::WantsNoMore`] for somebody who has
    /// left within the last 90 days. A friend is answered, and not invited again.
    #[pennypost_ports::compiled_here]
    pub async fn invite_friend(
        &self,
        call: &Call,
        tenant: TenantId,
        (address, group): (&str, &str),
    ) -> Result<Friend, AdminError> {
        let about = About::new(Some(tenant), Action::FriendInvite, address).to(json!({ "group": group }));
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let nobodys = AccountKey { tenant, account: AccountId::default() };
        self.invite_to(call, &about, nobodys, (address, group)).await
    }

    /// The same by a member, for a member elsewhere of a group to which he may send himself. Where the organisation has a plan,
    /// he needs a VIP seat.
    ///
    /// # Errors
    /// As for [`Administration::invite_friend`], [`Conflict::NeedsSeat`], [`Conflict::SendsInside`], [`Conflict::NotInGroup`],
    /// and [`Conflict::WantsNoMore`] whenever the address's owner has left.
    #[pennypost_ports::compiled_here]
    pub async fn invite_friend_as_member(
        &self,
        call: &Call,
        key: AccountKey,
        (address, group): (&str, &str),
    ) -> Result<Friend, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::FriendAsk, &object)
            .to(json!({ "address": address, "group": group }));
        let account = self.permitted(call, &about, key).await?;
        if self.stored_tenant(key.tenant).await?.plan.is_some() && !account.is_vip {
            return Err(AdminError::Conflict(Conflict::NeedsSeat));
        }
        let is_forbidden = self.directory.outward(&account).await? == Outward::Forbidden;
        if is_forbidden || !account.sends().holds(false) {
            return Err(AdminError::Conflict(Conflict::SendsInside));
        }
        self.invite_to(call, &about, key, (address, group)).await
    }

    async fn invite_to(
        &self,
        call: &Call,
        about: &About<'_>,
        by: AccountKey,
        (address, group): (&str, &str),
    ) -> Result<Friend, AdminError> {
        let group = self.group_of(by.tenant, group).await?;
        let is_members = by.account != AccountId::default();
        if is_members {
            let group = group.address.to_string();
            let admission = self.directory.admission_of(by, &group, "").await?;
            if admission == Admission::Refused {
                return Err(AdminError::NotFound("group"));
            }
        }
        let address = MailAddress::parse(address).map_err(DirectoryError::from)?;
        self.must_be_outside(by.tenant, &address).await?;
        if is_members {
            let named = self.directory.members_elsewhere(by.tenant, group.clone()).await?;
            if !named.contains(&address) {
                return Err(AdminError::Conflict(Conflict::NotInGroup));
            }
        }
        // Without pages nobody could agree.
        let pages = self.said_service().await?.web.ok_or(AdminError::Conflict(Conflict::NoPages))?;
        let organisation = self.stored_tenant(by.tenant).await?.name;
        let inviting = async {
            let now = self.clock.now();
            match self.directory.friend(by.tenant, &address).await? {
                Some(friend) if friend.standing == FriendStanding::Friend => return Ok(friend),
                Some(friend)
                    if friend.standing == FriendStanding::Left
                        && (is_members || friend.since.plus_millis(LEFT_ALONE) > now) =>
                {
                    return Err(AdminError::Conflict(Conflict::WantsNoMore));
                }
                // What goes nowhere is counted against no allowance.
                Some(friend) if !friend.may_be_invited(now) => return Err(AdminError::TooManyLetters),
                _ => {}
            }
            let is_counted = match is_members {
                true => self.directory.count_invitation_letter(by).await?,
                false => self.directory.count_letter_of_day(by.tenant).await?,
            };
            if !is_counted {
                return Err(AdminError::TooManyLetters);
            }
            let invited = self.directory.invite_friend(by.tenant, &address).await?;
            let invitation = invited.ok_or(AdminError::TooManyLetters)?;
            let link = format!("https://{pages}/friends/{invitation}");
            let sent = self.send_to_friend((&organisation, &group), (&address, by), &link).await;
            if sent.is_err() {
                // It may be tried again at once.
                self.directory.take_friends_invitation_back(by.tenant, &address).await?;
            }
            sent?;
            let friend = self.directory.friend(by.tenant, &address).await?;
            friend.ok_or(AdminError::NotFound("friend"))
        };
        self.act(call, about, inviting).await
    }

    async fn group_of(&self, tenant: TenantId, group: &str) -> Result<Group, AdminError> {
        let missing = || AdminError::NotFound("group");
        match self.own_domain(tenant, group).await {
            Ok(_) => self.directory.group(group).await?.ok_or_else(missing),
            Err(AdminError::Directory(DirectoryError::NoDomain(_) | DirectoryError::Address(_))) => {
                Err(missing())
            }
            Err(error) => Err(error),
        }
    }

    async fn send_to_friend(
        &self,
        (organisation, group): (&str, &Group),
        (to, by): (&MailAddress, AccountKey),
        link: &str,
    ) -> Result<(), AdminError> {
        let subject = both(|text| say!(text, "letter-friend-subject", organisation = organisation), " / ");
        let (domain, list) = (group.address.domain().to_string(), group.address.to_string());
        let body = both(
            |text| {
                let group = list.as_str();
                say!(text, "letter-friend", organisation = organisation, group = group, link = link)
            },
            "\n\n",
        );
        let to = to.to_string();
        let place = NoticePlace::Outside(by);
        let notice = Notice { domain: &domain, to: &to, place, subject: &subject, text: &body };
        match self.send_notice(&notice).await? {
            NoticeSent::Sent => Ok(()),
            NoticeSent::Unsent => Err(AdminError::Conflict(Conflict::NotFromHere)),
        }
    }

    /// Forgets an address that was invited: whoever has it is a stranger again, to whom nothing goes.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn forget_friend(
        &self,
        call: &Call,
        tenant: TenantId,
        address: &str,
    ) -> Result<(), AdminError> {
        let about = About::new(Some(tenant), Action::FriendForget, address);
        self.permit(call, &Scope::Tenant(tenant), &about).await?;
        let missing = || AdminError::NotFound("friend");
        let address = MailAddress::parse(address).map_err(|_| missing())?;
        let friend = self.directory.friend(tenant, &address).await?.ok_or_else(missing)?;
        let about = about.from(standing(&friend));
        self.act(call, &about, self.directory.forget_friend(tenant, &address)).await.map(drop)
    }

    /// What somebody may do by what a letter has brought him, without doing it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn seen_friend(&self, text: &str) -> Result<SeenFriend, AdminError> {
        let (tenant, friend, leaves) = self.friend_behind(text).await?;
        let organisation = self.stored_tenant(tenant).await?.name;
        Ok(SeenFriend { organisation, friend, leaves })
    }

    async fn friend_behind(&self, text: &str) -> Result<(TenantId, Friend, bool), AdminError> {
        match self.directory.leaving_friend(text).await {
            Ok((tenant, friend)) => Ok((tenant, friend, true)),
            Err(DirectoryError::NoInvitation) => {
                let (tenant, friend) = self.directory.invited_friend(text).await?;
                Ok((tenant, friend, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Does it: agrees, or leaves. Doing it once more comes to the same.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn answer_as_friend(
        &self,
        text: &str,
        client: Option<IpAddr>,
    ) -> Result<SeenFriend, AdminError> {
        let (tenant, friend, leaves) = self.friend_behind(text).await?;
        let organisation = self.stored_tenant(tenant).await?.name;
        let entry = Entry {
            by: By::Invited { invitation: None },
            origin: Origin::Api(client),
            action: if leaves { LEFT } else { ACCEPTED }.to_owned(),
            object: friend.address.to_string(),
            before: Some(standing(&friend).to_string()),
            after: None,
            outcome: Outcome::Ordered,
        };
        let answering = async {
            match leaves {
                true => self.directory.leave_as_friend(text).await,
                false => self.directory.accept_friend(text).await,
            }
        };
        let friend = self.recorded(tenant, entry, answering).await?;
        Ok(SeenFriend { organisation, friend, leaves })
    }
}
