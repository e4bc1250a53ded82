//! `pennypost account …` and `pennypost tenant …`: with whom accounts exchange mail, and what the operator blocks.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use pennypost_admin::Action;
use pennypost_directory::{Block, Blockable, MailReach};
use serde_json::{Value, json};

use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Subcommands of `account` about what it may do with mail.
#[derive(Debug, Subcommand)]
pub enum LimitCommand {
    /// Say to whom an account may send, and from whom it takes mail: anyone, inside, nobody
    #[command(
        after_help = "Examples:\n  pennypost account permit intern@example.com --send inside --receive inside\n  \
        pennypost account permit intern@example.com --send anyone"
    )]
    Permit {
        /// Its address
        address: String,
        /// To whom it may send
        #[arg(long, required_unless_present = "receive")]
        send: Option<MailReach>,
        /// From whom it takes mail
        #[arg(long)]
        receive: Option<MailReach>,
    },
    /// Block functions of an account as the operator, or open all of them again
    #[command(
        after_help = "Examples:\n  pennypost account block alice@example.com --function sending --reason spam\n  \
        pennypost account block alice@example.com --nothing"
    )]
    Block {
        /// Its address
        address: String,
        /// What is blocked
        #[command(flatten)]
        block: BlockArgs,
    },
}

/// What is blocked.
#[derive(Debug, Args)]
pub struct BlockArgs {
    /// A function, may be given several times: sending, receiving-from-outside, mail-programs; of a tenant also functions of
    /// plans
    #[arg(long, required_unless_present = "nothing")]
    pub function: Vec<Blockable>,
    /// Why, for administrators
    #[arg(long, required_unless_present = "nothing")]
    pub reason: Option<String>,
    /// Nothing is blocked any more
    #[arg(long, conflicts_with_all = ["function", "reason"])]
    pub nothing: bool,
}

impl BlockArgs {
    /// Blocks what is named of an account, or of a tenant.
    pub(crate) fn block(&self, context: &AdminContext<'_>) -> Result<Option<Block>, AdminError> {
        let functions: BTreeSet<Blockable> = self.function.iter().copied().collect();
        Ok(context.directory.block(functions, self.reason.as_deref().unwrap_or_default())?)
    }
}

/// What is blocked, for programs and for the log.
pub(crate) fn document(block: Option<&Block>) -> Value {
    let names = block.iter().flat_map(|block| block.names());
    json!({ "blocked": names.collect::<Vec<_>>(), "reason": block.map(|block| block.reason.as_str()) })
}

/// Says what is blocked of whom.
pub(crate) fn told(context: &AdminContext<'_>, whose: &str, block: Option<&Block>) -> Result<(), AdminError> {
    let mut told = document(block);
    told["of"] = whose.into();
    let sentence = match block {
        Some(block) => {
            let names: Vec<&str> = block.names().collect();
            say!(context.text, "functions-blocked", of = whose, functions = names.join(", "))
        }
        None => say!(context.text, "functions-open", of = whose),
    };
    context.print(&sentence, &told)
}

impl LimitCommand {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn run(&self, context: &AdminContext<'_>) -> Result<(), AdminError> {
        let directory = &context.directory;
        match self {
            LimitCommand::Permit { address, send, receive } => {
                let account = context.account(address).await?;
                let mut mail = account.mail;
                (mail.send, mail.receive) = (send.unwrap_or(mail.send), receive.unwrap_or(mail.receive));
                let changing = async {
                    match directory.change_mail_permission(account.key, account.mail, mail).await? {
                        true => Ok(()),
                        false => Err(pennypost_directory::DirectoryError::Contended),
                    }
                };
                let after = json!({ "send": mail.send.name(), "receive": mail.receive.name() });
                let action = Action::AccountMailChange;
                context.recorded_of(&account, action, after.clone(), changing).await?;
                let (send, receive) = (mail.send.name(), mail.receive.name());
                let sentence = say!(
                    context.text,
                    "account-permitted",
                    address = address,
                    send = send,
                    receive = receive
                );
                let mut document = after;
                document["address"] = address.as_str().into();
                context.print(&sentence, &document)
            }
            LimitCommand::Block { address, block } => {
                let account = context.account(address).await?;
                let block = block.block(context)?;
                if let Some(of_tenants) =
                    block.iter().flat_map(|block| &block.functions).find(|it| !it.is_of_accounts())
                {
                    let name = of_tenants.name();
                    return Err(AdminError::Said(say!(context.text, "function-of-tenants", function = name)));
                }
                let blocking = directory.set_account_block(account.key, block.clone());
                let after = document(block.as_ref());
                context.recorded_of(&account, Action::AccountBlock, after, blocking).await?;
                told(context, address, block.as_ref())
            }
        }
    }
}
