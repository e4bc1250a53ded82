//! What goes to members elsewhere of groups: for each an item of his own, since the reverse-path and what he leaves by are his.

use pennypost_directory::{MailAddress, is_of_dead_address, list_id, list_post};
use pennypost_domains::Service;
use pennypost_model::codec;
use pennypost_model::event::GroupElsewhere;
use pennypost_model::trace::{Attempt, RemoteOutcome, RemoteRecipient};
use pennypost_outbound::{Outbound, OutboxError};
use pennypost_ports::{Consistency, PortError};
use pennypost_runtime::Failure;

use crate::{SendRemote, port_failure};

/// A member elsewhere of a group, to whom a message goes.
pub(crate) struct ToFriend {
    group: String,
    pub(crate) address: String,
    pub(crate) reverse_path: String,
    leave: String,
}

impl ToFriend {
    /// All of these groups, in their order.
    pub(crate) fn all(groups: &[GroupElsewhere]) -> impl Iterator<Item = ToFriend> {
        groups.iter().flat_map(|group| {
            group.members.iter().map(|member| ToFriend {
                group: group.address.clone(),
                address: member.address.clone(),
                reverse_path: member.reverse_path.clone(),
                leave: member.leave.clone(),
            })
        })
    }

    /// The fields of a list (RFC 2369, RFC 2919, RFC 8058); `pages` is the host of the pages for people.
    pub(crate) fn fields(&self, pages: Option<&str>) -> Vec<u8> {
        let Ok(group) = MailAddress::parse(&self.group) else { return Vec::new() };
        let mut fields = format!(
            "List-Id: {}\r\nList-Owner: <mailto:postmaster@{}>\r\nPrecedence: list\r\n",
            list_id(&group),
            group.domain()
        );
        if let Some(post) = list_post(&group) {
            fields.push_str(&format!("List-Post: {post}\r\n"));
        }
        if let Some(host) = pages {
            let leave = &self.leave;
            fields.push_str(&format!(
                "List-Unsubscribe: <https://{host}/friends/{leave}>\r\n\
                 List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
            ));
        }
        fields.into_bytes()
    }
}

impl SendRemote {
    /// The host of the pages for people, if the operator has said it.
    pub(crate) async fn pages(&self) -> Result<Option<String>, Failure> {
        let found = self.0.ports.control.get(&Service::key(), Consistency::Eventual).await;
        let Some(item) = found.map_err(|error| port_failure(&error))? else { return Ok(None) };
        let service: Service = codec::decode(&item.value).map_err(|error| Failure::permanent(&error))?;
        Ok(service.web)
    }

    /// What came to nothing for good at a friend's counts: he is left alone in the end.
    pub(crate) async fn note_failure(&self, item: &Outbound, attempt: &Attempt) -> Result<(), OutboxError> {
        for RemoteRecipient { address, outcome, answer } in &attempt.recipients {
            // What never was at a server says nothing of the address, nor does what a server has against us or the letter.
            let is_servers = answer.code.is_some() || answer.status == pennypost_reports::EXPIRED;
            let is_addresss = is_servers && is_of_dead_address(&answer.status);
            if *outcome != RemoteOutcome::Failed || !is_addresss {
                continue;
            }
            let Ok(address) = MailAddress::parse(address) else { continue };
            let noted = self.0.directory.friend_failed(item.tenant, &address, item.accepted).await;
            let is_over = noted.map_err(|error| match error.is_temporary() {
                true => PortError::Unavailable { port: "control", cause: error.to_string() },
                false => PortError::Damaged { port: "control", cause: error.to_string() },
            })?;
            if is_over {
                let (tenant, message) = (item.tenant, item.message);
                tracing::info!(%tenant, %message, "nothing goes to a member elsewhere of groups any more");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(group: &str, pages: Option<&str>) -> String {
        let friend = ToFriend {
            group: group.to_owned(),
            address: "bea@far.example".to_owned(),
            reverse_path: String::new(),
            leave: "ppl_x".to_owned(),
        };
        String::from_utf8(friend.fields(pages)).expect("text")
    }

    #[test]
    fn fields_of_a_list_are_what_programs_read() {
        let all = fields("all@acme.example", Some("mail.acme.example"));
        assert_eq!(
            all,
            "List-Id: <all.acme.example>\r\nList-Owner: <mailto:postmaster@acme.example>\r\nPrecedence: list\r\n\
             List-Post: <mailto:all@acme.example>\r\n\
             List-Unsubscribe: <https://mail.acme.example/friends/ppl_x>\r\n\
             List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        );
        assert!(!fields("all@acme.example", None).contains("Unsubscribe"));
        assert!(fields("r&d@acme.example", None).contains("List-Post: <mailto:r%26d@acme.example>"));
        let unicode = fields("用户@acme.example", None);
        assert!(unicode.is_ascii() && unicode.contains(".acme.example>") && !unicode.contains("List-Post"));
    }
}
