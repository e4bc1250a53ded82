//! What exactly is wrong, in both languages; and what the errors of administration are as problems.

use pennypost_admin::{AdminError, Conflict, Invalid, Why};
use pennypost_directory::{DirectoryError, Kind as DirectoryKind, PolicyError};

use crate::language::Language;
use crate::rest::problem::{Kind, Refusal};

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    english: String,
    chinese: String,
}

impl Detail {
    pub(crate) fn say(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
            Language::Chinese => &self.chinese,
        }
    }
}

pub(crate) fn both(english: impl Into<String>, chinese: impl Into<String>) -> Detail {
    Detail { english: english.into(), chinese: chinese.into() }
}

/// At most so much of what somebody wrote is said back.
fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

pub(crate) fn no_such(what: &str) -> Detail {
    let chinese = match what {
        "tenant" => "租户",
        "domain" => "域名",
        "account" => "账号",
        "token" => "客户端专用密码",
        "alias" => "别名",
        "group" => "邮件群组",
        "role" => "角色",
        "key" => "密钥",
        _ => "对象",
    };
    both(format!("there is no such {what} here"), format!("此处没有该{chinese}"))
}

/// What a reader of JSON says.
pub(crate) fn of_reader(error: &serde_json::Error) -> Detail {
    let english = short(&error.to_string());
    let chinese = match english.as_str() {
        text if text.starts_with("unknown field") => "未知的字段",
        text if text.starts_with("missing field") => "缺少必需的字段",
        text if text.starts_with("duplicate field") => "字段重复",
        text if text.starts_with("unknown variant") => "不是可用的取值",
        _ if error.is_data() => "取值的类型或范围不正确",
        _ => "不是有效的 JSON",
    };
    both(english, chinese)
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Refusal {
        use DirectoryError as E;
        let invalid = |detail| Refusal::new(Kind::Invalid, detail);
        let unknown = |detail| Refusal::new(Kind::Unknown, detail);
        let taken = |detail| Refusal::new(Kind::Taken, detail);
        match &error {
            E::Port(port)
                if !port.is_temporary() && !matches!(port, pennypost_ports::PortError::Refused { .. }) =>
            {
                tracing::error!(%error, "damaged");
                Kind::Damaged.into()
            }
            E::Port(pennypost_ports::PortError::Refused { .. }) => {
                invalid(both("too long for the store", "内容过长，无法存储"))
            }
            E::Item(_) => {
                tracing::error!(%error, "damaged");
                Kind::Damaged.into()
            }
            E::Port(_) | E::Contended | E::Busy => {
                tracing::warn!(%error, "not now");
                Kind::Unavailable.into()
            }
            E::Address(_) | E::Policy(PolicyError::Address(_)) => {
                invalid(both(short(&error.to_string()), "邮件地址或域名无效"))
            }
            E::UnsuitableAddress { address } => invalid(both(
                format!(
                    "{} can't be given away: letters, digits, dots and hyphens before the @, and no +",
                    short(address)
                ),
                format!("{} 不能作为地址：@ 之前只能使用字母、数字、点和连字符", short(address)),
            )),
            E::Policy(PolicyError::ListFull { limit }) => {
                invalid(both(format!("a list holds at most {limit} entries"), format!("名单最多 {limit} 条")))
            }
            E::Policy(PolicyError::Keyword { limit }) => invalid(both(
                format!("a keyword has 1 to {limit} characters and no control characters"),
                format!("关键词须为 1 至 {limit} 个字符，且不含控制字符"),
            )),
            E::Name { limit } => invalid(name(*limit)),
            E::Password { min, max } => invalid(both(
                format!(
                    "a password has at least {min} characters, at most {max} bytes and no control characters"
                ),
                format!("密码至少 {min} 个字符，最多 {max} 字节，且不含控制字符"),
            )),
            E::NoTenant(_) => Refusal::new(Kind::NotFound, no_such("tenant")),
            E::NoDomain(_) => unknown(both("the tenant has no such domain", "该租户没有这个域名")),
            // Of another tenant's nobody learns that they are there.
            E::NoAccount(_) | E::OtherTenant(_) => unknown(both(
                "an address that is named is none of the tenant's",
                "所列地址中有不属于该租户的地址",
            )),
            E::NoAlias(_) => Refusal::new(Kind::NotFound, no_such("alias")),
            E::NoGroup(_) => Refusal::new(Kind::NotFound, no_such("group")),
            E::TenantTaken(_) => taken(both("there is a tenant of that name", "已有同名的租户")),
            E::DomainTaken(_) => taken(both("the domain is taken", "该域名已被使用")),
            E::AddressTaken(_) => {
                taken(both("an account, alias or group has that address", "该地址已被账号、别名或群组使用"))
            }
            E::NoTargets => invalid(both("at least one target is needed", "至少需要一个目标地址")),
            E::TooMany { limit, .. } => invalid(too_many(*limit)),
            E::GroupCycle(_) => invalid(both("the group would contain itself", "群组不能包含自身")),
            E::GroupDepth { limit } => invalid(both(
                format!("groups may lie in groups up to {limit} levels deep"),
                format!("群组最多嵌套 {limit} 层"),
            )),
            other => {
                let english = short(&other.to_string());
                match other.kind() {
                    DirectoryKind::NotFound => unknown(both(english, "引用的对象不存在")),
                    DirectoryKind::Conflict => {
                        Refusal::new(Kind::OtherState, both(english, "当前状态下不允许"))
                    }
                    DirectoryKind::Invalid => invalid(both(english, "内容不符合要求")),
                    DirectoryKind::Temporary => Kind::Unavailable.into(),
                    DirectoryKind::Damaged => Kind::Damaged.into(),
                }
            }
        }
    }
}

fn name(limit: usize) -> Detail {
    both(
        format!("a name has 1 to {limit} characters and no control characters"),
        format!("名称须为 1 至 {limit} 个字符，且不含控制字符"),
    )
}

fn too_many(limit: usize) -> Detail {
    both(format!("there may be {limit} at most"), format!("最多 {limit} 个"))
}

impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Refusal {
        let invalid = |detail| Refusal::new(Kind::Invalid, detail);
        match error {
            AdminError::NotFound(what) => Refusal::new(Kind::NotFound, no_such(what)),
            AdminError::Denied(Why::NoPermission) => Refusal::new(
                Kind::NoPermission,
                both("neither a role nor the key gives it", "您的角色或密钥未授予该权限"),
            ),
            AdminError::Denied(Why::OutOfReach) => Refusal::new(
                Kind::OutOfReach,
                both("your roles reach other departments only", "您的角色只管理其他部门"),
            ),
            AdminError::Denied(Why::Above) => Refusal::new(
                Kind::AboveActor,
                both(
                    "nobody gives what he has not, or changes the credentials of somebody above him",
                    "不能授予自己没有的权限，也不能更改权限高于自己的人的凭据",
                ),
            ),
            AdminError::Changed => Kind::Changed.into(),
            AdminError::Conflict(Conflict::RoleTaken) => {
                Refusal::new(Kind::Taken, both("there is a role of that name", "已有同名的角色"))
            }
            AdminError::Conflict(Conflict::RoleHeld) => {
                Refusal::new(Kind::Held, both("somebody holds the role", "仍有人拥有该角色"))
            }
            AdminError::Invalid(Invalid::Name { limit }) => invalid(name(limit)),
            AdminError::Invalid(Invalid::Permissions) => invalid(both(
                "name at least one permission; those of the installation are for operators",
                "至少需要一项权限；installation 权限仅限运营者",
            )),
            AdminError::Invalid(Invalid::NoRole) => {
                Refusal::new(Kind::Unknown, both("there is no such role", "没有该角色"))
            }
            AdminError::Invalid(Invalid::NoAccount) => {
                Refusal::new(Kind::Unknown, both("the tenant has no such account", "该租户没有这个账号"))
            }
            AdminError::Invalid(Invalid::TooMany { limit }) => invalid(too_many(limit)),
            AdminError::Invalid(Invalid::Past) => invalid(both("the end lies in the past", "到期时间已过")),
            AdminError::Directory(error) => error.into(),
        }
    }
}

pub(crate) fn no_object() -> Detail {
    both("the body has to be a JSON object", "请求内容必须是 JSON 对象")
}

pub(crate) fn unknown_parameter(name: &str) -> Detail {
    both(format!("there is no parameter {}", short(name)), format!("没有参数 {}", short(name)))
}

pub(crate) fn bad_parameter(name: &str) -> Detail {
    both(format!("{name} has a value that it can't have"), format!("参数 {name} 的取值无效"))
}

pub(crate) fn no_permission(text: &str) -> Detail {
    both(
        format!("{} is no permission: write AREA:read or AREA:write", short(text)),
        format!("{} 不是权限名：应为“范围:read”或“范围:write”", short(text)),
    )
}

pub(crate) fn bad_time() -> Detail {
    both("no time: write it as 2027-01-31T12:00:00Z", "时间无效：应写作 2027-01-31T12:00:00Z")
}

pub(crate) fn bad_id() -> Detail {
    both("no id: it has 16 hex digits", "编号无效：应为 16 位十六进制数字")
}
