//! What exactly is wrong, in both languages; and what the errors of administration are as problems.

use pennypost_admin::{AdminError, Conflict, Invalid, NotSignedIn, Why};
use pennypost_directory::{
    DirectoryError, InvitationEnd, Kind as DirectoryKind, NetworkError, NoFunction, NoSeat, PolicyError,
    SignInError, SignInRulesError,
};
use pennypost_text::{Lang, Text};

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
        "department" => "部门",
        "tag" => "标签",
        "task" => "任务",
        "mailbox" => "业务邮箱",
        "user" => "使用者",
        "secretary" => "秘书",
        "owner" => "邮箱主人",
        "session" => "登录会话",
        "request" => "待确认的操作",
        "letter" => "邮件",
        "invitation" => "邀请",
        "application" => "加入申请",
        _ => "对象",
    };
    both(format!("there is no such {what} here"), format!("此处没有该{chinese}"))
}

/// What a reader of JSON has put between its quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

/// The field that a reader of JSON says is missing.
pub(crate) fn missing_field(text: &str) -> Option<&str> {
    text.strip_prefix("missing field").and_then(quoted)
}

/// What a reader of JSON says.
pub(crate) fn of_reader(error: &serde_json::Error) -> Detail {
    let english = short(&error.to_string());
    let named = |chinese: &str| match quoted(&english) {
        Some(name) => format!("{chinese} {name}"),
        None => chinese.to_owned(),
    };
    let chinese = match english.as_str() {
        text if text.starts_with("unknown field") => named("未知的字段"),
        text if text.starts_with("missing field") => named("缺少必需的字段"),
        text if text.starts_with("duplicate field") => named("字段重复："),
        text if text.starts_with("unknown variant") => "不是可用的取值".to_owned(),
        _ if error.is_data() => "取值的类型或范围不正确".to_owned(),
        _ => "不是有效的 JSON".to_owned(),
    };
    both(english, chinese)
}

fn sign_in_rules(error: &SignInRulesError) -> Detail {
    let chinese = match error {
        SignInRulesError::Range { name, least, most } => format!("{name} 须在 {least} 至 {most} 之间"),
        SignInRulesError::TooMany { name, limit } => format!("{name} 最多 {limit} 条"),
        SignInRulesError::LetsNobodyIn => "该规则不允许任何地址登录".to_owned(),
    };
    both(error.to_string(), chinese)
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
            E::NoSeat(why) => Refusal::new(Kind::PlanLimit, both(short(&why.to_string()), no_seat(why))),
            E::PlanTerm => {
                invalid(both("the end has to be later than the beginning", "到期时间须晚于起始时间"))
            }
            E::Password(weakness) => invalid(both(weakness.to_string(), weakness.chinese())),
            E::SignInRules(error) => invalid(sign_in_rules(error)),
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
            other => of_organisation(other),
        }
    }
}

fn no_seat(why: &NoSeat) -> String {
    match why {
        NoSeat::Members { seats } => format!("套餐的 {seats} 个账号名额已用完"),
        NoSeat::Vip { seats, by_business } => {
            format!("套餐的 {seats} 个 VIP 名额已用完，其中 {by_business} 个由业务邮箱占用")
        }
        NoSeat::Business { allowed } => format!("套餐目前最多允许 {allowed} 个业务邮箱"),
        NoSeat::NoPlan => "该租户没有套餐，因此没有 VIP 名额".to_owned(),
        NoSeat::NotVip(who) => format!("{} 不是 VIP：只有 VIP 成员的邮箱可以转为业务邮箱", short(who)),
    }
}

pub(crate) fn no_function(error: &NoFunction) -> Detail {
    both(error.to_string(), format!("没有功能 {}", error.0))
}

/// What is wrong about departments, people and the recycle bin.
fn of_organisation(error: &DirectoryError) -> Refusal {
    use DirectoryError as E;
    let english = short(&error.to_string());
    let (kind, chinese) = match error {
        E::NoMember(who) => (Kind::Unknown, format!("{} 不是该群组的成员", short(who))),
        E::NoDepartment(id) => (Kind::Unknown, format!("没有部门 {}", short(id))),
        E::NoTag(name) => (Kind::Unknown, format!("没有标签 {}", short(name))),
        E::DepartmentTaken(name) => (Kind::Taken, format!("同级已有名为“{}”的部门", short(name))),
        E::TagTaken(name) => (Kind::Taken, format!("已有名为“{}”的标签", short(name))),
        E::DepartmentNotEmpty(name) => (Kind::Held, format!("部门“{}”中还有成员或子部门", short(name))),
        E::DepartmentName { limit } => {
            (Kind::Invalid, format!("部门名称须为 1 至 {limit} 个字符，不含控制字符和 /，且不以 # 开头"))
        }
        E::DepartmentDepth { limit } => (Kind::Invalid, format!("部门最多 {limit} 级")),
        E::DepartmentCycle(name) => (Kind::Invalid, format!("部门“{}”不能移到自身之下", short(name))),
        E::Field { name, limit } => {
            (Kind::Invalid, format!("字段 {name} 最多 {limit} 个字符，且只能使用允许的字符"))
        }
        E::InBin(who) => (Kind::OtherState, format!("{} 在回收站中", short(who))),
        E::NotInBin(who) => (Kind::OtherState, format!("{} 不在回收站中", short(who))),
        E::BinOver(who) => (Kind::OtherState, format!("{} 在回收站中的保留期已过", short(who))),
        E::WrongKind(who) => (Kind::OtherState, format!("{} 这类账号不能进行该操作", short(who))),
        E::SecretaryCycle(who) => (Kind::Invalid, format!("{} 会直接或间接成为自己的秘书", short(who))),
        E::NoInvitation => return Refusal::new(Kind::NotFound, no_such("invitation")),
        E::NoApplication(_) => return Refusal::new(Kind::NotFound, no_such("application")),
        E::InvitationOver(end) => (Kind::OtherState, invitation_end(*end).to_owned()),
        E::InvitationTerms => (Kind::Invalid, "邀请可用 1 至 1000 次，有效期最长 90 天".to_owned()),
        E::JoiningDomain => (Kind::Invalid, "请指定新成员使用的域名".to_owned()),
        E::AddressFixed(who) => {
            (Kind::OtherState, format!("{} 不是部门群组的地址，或该地址已修改过一次", short(who)))
        }
        E::Decided(who) => (Kind::OtherState, format!("地址 {} 的申请已处理，不能再次处理", short(who))),
        E::AlreadyJoined(who) => {
            (Kind::OtherState, format!("{} 不需要邀请：已设置密码，或该账号不能设置密码", short(who)))
        }
        E::GroupFollows => (Kind::OtherState, "该群组的名称和成员随部门变化，不能单独修改".to_owned()),
        other => return of_kind(other, english),
    };
    Refusal::new(kind, both(english, chinese))
}

const fn invitation_end(end: InvitationEnd) -> &'static str {
    match end {
        InvitationEnd::Closed => "该组织未开放邀请加入",
        InvitationEnd::Past => "邀请已过期",
        InvitationEnd::Revoked => "邀请已被撤销",
        InvitationEnd::UsedUp => "邀请的可用次数已用完",
    }
}

/// What nothing more exact is said of.
fn of_kind(error: &DirectoryError, english: String) -> Refusal {
    match error.kind() {
        DirectoryKind::NotFound => Refusal::new(Kind::Unknown, both(english, "引用的对象不存在")),
        DirectoryKind::Conflict => Refusal::new(Kind::OtherState, both(english, "当前状态下不允许")),
        DirectoryKind::Invalid => Refusal::new(Kind::Invalid, both(english, "内容不符合要求")),
        DirectoryKind::Temporary => Kind::Unavailable.into(),
        DirectoryKind::Damaged => Kind::Damaged.into(),
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
            AdminError::Denied(Why::Unconfirmed) => Refusal::new(
                Kind::ConfirmationNeeded,
                both(
                    "show the second factor in this session (or sign in again), or use a key with dangerous:write",
                    "请在本次会话中完成二次验证（或重新登录），或使用具有 dangerous:write 权限的密钥",
                ),
            ),
            AdminError::Denied(Why::NoFactor) => Refusal::new(
                Kind::FactorMissing,
                both("the organisation wants one of you", "您的组织要求您启用二次验证"),
            ),
            AdminError::Denied(Why::PasswordOver) => Kind::PasswordOver.into(),
            AdminError::NeedsSecond => Kind::SecondNeeded.into(),
            AdminError::Code(error) => of_code(&error),
            AdminError::Changed => Kind::Changed.into(),
            AdminError::Conflict(Conflict::RoleTaken) => {
                Refusal::new(Kind::Taken, both("there is a role of that name", "已有同名的角色"))
            }
            AdminError::Conflict(Conflict::RoleHeld) => {
                Refusal::new(Kind::Held, both("somebody holds the role", "仍有人拥有该角色"))
            }
            AdminError::Conflict(Conflict::ExcludesYou) => Refusal::new(
                Kind::OtherState,
                both(
                    "the rule would not let you in from where you are: change it, or say force=true",
                    "该规则会使您无法从当前地址登录：请修改规则，或使用 force=true 强制保存",
                ),
            ),
            AdminError::Conflict(Conflict::NoRecord) => {
                Refusal::new(Kind::OtherState, both("sign-ins are not recorded here", "此处不保存登录记录"))
            }
            AdminError::Conflict(Conflict::Forced) => Refusal::new(
                Kind::OtherState,
                both("an administrator has turned secure sign-in on", "管理员已强制开启安全登录"),
            ),
            AdminError::OldPassword(SignInError::TooManyFailures { retry_after }) => {
                let seconds = retry_after.as_secs().max(1);
                Refusal { retry_after: Some(seconds), ..Refusal::from(Kind::TooManyRequests) }
            }
            AdminError::OldPassword(SignInError::Unavailable) => Kind::Unavailable.into(),
            AdminError::OldPassword(error) => Refusal::new(
                Kind::WrongPassword,
                both(
                    error.to_string(),
                    match error {
                        SignInError::Locked { .. } => "密码错误次数过多，帐号已锁定，请联系管理员",
                        SignInError::Elsewhere => "不允许从您的地址登录，请联系管理员",
                        _ => "原密码不正确",
                    },
                ),
            ),
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
            AdminError::Conflict(Conflict::ServiceUnsaid) => Refusal::new(
                Kind::OtherState,
                both(
                    "the operator has not said yet at what domains have to point",
                    "运营者尚未设置域名应指向的服务器",
                ),
            ),
            AdminError::Conflict(Conflict::DomainOwned) => Refusal::new(
                Kind::OtherState,
                both("it is known already whose the domain is", "该域名的所有权已经确认"),
            ),
            AdminError::Conflict(Conflict::DomainLocked) => Refusal::new(
                Kind::OtherState,
                both(
                    "mail is not brought to the domain yet: set its MX records and check again",
                    "该域名的 MX 记录尚未生效，请设置后重新检查",
                ),
            ),
            AdminError::Conflict(Conflict::NotConfirmed) => Refusal::new(
                Kind::OtherState,
                both(
                    "read what goes with it, and send the confirmation that stands there",
                    "请先查看将一并删除的内容，并提交其中的确认码",
                ),
            ),
            AdminError::Conflict(Conflict::TaskOver) => {
                Refusal::new(Kind::OtherState, both("the task has ended", "该任务已结束"))
            }
            AdminError::Conflict(Conflict::NoResult) => Refusal::new(
                Kind::OtherState,
                both(
                    "there is nothing to be read: the task has not ended, or its result is no longer kept",
                    "没有可读取的结果：任务尚未结束，或结果已过保留期",
                ),
            ),
            AdminError::File { name, error } => {
                let said = |lang| error.message(&Text::new(lang), &name);
                invalid(both(said(Lang::En), said(Lang::ZhCn)))
            }
            AdminError::Invalid(Invalid::NoRows) => invalid(both("the file has no rows", "文件中没有数据行")),
            AdminError::NoTasks => Refusal::new(
                Kind::Unavailable,
                both("long operations are not carried out here", "此处不执行后台任务"),
            ),
            AdminError::NoTraces => Refusal::new(
                Kind::Unavailable,
                both("traces of letters can't be read here", "此处无法读取邮件轨迹"),
            ),
            AdminError::Conflict(Conflict::CreatorLeaves) => Refusal::new(
                Kind::OtherState,
                both("the creator hands the organisation over first", "创建者须先移交企业，才能退出"),
            ),
            AdminError::Conflict(Conflict::NotInPlan(function)) => Refusal::new(
                Kind::PlanLimit,
                both(
                    format!("the plan does not have the function {}", function.name()),
                    format!("套餐不包含功能 {}", function.name()),
                ),
            ),
            AdminError::NoLookUps => {
                Refusal::new(Kind::Unavailable, both("DNS can't be asked from here", "此处无法查询 DNS"))
            }
            AdminError::NoSealing => Refusal::new(
                Kind::Unavailable,
                both("there is no key here with which secrets are sealed", "此处没有用于加密保存机密的密钥"),
            ),
            AdminError::NoKeyMade(cause) => {
                tracing::error!(%cause, "no key was made");
                Kind::Unavailable.into()
            }
            AdminError::Conflict(Conflict::KeyWaits) => Refusal::new(
                Kind::OtherState,
                both(
                    "a key of that kind waits for its record already: set it and look at the domain, or withdraw the key",
                    "已有同类密钥在等待设置解析记录：请设置后重新检查，或先撤销该密钥",
                ),
            ),
            AdminError::Invalid(Invalid::TlsPolicy) => invalid(both(
                "a policy for TLS is remembered for 86400 to 31557600 seconds",
                "TLS 策略的有效期须为 86400 至 31557600 秒",
            )),
            AdminError::Invalid(Invalid::KeyRotation) => invalid(both(
                "keys are used for 7 to 3650 days, and stay published for 1 to 90 days after that",
                "密钥的使用期须为 7 至 3650 天，停用后记录保留 1 至 90 天",
            )),
            AdminError::Service(cause) => invalid(both(short(&cause), "服务器设置无效")),
            AdminError::Invalid(Invalid::SessionLife) => invalid(both(
                "sessions last 15 minutes to 90 days, and may be idle for 5 minutes at least and not for longer than they last",
                "会话时长须为 15 分钟至 90 天，空闲时间至少 5 分钟且不得长于会话时长",
            )),
            AdminError::Invalid(Invalid::NoFactor) => {
                Refusal::new(Kind::OtherState, both("there is no second factor", "尚未设置二次验证"))
            }
            AdminError::Invalid(Invalid::OwnRequest) => {
                Refusal::new(Kind::OtherState, both("it takes another administrator", "须由另一位管理员确认"))
            }
            AdminError::Invalid(Invalid::LargeOrder { limit }) => invalid(both(
                format!("what a second administrator has to confirm has {limit} bytes at most"),
                format!("需要另一位管理员确认的请求最多 {limit} 字节"),
            )),
            AdminError::Invalid(Invalid::Contact { limit }) => invalid(both(
                format!("a contact address has at most {limit} characters and no control characters"),
                format!("联系地址最多 {limit} 个字符，且不含控制字符"),
            )),
            AdminError::Invalid(Invalid::Logo { limit }) => invalid(both(
                format!("a logo is PNG, JPEG or WebP and has at most {limit} bytes"),
                format!("标志须为 PNG、JPEG 或 WebP，最多 {limit} 字节"),
            )),
            AdminError::Directory(error) => error.into(),
        }
    }
}

/// A code that was not accepted.
fn of_code(error: &SignInError) -> Refusal {
    match error {
        SignInError::TooManyFailures { retry_after } => too_many_failures(retry_after.as_secs()),
        SignInError::Unavailable => Kind::Unavailable.into(),
        _ => Kind::WrongCode.into(),
    }
}

fn too_many_failures(seconds: u64) -> Refusal {
    let detail = both("too many failed sign-ins", "登录失败次数过多");
    Refusal { retry_after: Some(seconds.max(1)), ..Refusal::new(Kind::TooManyRequests, detail) }
}

impl From<NotSignedIn> for Refusal {
    fn from(error: NotSignedIn) -> Refusal {
        match error {
            NotSignedIn::CodeNeeded => Refusal::new(
                Kind::CodeNeeded,
                both(
                    "the password is right: send it again with a code",
                    "密码正确：请连同二次验证码重新提交",
                ),
            ),
            NotSignedIn::Refused(SignInError::TooManyFailures { retry_after }) => {
                too_many_failures(retry_after.as_secs())
            }
            NotSignedIn::Refused(SignInError::Unavailable) => Kind::Unavailable.into(),
            NotSignedIn::Refused(SignInError::Elsewhere) => Kind::Elsewhere.into(),
            NotSignedIn::Refused(_) => Kind::SignInRefused.into(),
            NotSignedIn::Failed(error) => error.into(),
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

pub(crate) fn no_network(error: &NetworkError) -> Detail {
    let chinese = match error {
        NetworkError::Form(text) => {
            format!(
                "{} 不是地址或网段：应为 192.0.2.1、192.0.2.0/24 或 192.0.2.10-192.0.2.20（IPv6 同理）",
                short(text)
            )
        }
        NetworkError::Order(text) => format!("地址段 {} 的终点在起点之前", short(text)),
        NetworkError::NotFirst(text, block) => {
            format!("{} 不是该网段的首地址，应为 {block}", short(text))
        }
    };
    both(short(&error.to_string()), chinese)
}

pub(crate) fn bad_time() -> Detail {
    both("no time: write it as 2027-01-31T12:00:00Z", "时间无效：应写作 2027-01-31T12:00:00Z")
}

pub(crate) fn bad_id() -> Detail {
    both("no id: it has 16 hex digits", "编号无效：应为 16 位十六进制数字")
}
