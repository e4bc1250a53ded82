//! What exactly is wrong, in both languages; and what the errors of administration are as problems.

use pennypost_admin::{
    AdminError, BadPoints, Conflict, Invalid, MailingProblem, NotSignedIn, ProviderError, RouteProblem,
    SmsError, TableProblem, Why, say_content, say_footer, say_row,
};
use pennypost_directory::content::ContentProblem;
use pennypost_directory::rules::{RulesError, RulesFault};
use pennypost_directory::{
    BadFrequency, BadNameForm, DirectoryError, FooterFault, FooterProblem, InvitationEnd,
    Kind as DirectoryKind, MAX_NAME_FORM, NetworkError, NoFunction, NoSeat, PolicyError, SignInError,
    SignInRulesError,
};
use pennypost_passkeys::Refused;
use pennypost_text::{Lang, Text};

use crate::language::Language;
use crate::rest::problem::{Kind, Refusal, Wrong};

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    english: String,
    chinese: String,
}

impl Detail {
    pub(crate) fn english(&self) -> &str {
        &self.english
    }

    pub(crate) fn chinese(&self) -> &str {
        &self.chinese
    }

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
        "passkey" => "通行密钥",
        "provider" => "身份提供方",
        "binding" => "绑定",
        "request" => "待确认的操作",
        "letter" => "邮件",
        "mailing" => "群发邮件",
        "template" => "模版",
        "invitation" => "邀请",
        "application" => "加入申请",
        "subscription" => "订阅",
        "sign-up" => "开通申请",
        "terms" | "number" => "服务协议",
        "order" => "订单",
        "bulletin" => "公告",
        "forward target" => "转发地址",
        "suppressed address" => "停发地址",
        _ => "对象",
    };
    both(format!("there is no such {what} here"), format!("此处没有该{chinese}"))
}

/// A time at which no letter goes.
pub(crate) fn send_time(days: u16) -> Detail {
    both(
        format!(
            "a letter goes later at a time to come within {days} days: a time of RFC 3339, or one without an offset as clocks show it in the time zone that is named"
        ),
        format!(
            "定时发送的时间须在未来 {days} 天之内，格式为 RFC 3339 时间，或不带时差的当地时间和有效的时区名称"
        ),
    )
}

/// Why a way out of a tenant is not said, or not tried.
fn route_refused(problem: RouteProblem) -> Refusal {
    let [english, chinese] = [Lang::En, Lang::ZhCn].map(|lang| problem.message(&Text::new(lang)));
    let detail = both(english, chinese);
    let refuse = |kind| Refusal::new(kind, detail.clone());
    let at = |pointer: &str| refuse(Kind::Invalid).at(pointer.to_owned(), detail.clone());
    match problem {
        RouteProblem::NotFromHere => refuse(Kind::Unavailable),
        RouteProblem::NoHost => refuse(Kind::OtherState),
        RouteProblem::Destinations | RouteProblem::TooMany => refuse(Kind::Invalid),
        RouteProblem::Host => at("/host"),
        RouteProblem::Region => at("/region"),
        RouteProblem::Login => at("/user"),
        RouteProblem::NoPassword => at("/password"),
        RouteProblem::Identity => at("/identity"),
    }
}

/// What is wrong with rules about contents, which stand below `above` in the body.
pub(crate) fn content_refused(problem: &ContentProblem, above: &str) -> Refusal {
    let [english, chinese] = [Lang::En, Lang::ZhCn].map(|lang| say_content(&problem.fault, &Text::new(lang)));
    let detail = both(english, chinese);
    Refusal::new(Kind::Invalid, detail.clone()).at(format!("{above}{}", problem.pointer), detail)
}

/// What is wrong with a footer or a card, and where.
fn footer_refused(problem: &FooterProblem) -> Refusal {
    let [english, chinese] = [Lang::En, Lang::ZhCn].map(|lang| say_footer(&problem.fault, &Text::new(lang)));
    let detail = both(english, chinese);
    let kind = if problem.fault == FooterFault::Locked { Kind::OtherState } else { Kind::Invalid };
    let refusal = Refusal::new(kind, detail.clone());
    match problem.pointer.as_str() {
        "" => refusal,
        pointer => refusal.at(pointer.to_owned(), detail),
    }
}

/// Rows of a table that are told at once.
const MOST_ROWS: usize = 200;

/// Why a mailing is not made, or not in the state for what is asked: each row of its table that is wrong with its line.
fn mailing_refused(problem: &MailingProblem) -> Refusal {
    let texts = [Text::new(Lang::En), Text::new(Lang::ZhCn)];
    let [english, chinese] = texts.each_ref().map(|text| problem.message(text));
    let kind = if problem.is_state() { Kind::OtherState } else { Kind::Invalid };
    let detail = both(english, chinese);
    let refusal = Refusal::new(kind, detail.clone());
    let pointer = match problem {
        MailingProblem::Table { problem: TableProblem::Rows(rows), .. } => {
            let wrong = rows.iter().take(MOST_ROWS).map(|(line, problem)| {
                let said = texts.each_ref().map(|text| say_row(*line, problem, text));
                let [english, chinese] = said;
                Wrong { pointer: "/table".to_owned(), detail: both(english, chinese) }
            });
            return Refusal { wrong: wrong.collect(), ..refusal };
        }
        MailingProblem::Table { .. }
        | MailingProblem::Recipients { .. }
        | MailingProblem::Template { place: "table", .. } => "/table",
        MailingProblem::Rules => "/recipients",
        MailingProblem::Template { place: "subject", .. } | MailingProblem::Subject => "/subject",
        MailingProblem::Template { place: "html", .. } | MailingProblem::Body => "/html",
        MailingProblem::Template { .. } => "/text",
        MailingProblem::Attachments => "/attachments",
        MailingProblem::Name => "/name",
        MailingProblem::NoRow
        | MailingProblem::Full
        | MailingProblem::Kept
        | MailingProblem::NotDraft
        | MailingProblem::Over
        | MailingProblem::Gone => return refusal,
    };
    refusal.at(pointer.to_owned(), detail)
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
            E::MemberRules(error) => rules_error(error),
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
            E::Mobile => {
                invalid(both(error.to_string(), "手机号须含国家代码，共 8 至 15 位数字，例如 +8613800000000"))
            }
            E::MobileTaken => {
                taken(both("another member has that mobile number", "该手机号已被其他成员使用"))
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
        NoSeat::NoSecretaries(who) => format!("{} 不是 VIP：只有 VIP 成员可以设置邮箱秘书", short(who)),
    }
}

pub(crate) fn bad_form(error: &BadNameForm) -> Detail {
    both(
        error.to_string(),
        format!(
            "名称格式须包含 {{name}}，花括号中只能使用 {{department}}、{{title}} 和 {{organisation}}，不得含有 @ 和不可见字符，最多 {MAX_NAME_FORM} 个字符"
        ),
    )
}

pub(crate) fn no_letter() -> Detail {
    both("no such letter came into the account", "该账号没有收到或发出这封邮件")
}

pub(crate) fn bad_frequency(error: BadFrequency) -> Detail {
    let (messages, minutes) = BadFrequency::MOST;
    both(error.to_string(), format!("限制须为 1 至 {minutes} 分钟内 1 至 {messages} 封"))
}

pub(crate) fn bad_points(error: BadPoints) -> Detail {
    let chinese = match error {
        BadPoints::Range => "分值须在 0.01 至 1000 之间",
        BadPoints::Order => "进入垃圾箱的分值不得高于隔离的分值，隔离的分值不得高于删除的分值",
    };
    both(error.to_string(), chinese)
}

/// What is wrong with a member's rules, and where.
pub(crate) fn rules_error(error: &RulesError) -> Refusal {
    let is_missing = matches!(error.fault, RulesFault::Folder | RulesFault::NoRule);
    let kind = if is_missing { Kind::Unknown } else { Kind::Invalid };
    let detail = both(short(&error.fault.to_string()), error.fault.chinese());
    Refusal::new(kind, detail.clone()).at(error.at.clone(), detail)
}

pub(crate) fn not_text() -> Detail {
    both("a script is text in UTF-8", "脚本须为 UTF-8 文本")
}

pub(crate) fn named_twice() -> Detail {
    both("it is named twice", "重复指定")
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
            AdminError::Invalid(Invalid::NoLetter) => Refusal::new(Kind::Unknown, no_letter()),
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
            AdminError::Conflict(Conflict::LettersFull { letters, megabytes }) => Refusal::new(
                Kind::OtherState,
                both(
                    format!("as many letters wait to go later as may: {letters}, or {megabytes} MB"),
                    format!("等待定时发送的邮件已达上限：{letters} 封或 {megabytes} MB"),
                ),
            ),
            AdminError::Conflict(Conflict::LetterGone) => {
                Refusal::new(Kind::OtherState, both("the letter has gone already", "邮件已经发出"))
            }
            AdminError::Conflict(Conflict::LetterBack) => Refusal::new(
                Kind::OtherState,
                both(
                    "the letter was taken back already: a copy is in Drafts",
                    "邮件已取消发送，副本在草稿箱中",
                ),
            ),
            AdminError::Conflict(Conflict::LetterUnsent) => Refusal::new(
                Kind::OtherState,
                both(
                    "the letter could not go: its writer was told why, and a copy is in Drafts",
                    "邮件未能发出，系统已向发件人说明原因，副本在草稿箱中",
                ),
            ),
            AdminError::Invalid(Invalid::SendTime { days }) => invalid(send_time(days)),
            AdminError::Invalid(Invalid::UndoWindow { least, most }) => invalid(both(
                format!("letters wait for {least} to {most} seconds, or not at all"),
                format!("撤销发送的等待时间须为 {least} 至 {most} 秒，或关闭"),
            )),
            AdminError::Conflict(Conflict::TaskOver) => {
                Refusal::new(Kind::OtherState, both("the task has ended", "该任务已结束"))
            }
            AdminError::Conflict(Conflict::ReceiptAnswered) => Refusal::new(
                Kind::OtherState,
                both(
                    "a receipt of the letter was given, or refused, already",
                    "该邮件的阅读回执已发送或已拒绝",
                ),
            ),
            AdminError::Conflict(Conflict::RulesRunning) => Refusal::new(
                Kind::OtherState,
                both("rules are run on mail of the account already", "该帐号正在对历史邮件执行规则"),
            ),
            AdminError::Conflict(Conflict::NoResult) => Refusal::new(
                Kind::OtherState,
                both(
                    "there is nothing to be read: the task has not ended, or its result is no longer kept",
                    "没有可读取的结果：任务尚未结束，或结果已过保留期",
                ),
            ),
            AdminError::Mailing(problem) => mailing_refused(&problem),
            AdminError::Route(problem) => route_refused(problem),
            AdminError::Footer(problem) => footer_refused(&problem),
            AdminError::Content(problem) => content_refused(&problem, ""),
            AdminError::File { name, error } => {
                let said = |lang| error.message(&Text::new(lang), &name);
                invalid(both(said(Lang::En), said(Lang::ZhCn)))
            }
            AdminError::Invalid(Invalid::NoRows) => invalid(both("the file has no rows", "文件中没有数据行")),
            AdminError::NoTasks => Refusal::new(
                Kind::Unavailable,
                both("long operations are not carried out here", "此处不执行后台任务"),
            ),
            AdminError::NoMail => {
                Refusal::new(Kind::Unavailable, both("mail can't be looked at here", "此处无法查看邮件"))
            }
            AdminError::Invalid(Invalid::Receiver) => invalid(both(
                "a receiver is https://HOST, with a port, a path and a query or without, and nothing else",
                "接收地址须为 https://主机，可带端口、路径和查询参数，不得含其他内容",
            )),
            AdminError::Invalid(Invalid::Subscription { limit }) => invalid(both(
                format!(
                    "a subscription is to one kind of notices at least, and names {limit} accounts and departments at most"
                ),
                format!("订阅至少包含一种通知，指定的账号和部门合计最多 {limit} 个"),
            )),
            AdminError::NoTraces => Refusal::new(
                Kind::Unavailable,
                both("traces of letters can't be read here", "此处无法读取邮件轨迹"),
            ),
            AdminError::Conflict(Conflict::OrderOver) => {
                Refusal::new(Kind::OtherState, both("the term of the order is over", "订单的期限已结束"))
            }
            AdminError::Conflict(Conflict::OrderDecided) => Refusal::new(
                Kind::OtherState,
                both("there is nothing to be decided about the order any more", "该订单已处理，无法再次处理"),
            ),
            AdminError::Conflict(Conflict::Tried) => Refusal::new(
                Kind::OtherState,
                both("the organisation has tried it out already, or has it", "贵企业已试用过或已开通专业版"),
            ),
            AdminError::Conflict(Conflict::NoPlan) => Refusal::new(
                Kind::OtherState,
                both(
                    "the organisation has no plan, and is limited by nothing",
                    "贵企业没有套餐，也没有任何限制",
                ),
            ),
            AdminError::Invalid(Invalid::Order) => invalid(both(
                Invalid::Order.to_string(),
                "购买须有 VIP 名额和 1 至 10 年期限，续费须有年数，扩容须有数量，试用须有 1 至 10 个 VIP 名额，提高帐号上限须有更大的数量和原因",
            )),
            AdminError::Invalid(Invalid::Approval) => invalid(both(
                Invalid::Approval.to_string(),
                "有金额时须有三个大写字母的货币代码；续费和扩容须已付款",
            )),
            AdminError::Conflict(Conflict::ErasingBegun) => {
                Refusal::new(Kind::OtherState, both("erasing the tenant has begun", "已开始清除该企业的数据"))
            }
            AdminError::Invalid(Invalid::Reason { limit }) => invalid(both(
                format!("a reason has 1 to {limit} characters"),
                format!("原因须为 1 至 {limit} 个字符"),
            )),
            AdminError::Invalid(Invalid::Grace { least, most }) => invalid(both(
                format!("tenants that have ended are kept for {least} to {most} days"),
                format!("服务结束后的保留期须为 {least} 至 {most} 天"),
            )),
            AdminError::Invalid(Invalid::OrderDays { most }) => invalid(both(
                format!("an order is carried out within {most} days"),
                format!("清除须在 {most} 天之内执行"),
            )),
            AdminError::Conflict(Conflict::PasswordAndInvitation) => {
                invalid(both("either a password or an invitation", "初始密码与邀请只能二选一"))
            }
            AdminError::Conflict(Conflict::CreatorLeaves) => Refusal::new(
                Kind::OtherState,
                both("the creator hands the organisation over first", "创建者须先移交企业，才能退出"),
            ),
            AdminError::Conflict(Conflict::NamesGiven) => Refusal::new(
                Kind::OtherState,
                both(
                    "administrators give the names that letters bear",
                    "邮件昵称由管理员统一设定，成员不可修改",
                ),
            ),
            AdminError::Conflict(Conflict::NotInPlan(function)) => Refusal::new(
                Kind::PlanLimit,
                both(
                    format!("the plan does not have the function {}", function.name()),
                    format!("套餐不包含功能 {}", function.name()),
                ),
            ),
            AdminError::Conflict(Conflict::PlanDomains(limit)) => Refusal::new(
                Kind::PlanLimit,
                both(format!("the plan allows {limit} domains"), format!("套餐最多允许 {limit} 个域名")),
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
            AdminError::Invalid(Invalid::ScanPoints(error)) => invalid(bad_points(error)),
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
            AdminError::Invalid(Invalid::Purchase) => invalid(both(
                "an order has a currency by three capital letters, a term that ends after it begins, and a note of 500 \
                 characters at most",
                "订单须有三位大写字母的货币代码，期限的结束须晚于开始，备注最多 500 个字符",
            )),
            AdminError::Invalid(Invalid::Terms { limit }) => invalid(both(
                format!("terms of service have 1 to {limit} bytes"),
                format!("服务协议须为 1 至 {limit} 字节"),
            )),
            AdminError::Invalid(Invalid::Bulletin { title, text }) => invalid(both(
                Invalid::Bulletin { title, text }.to_string(),
                format!(
                    "公告须有中英文标题（1 至 {title} 个字符）和正文（1 至 {text} 个字符），且结束时间晚于开始时间"
                ),
            )),
            AdminError::Invalid(Invalid::ContactField { limit }) => invalid(both(
                Invalid::ContactField { limit }.to_string(),
                format!("名称、电话和邮箱各最多 {limit} 个字符，且不含控制字符"),
            )),
            AdminError::Invalid(Invalid::NotOfAccounts) => invalid(both(
                "only sending, receiving-from-outside and mail-programs can be blocked of a single account",
                "单个账号只能限制 sending、receiving-from-outside 和 mail-programs",
            )),
            AdminError::Invalid(Invalid::NoFactor) => {
                Refusal::new(Kind::OtherState, both("there is no second factor", "尚未设置二次验证"))
            }
            AdminError::Invalid(Invalid::NoPasskey) => {
                Refusal::new(Kind::OtherState, both("there is no passkey", "尚未设置通行密钥"))
            }
            AdminError::Invalid(Invalid::Passkey(refused)) => {
                Refusal::new(Kind::WrongPasskey, both(refused.to_string(), passkey_refused(refused)))
            }
            AdminError::Provider(error) => {
                tracing::info!(%error, "a provider of identities failed");
                Refusal::new(Kind::ProviderFailed, both(short(&error.to_string()), provider_failed(&error)))
            }
            AdminError::Recovery(error) => NotSignedIn::Refused(error).into(),
            AdminError::TooManyLetters => Refusal {
                retry_after: Some(60 * 60),
                ..Refusal::new(
                    Kind::TooManyRequests,
                    both("as many letters went as may go in an hour", "一小时内发送的邮件已达上限"),
                )
            },
            AdminError::Conflict(Conflict::NotFromHere) => Refusal::new(
                Kind::OtherState,
                both(
                    "no letter goes to that address from here: name a mailbox of the organisation",
                    "此处无法向该地址发送邮件：请使用本组织的邮箱地址",
                ),
            ),
            AdminError::Conflict(Conflict::MayNotForward) => Refusal::new(
                Kind::OtherState,
                both(
                    "the organisation does not let this account forward mail to other servers",
                    "本组织不允许此帐号将邮件自动转发至外部地址",
                ),
            ),
            AdminError::Conflict(Conflict::NeedsSeat) => Refusal::new(
                Kind::OtherState,
                both("only members with a VIP seat do that", "仅 VIP 成员可执行此操作"),
            ),
            AdminError::Conflict(Conflict::SendsInside) => Refusal::new(
                Kind::OtherState,
                both("you may send within your organisation only", "您只能向本组织内部发送邮件"),
            ),
            AdminError::Conflict(Conflict::NotInGroup) => Refusal::new(
                Kind::OtherState,
                both("that address is no member of the group", "该地址不是此邮件组的成员"),
            ),
            AdminError::Conflict(Conflict::WantsNoMore) => Refusal::new(
                Kind::OtherState,
                both("whoever has that address wants no more", "该地址的持有人已退出，不再接收"),
            ),
            AdminError::Conflict(Conflict::NoSms) => {
                Refusal::new(Kind::OtherState, both("no text messages are sent from here", "此处不发送短信"))
            }
            AdminError::Conflict(Conflict::NoTrials) => {
                Refusal::new(Kind::OtherState, both("no trial domains are given here", "此处不提供试用域名"))
            }
            AdminError::Conflict(Conflict::TrialGiven) => Refusal::new(
                Kind::OtherState,
                both(
                    "the organisation has a domain, or has had its trial domain",
                    "贵企业已有域名，或已使用过试用域名",
                ),
            ),
            AdminError::Conflict(Conflict::TrialOnly) => Refusal::new(
                Kind::OtherState,
                both("the organisation has a trial domain only", "该企业仅有试用域名，无法认证"),
            ),
            AdminError::Conflict(Conflict::NoSignUps) => Refusal::new(
                Kind::OtherState,
                both(
                    "nobody signs up here by himself, or not in this way",
                    "此处不开放自助开通，或不支持该方式",
                ),
            ),
            AdminError::Conflict(Conflict::Readdressed) => {
                Refusal::new(Kind::OtherState, both("the address was changed once", "邮箱前缀只能修改一次"))
            }
            AdminError::Invalid(Invalid::Label) => invalid(both(
                Invalid::Label.to_string(),
                "试用域名的前缀须为 3 至 30 个小写字母、数字或连字符，且不能是服务名称",
            )),
            AdminError::Invalid(Invalid::NotAccepted { number }) => invalid(both(
                format!("the terms of service that hold have to be accepted: version {number}"),
                format!("须同意现行服务协议：第 {number} 版"),
            )),
            AdminError::Invalid(Invalid::SignUp) => invalid(both(
                Invalid::SignUp.to_string(),
                "须填写外部邮箱地址或手机号码之一、所提供的版本，未提供试用域名时还须填写自有域名",
            )),
            AdminError::Conflict(Conflict::NoMobile) => Refusal::new(
                Kind::OtherState,
                both("there is no mobile number that was proved", "尚未绑定经过验证的手机号码"),
            ),
            AdminError::Conflict(Conflict::MobileIsFactor) => Refusal::new(
                Kind::OtherState,
                both(
                    "codes that go to the number are the second factor: take that away first",
                    "该号码正用于短信二次验证：请先关闭短信二次验证",
                ),
            ),
            AdminError::TooManyMessages => Refusal {
                retry_after: Some(10 * 60),
                ..Refusal::new(
                    Kind::TooManyRequests,
                    both("as many text messages went as may go for now", "短信发送次数已达上限"),
                )
            },
            // Why is the operator's to know: it is in the program's log.
            AdminError::Sms(SmsError::Refused(_)) => Refusal::new(
                Kind::OtherState,
                both(
                    "the text message was refused: another try would not help",
                    "短信被拒绝：再次尝试也无济于事",
                ),
            ),
            AdminError::Sms(SmsError::Unavailable(_)) => Refusal::new(
                Kind::Unavailable,
                both("the text message was not sent: try again later", "短信未能发送，请稍后再试"),
            ),
            AdminError::NotTried => Refusal::new(
                Kind::Unavailable,
                both(
                    "it was not tried: what came before it took too long or failed",
                    "尚未尝试：之前的操作耗时过长或失败",
                ),
            ),
            AdminError::Conflict(Conflict::PasswordSet) => Refusal::new(
                Kind::OtherState,
                both("there is a password: say the old one", "已有密码：请提供原密码"),
            ),
            AdminError::Invalid(Invalid::NoMailbox) => invalid(both(
                "a recovery address is another member's own: no alias, group or business mailbox, and without a tag",
                "恢复地址须为其他成员本人的邮箱地址，不能是别名、群组、公共邮箱或带标签的地址",
            )),
            AdminError::Invalid(Invalid::OwnAddress) => {
                invalid(both("the address leads to the account itself", "该地址就是此帐号本身的地址"))
            }
            AdminError::Conflict(Conflict::BoundElsewhere) => Refusal::new(
                Kind::Taken,
                both("another member is bound to that person of the provider", "该身份已绑定到另一位成员"),
            ),
            AdminError::Invalid(Invalid::Issuer) => invalid(both(
                "an issuer is https://HOST, with a path or none, and nothing else",
                "issuer 须为 https://主机，可带路径，不得含其他内容",
            )),
            AdminError::Invalid(Invalid::ProviderSecret { limit }) => invalid(both(
                format!("a client secret has 1 to {limit} bytes and no control characters"),
                format!("客户端密钥须为 1 至 {limit} 字节，且不含控制字符"),
            )),
            AdminError::Conflict(Conflict::PasskeyKnown) => {
                Refusal::new(Kind::Taken, both("the passkey is there already", "该通行密钥已经存在"))
            }
            AdminError::Conflict(Conflict::NoPages) => Refusal::new(
                Kind::OtherState,
                both(
                    "the operator has not said yet where the pages for people are",
                    "运营者尚未设置用户页面所在的主机",
                ),
            ),
            AdminError::Passkey(error) => match error {
                SignInError::TooManyFailures { retry_after } => too_many_failures(retry_after.as_secs()),
                SignInError::Unavailable => Kind::Unavailable.into(),
                SignInError::Elsewhere => Kind::Elsewhere.into(),
                _ => Kind::WrongPasskey.into(),
            },
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

const fn provider_failed(error: &ProviderError) -> &'static str {
    match error {
        ProviderError::Fetch(_) => "无法连接身份提供方，或其应答无法读取",
        ProviderError::Refused(_) => "身份提供方返回的内容未通过校验",
    }
}

const fn passkey_refused(refused: Refused) -> &'static str {
    match refused {
        Refused::Form => "不是 WebAuthn 格式",
        Refused::Elsewhere => "该内容是为其他页面或其他请求生成的",
        Refused::NobodyPresent => "未确认有人在场",
        Refused::Algorithm => "不支持该密钥算法",
        Refused::Attestation => "包含未要求的证明",
        Refused::Signature => "签名错误",
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
            NotSignedIn::CodeSent(number) => Refusal::new(
                Kind::CodeNeeded,
                both(
                    format!("the password is right, and a code went by SMS to {number}: send both"),
                    format!("密码正确，验证码已通过短信发送至 {number}：请连同密码一并提交"),
                ),
            ),
            NotSignedIn::Refused(SignInError::TooManyFailures { retry_after }) => {
                too_many_failures(retry_after.as_secs())
            }
            NotSignedIn::Refused(SignInError::Unavailable) => Kind::Unavailable.into(),
            NotSignedIn::Refused(SignInError::Elsewhere) => Kind::Elsewhere.into(),
            NotSignedIn::Refused(_) => Kind::SignInRefused.into(),
            NotSignedIn::Declined => Refusal::new(
                Kind::SignInRefused,
                both("the provider has signed nobody in", "身份提供方未完成登录"),
            ),
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
