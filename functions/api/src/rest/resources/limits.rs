//! With whom accounts exchange mail, and single functions that the operator blocks.

use std::collections::BTreeSet;

use pennypost_admin::Action;
use pennypost_directory::{BadNameForm, Blockable, MailPermission, MailReach, NameForm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rest::operation::{Good, Method, Operation, shape};
use crate::rest::problem::details::{bad_form, no_function};
use crate::rest::problem::{Kind, Refusal};
use crate::rest::reply::Reply;

/// With whom mail is exchanged in one direction.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "MailReach")]
pub(crate) enum Reach {
    /// Everybody.
    #[default]
    Anyone,
    /// Members of the same organisation.
    Inside,
    /// Nobody.
    Nobody,
}

/// With whom an account exchanges mail.
#[derive(Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MailPermission")]
pub(crate) struct Permission {
    /// To whom its owner may send.
    #[serde(default)]
    send: Reach,
    /// From whom it takes mail. `postmaster` takes it from everybody.
    #[serde(default)]
    receive: Reach,
}

/// Functions that the operator has blocked.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Block {
    /// `sending`, `receiving-from-outside`, `mail-programs`; of a tenant also functions of plans.
    functions: Vec<String>,
    /// Why; null where nothing is blocked.
    reason: Option<String>,
    /// Since when it is so.
    since: Option<String>,
}

/// Functions that are to be blocked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBlock {
    /// These, and no others; none: all are open again.
    functions: Vec<String>,
    /// Why: 1 to 500 characters, which administrators read.
    #[serde(default)]
    reason: String,
}

/// Whose names members' letters bear.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Names {
    /// Those that administrators have given, whatever mail programs say in From; if not, what they say.
    unified: bool,
    /// In which form they are written then: text with `{name}`, and if wished with `{department}`, `{title}` and
    /// `{organisation}`, such as `{name} ({department})`. Brackets around what is not known fall away. Null: the name alone.
    #[serde(default)]
    form: Option<String>,
}

/// What a member wants to be called in letters.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Nickname {
    /// May be empty: then what the mail program says is told.
    nickname: String,
    /// Administrators give the names: the nickname is not told, and cannot be changed.
    locked: bool,
}

/// What a member wants to be called from now on.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNickname {
    /// 50 characters at most, without `@`; empty: nothing.
    nickname: String,
}

fn show_names(names: &pennypost_admin::Names) -> Names {
    Names { unified: names.unified, form: names.form.as_ref().map(ToString::to_string) }
}

fn names_meant(names: &Names) -> Result<pennypost_admin::Names, Refusal> {
    let wrong = |error: BadNameForm| {
        let detail = bad_form(&error);
        Refusal::new(Kind::Invalid, detail.clone()).at("/form".to_owned(), detail)
    };
    let form = names.form.as_deref().map(|form| form.parse::<NameForm>().map_err(wrong)).transpose()?;
    Ok(pennypost_admin::Names { unified: names.unified, form })
}

const fn reach(reach: MailReach) -> Reach {
    match reach {
        MailReach::Anyone => Reach::Anyone,
        MailReach::Inside => Reach::Inside,
        MailReach::Nobody => Reach::Nobody,
    }
}

const fn reach_meant(reach: Reach) -> MailReach {
    match reach {
        Reach::Anyone => MailReach::Anyone,
        Reach::Inside => MailReach::Inside,
        Reach::Nobody => MailReach::Nobody,
    }
}

pub(super) const fn show_permission(permission: MailPermission) -> Permission {
    Permission { send: reach(permission.send), receive: reach(permission.receive) }
}

pub(super) const fn permission_meant(permission: Permission) -> MailPermission {
    MailPermission { send: reach_meant(permission.send), receive: reach_meant(permission.receive) }
}

fn show_block(block: Option<pennypost_directory::Block>) -> Block {
    let Some(block) = block else { return Block { functions: Vec::new(), reason: None, since: None } };
    Block {
        functions: block.names().map(str::to_owned).collect(),
        reason: Some(block.reason),
        since: Some(block.since.rfc3339()),
    }
}

fn functions_meant(names: &[String]) -> Result<BTreeSet<Blockable>, Refusal> {
    let each = names.iter().enumerate().map(|(number, name)| {
        name.parse::<Blockable>().map_err(|error| {
            let detail = no_function(&error);
            Refusal::new(Kind::Invalid, detail.clone()).at(format!("/functions/{number}"), detail)
        })
    });
    each.collect()
}

pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/mail-permission", "read-mail-permission"),
        Action::AccountRead,
        "With whom an account exchanges mail",
        Good::one(shape::<Permission>),
        |ask| {
            Box::pin(async move {
                let account = ask.administration.account(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&show_permission(account.mail)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/mail-permission", "change-mail-permission"),
        Action::AccountMailChange,
        "Say with whom an account exchanges mail",
        Good::one(shape::<Permission>),
        |ask| {
            Box::pin(async move {
                let permission: Permission = ask.body()?;
                let key = ask.account()?;
                let action = Action::AccountMailChange;
                let seen = ask.administration.account_for(action, &ask.call, key).await?.mail;
                ask.must_match(&show_permission(seen))?;
                let permission = permission_meant(permission);
                let changed = ask.administration.change_mail_permission(&ask.call, key, seen, permission);
                Ok(Reply::tagged(&show_permission(changed.await?.mail)))
            })
        },
    )
    .with(shape::<Permission>)
    .update(),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/names", "read-names"),
        Action::NamesRead,
        "Whose names members' letters bear",
        Good::one(shape::<Names>),
        |ask| {
            Box::pin(async move {
                let names = ask.administration.names(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show_names(&names)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/names", "change-names"),
        Action::NamesChange,
        "Say whether members' letters bear the names that administrators have given, and in which form, or what mail programs say",
        Good::one(shape::<Names>),
        |ask| {
            Box::pin(async move {
                let (tenant, names): (_, Names) = (ask.tenant()?, ask.body()?);
                let names = names_meant(&names)?;
                let seen = ask.administration.names(&ask.call, tenant).await?;
                ask.must_match(&show_names(&seen))?;
                ask.administration.change_names(&ask.call, tenant, &seen, &names).await?;
                Ok(Reply::tagged(&show_names(&names)))
            })
        },
    )
    .with(shape::<Names>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/block", "read-tenant-block"),
        Action::TenantRead,
        "Which functions of the tenant the operator has blocked, and why",
        Good::one(shape::<Block>),
        |ask| {
            Box::pin(async move {
                let tenant = ask.administration.tenant(&ask.call, ask.tenant()?).await?;
                Ok(Reply::tagged(&show_block(tenant.block)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/block", "block-tenant"),
        Action::TenantBlock,
        "As the operator: block functions of the tenant, or open them again",
        Good::one(shape::<Block>),
        |ask| {
            Box::pin(async move {
                let NewBlock { functions, reason } = ask.body()?;
                let (tenant, functions) = (ask.tenant()?, functions_meant(&functions)?);
                let it = &ask.administration;
                let seen = it.tenant(&ask.call, tenant).await?.block;
                ask.must_match(&show_block(seen.clone()))?;
                let blocked = it.block_tenant(&ask.call, tenant, seen.as_ref(), functions, &reason).await?;
                Ok(Reply::tagged(&show_block(blocked.block)))
            })
        },
    )
    .with(shape::<NewBlock>)
    .update()
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/block", "read-account-block"),
        Action::AccountRead,
        "Which functions of the account the operator has blocked, and why",
        Good::told(shape::<Block>),
        |ask| {
            Box::pin(async move {
                let account = ask.administration.account(&ask.call, ask.account()?).await?;
                Ok(Reply::document(&show_block(account.block)))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/block", "block-account"),
        Action::AccountBlock,
        "As the operator: block functions of an account, or open them again",
        Good::told(shape::<Block>),
        |ask| {
            Box::pin(async move {
                let NewBlock { functions, reason } = ask.body()?;
                let (key, functions) = (ask.account()?, functions_meant(&functions)?);
                let blocked = ask.administration.block_account(&ask.call, key, functions, &reason).await?;
                Ok(Reply::document(&show_block(blocked.block)))
            })
        },
    )
    .with(shape::<NewBlock>)
    .refusing(&[Kind::Invalid]),
    Operation::new(
        (Method::Get, "/tenants/{tenant}/accounts/{account}/nickname", "read-nickname"),
        Action::NicknameRead,
        "What a member wants to be called in letters",
        Good::one(shape::<Nickname>),
        |ask| {
            Box::pin(async move {
                let (nickname, locked) = ask.administration.nickname(&ask.call, ask.account()?).await?;
                Ok(Reply::tagged(&Nickname { nickname, locked }))
            })
        },
    ),
    Operation::new(
        (Method::Put, "/tenants/{tenant}/accounts/{account}/nickname", "change-nickname"),
        Action::NicknameChange,
        "Say in a session what one wants to be called in letters, where administrators do not give the names",
        Good::one(shape::<Nickname>),
        |ask| {
            Box::pin(async move {
                let (NewNickname { nickname: wished }, account) = (ask.body()?, ask.account()?);
                let (nickname, locked) = ask.administration.nickname(&ask.call, account).await?;
                ask.must_match(&Nickname { nickname: nickname.clone(), locked })?;
                let changed =
                    ask.administration.change_nickname(&ask.call, account, &nickname, &wished).await?;
                Ok(Reply::tagged(&Nickname { nickname: changed, locked }))
            })
        },
    )
    .with(shape::<NewNickname>)
    .update()
    .refusing(&[Kind::Invalid]),
];
