//! Invitations that the post office itself brings to those who are invited (ORG-04, ORG-09, ORG-12): to members who are in
//! the directory and have no password yet.
//!
//! What is sent is the invitation of that member ([`Administration::invite_member`]), good once. The one before is good until
//! what brings the new one has it, and worthless then: of several letters the last is good.
//!
//! A call with a name sends to nobody to whom one of that name has sent already, also where it was cut off or its process
//! died. One message may be under way then whose end was not written down: that one is sent again.
//!
//! All of a call is looked at before anything is sent. It ends in time for whoever waits for it: what was not tried by then,
//! or after what brings messages did not answer, is told to be so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pennypost_connector::SmsError;
use pennypost_directory::{DirectoryError, MailAddress, MemberInvitation, MobileNumber, SmsAsker};
use pennypost_model::{AccountKey, Timestamp};
use pennypost_text::say;
use serde_json::json;

use crate::action::Action;
use crate::authorise::Why;
use crate::call::{About, Call};
use crate::mobiles::SaidBySms;
use crate::notices::{Notice, NoticePlace, NoticeSent, both};
use crate::{AdminError, Administration, Conflict};

/// Members that are invited by one call at most.
pub const MAX_INVITED: usize = 100;
/// When no further message of a call is begun. With what a last one may take it ends before a repeated request takes it for
/// given up.
const MOST: Duration = Duration::from_secs(25);

/// By what way an invitation goes to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationWay {
    /// By a letter to this address: another member's, or one elsewhere.
    Mail(String),
    /// By a text message to the mobile number that the directory has of him.
    Sms,
}

/// Where an invitation goes.
enum To {
    Address(String, NoticePlace),
    Mobile(MobileNumber),
}

/// An invitation that is to be sent.
struct Prepared {
    key: AccountKey,
    login: String,
    to: To,
    /// The address, or the end of the number.
    shown: String,
}

/// Is it the same for all members of a call, which is to be repeated?
fn is_of_all(error: &AdminError) -> bool {
    match error {
        AdminError::Denied(why) => !matches!(why, Why::OutOfReach | Why::Above),
        error => error.is_temporary() || matches!(error, AdminError::NeedsSecond | AdminError::NoTasks),
    }
}

/// What a letter with an invitation says.
struct Letter<'a> {
    organisation: &'a str,
    login: &'a str,
    invitation: &'a str,
}

impl Administration {
    /// Where the pages for people take an invitation, if the operator has said where they are. Behind `#`: browsers send that
    /// to nobody, and no log has it.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn invitation_link(&self, invitation: &str) -> Result<Option<String>, AdminError> {
        match self.said_service().await {
            Ok(service) => Ok(service.web.map(|web| format!("https://{web}/join#{invitation}"))),
            Err(AdminError::Conflict(Conflict::ServiceUnsaid)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Invites members who have no password yet to set one, and sends each the invitation: it is told to nobody else. What became
    /// of each, in their order; none may stand in it twice.
    ///
    /// # Errors
    /// [`AdminError`] where it is the same for all, and nothing was sent. Of each: [`Conflict::NotFromHere`] and
    /// [`Conflict::NoSms`] where nothing goes that way, [`AdminError::NotTried`].
    #[pennypost_ports::compiled_here]
    pub async fn send_member_invitations(
        &self,
        call: &Call,
        until: Timestamp,
        wanted: &[(AccountKey, InvitationWay)],
        name: Option<[u8; 32]>,
    ) -> Result<Vec<Result<(), AdminError>>, AdminError> {
        let began = Instant::now();
        let mut prepared = Vec::with_capacity(wanted.len());
        for (key, way) in wanted {
            match self.prepared_invitation(call, *key, until, way).await {
                Err(error) if is_of_all(&error) => return Err(error),
                one => prepared.push(one),
            }
        }
        let (mut ended, mut is_over, mut is_any_sent) = (Vec::with_capacity(wanted.len()), false, false);
        for one in prepared {
            let one = match one {
                Ok(one) => one,
                Err(error) => {
                    ended.push(Err(error));
                    continue;
                }
            };
            if is_over || began.elapsed() > MOST {
                ended.push(Err(AdminError::NotTried));
                continue;
            }
            let sent = self.send_one_invitation(call, &one, until, name).await;
            match &sent {
                Ok(()) => is_any_sent = true,
                Err(AdminError::Sms(SmsError::Unavailable(_))) => is_over = true,
                Err(error) if is_of_all(error) && !is_any_sent => return sent.map(|()| Vec::new()),
                // What was sent before is told all the same.
                Err(error) => is_over = is_of_all(error),
            }
            ended.push(sent);
        }
        Ok(ended)
    }

    /// Everything that can be known before; nothing is written.
    async fn prepared_invitation(
        &self,
        call: &Call,
        key: AccountKey,
        until: Timestamp,
        way: &InvitationWay,
    ) -> Result<Prepared, AdminError> {
        let object = key.account.to_string();
        let about = About::new(Some(key.tenant), Action::MemberInvite, &object);
        let account = self.permitted(call, &about, key).await?;
        self.directory.check_member_invitation(key, until).await?;
        let login = account.address.to_string();
        let (shown, to) = match way {
            InvitationWay::Mail(to) => {
                let address = MailAddress::parse(to).map_err(DirectoryError::from)?;
                // As a recovery address: not his own, which nobody opens yet, nor one that leads to several.
                let place = NoticePlace::at(self.recovery_place(key, &address).await?, key);
                (address.to_string(), To::Address(address.to_string(), place))
            }
            InvitationWay::Sms => {
                self.texting()?;
                let number = MobileNumber::parse(&account.profile.mobile)?;
                (number.masked(), To::Mobile(number))
            }
        };
        Ok(Prepared { key, login, to, shown })
    }

    async fn send_one_invitation(
        &self,
        call: &Call,
        one: &Prepared,
        until: Timestamp,
        name: Option<[u8; 32]>,
    ) -> Result<(), AdminError> {
        let Prepared { key, login, to, shown } = one;
        if let Some(name) = &name
            && self.directory.was_invited_by(*key, name).await?
        {
            return Ok(());
        }
        let after = json!({ "until": until.rfc3339(), "sent_to": shown });
        let about = About::new(Some(key.tenant), Action::MemberInvite, login).to(after);
        let sending = async {
            match to {
                To::Mobile(number) => self.count_text(key.tenant, number, SmsAsker::Administrator).await?,
                To::Address(..) => {
                    if !self.directory.count_invitation_letter(*key).await? {
                        return Err(AdminError::TooManyLetters);
                    }
                }
            }
            let invited = self.directory.invite_by_message(*key, until).await?;
            let sent = self.bring_invitation(one, &invited).await;
            // What is not written down of this leaves the one before good, too.
            let noted = match &sent {
                Ok(()) => self.directory.invitation_was_sent(&invited.text, name).await,
                // Perhaps it was sent.
                Err(AdminError::Sms(SmsError::Unavailable(_))) => Ok(()),
                Err(error) if error.is_temporary() => Ok(()),
                Err(_) => self.directory.take_invitation_back(&invited.text).await,
            };
            if let Err(error) = noted {
                tracing::warn!(account = %key, %error, "what became of an invitation was not written down");
            }
            sent
        };
        self.act(call, &about, sending).await
    }

    /// Hands the invitation to what brings it.
    async fn bring_invitation(&self, one: &Prepared, invited: &MemberInvitation) -> Result<(), AdminError> {
        let Prepared { key, login, to, .. } = one;
        let organisation = self.stored_tenant(key.tenant).await?.name;
        let invitation = self.invitation_link(&invited.text).await?.unwrap_or_else(|| invited.text.clone());
        match to {
            To::Address(to, place) => {
                let letter = Letter { organisation: &organisation, login, invitation: &invitation };
                self.send_invitation(&letter, (to, *place), invited.until).await
            }
            To::Mobile(number) => {
                let (organisation, login) = (organisation.as_str(), login.as_str());
                let shown = invitation.as_str();
                let text = both(
                    |text| {
                        say!(
                            text,
                            "sms-invitation",
                            organisation = organisation,
                            login = login,
                            invitation = shown
                        )
                    },
                    " ",
                );
                let values = BTreeMap::from([
                    ("organisation", organisation.to_owned()),
                    ("address", login.to_owned()),
                    ("invitation", invitation.clone()),
                ]);
                self.text(key.tenant, number, &SaidBySms { kind: "invitation", text, values }).await
            }
        }
    }

    async fn send_invitation(
        &self,
        letter: &Letter<'_>,
        (to, place): (&str, NoticePlace),
        until: Timestamp,
    ) -> Result<(), AdminError> {
        let Letter { organisation, login, invitation } = *letter;
        let subject =
            both(|text| say!(text, "letter-invitation-subject", organisation = organisation), " / ");
        let until = until.rfc5322();
        let body = both(
            |text| {
                let until = until.as_str();
                say!(
                    text,
                    "letter-invitation",
                    organisation = organisation,
                    login = login,
                    invitation = invitation,
                    until = until
                )
            },
            "\n\n",
        );
        let domain = login.rsplit('@').next().unwrap_or_default();
        let notice = Notice { domain, to, place, subject: &subject, text: &body };
        match self.send_notice(&notice).await? {
            NoticeSent::Sent => Ok(()),
            NoticeSent::Unsent => Err(AdminError::Conflict(Conflict::NotFromHere)),
        }
    }
}
