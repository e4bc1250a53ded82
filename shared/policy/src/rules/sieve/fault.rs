//! What a script of Sieve can't say, and where.

use std::fmt;

use super::MAX_SCRIPT;
use crate::rules::RulesFault;

/// A place in a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// Characters from the beginning of the line, from 1.
    pub column: usize,
}

impl Position {
    /// Where a script begins.
    pub const FIRST: Position = Position { line: 1, column: 1 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What can't be taken of a script, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {fault}")]
pub struct SieveError {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub fault: SieveFault,
}

impl SieveError {
    /// For people, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        format!("第 {} 行第 {} 列：{}", self.at.line, self.at.column, self.fault.chinese())
    }
}

/// What is wrong with a script, or more than rules can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SieveFault {
    /// Too many bytes.
    #[error("a script has {MAX_SCRIPT} bytes at most")]
    TooLong,
    /// A comment without an end.
    #[error("this comment has no end")]
    OpenComment,
    /// A string without an end.
    #[error("this string has no end")]
    OpenText,
    /// A number that is too large, or none.
    #[error("this is no number")]
    Number,
    /// Something that stands nowhere in Sieve.
    #[error("{0:?} can stand in a string only")]
    Character(char),
    /// Something that can't stand here.
    #[error("{0} can't stand here")]
    Unexpected(String),
    /// The script ends within a command.
    #[error("the script ends within a command")]
    Ended,
    /// Tests or blocks within others.
    #[error("this lies too deep within other tests or blocks")]
    Depth,
    /// `require` behind other commands.
    #[error("require stands before all other commands")]
    LateRequire,
    /// An extension that is not understood.
    #[error("the extension {0:?} is not understood")]
    Extension(String),
    /// A command that rules have not.
    #[error("rules can't say the command {0:?}")]
    Command(String),
    /// `elsif`, `else`.
    #[error(
        "rules have no elsif and else: write a rule of its own; one with stop keeps those below from being asked"
    )]
    Else,
    /// An `if` in an `if`.
    #[error("rules have no rules in them: join the tests by allof")]
    Nested,
    /// Something behind `stop`.
    #[error("this stands behind stop, and is never done")]
    AfterStop,
    /// A test that rules have not.
    #[error("rules can't say the test {0:?}")]
    Test(String),
    /// Tests joined as rules can't.
    #[error(
        "rules can't say this within a test: conditions are joined once, by allof or anyof, and words of one condition again"
    )]
    Joined,
    /// `not` of something else than a size.
    #[error("not can be said of a size only")]
    Not,
    /// A test that never holds, or always does.
    #[error("this time never comes, or is always")]
    NeverOrAlways,
    /// An argument that is not understood.
    #[error("the argument {0} can't be said here")]
    Argument(String),
    /// Arguments are missing, or there are too many.
    #[error("{0:?} has other arguments than these")]
    Arguments(String),
    /// Another comparison.
    #[error("words are looked for anywhere in a text: say :contains")]
    Match,
    /// Other header fields.
    #[error("a header test asks for \"from\", for [\"to\", \"cc\"], or for \"subject\"")]
    Headers,
    /// A body test by itself.
    #[error(
        "rules look for words in subject and text alike: say anyof (header :contains \"subject\" \"a\", body :text :contains \"a\")"
    )]
    Body,
    /// An address test that rules have not.
    #[error(
        "an address test asks for domains of the sender, as address :domain :matches \"from\" [\"a.example\", \"*.a.example\"], or for one's own addresses in [\"to\", \"cc\"]"
    )]
    Addresses,
    /// Other people's addresses.
    #[error("{0:?} is not one of the account's own addresses: of others, say header :contains")]
    NotOwn(String),
    /// A date test that rules have not.
    #[error(
        "a time is said as currentdate :zone \"+0000\" :value \"ge\" \"iso8601\" \"2026-01-31T08:00:00+00:00\", or :zone \"+0800\" :value \"lt\" \"time\" \"18:00:00\"; \"ge\" and \"lt\" alone"
    )]
    Date,
    /// Not a whole number of hours, without the name of a zone.
    #[error("say the time zone by its name behind this: /* Asia/Shanghai */")]
    Zone,
    /// A letter in two places.
    #[error("a letter goes to one place: no copy of it can be kept in another folder")]
    TwoPlaces,
    /// Flags that rules do not set.
    #[error("of flags only \\\\Seen, \\\\Flagged and labels can be set")]
    Flags,
    /// More than a text.
    #[error("an answer has a text and nothing else, and goes once in seven days")]
    Vacation,
    /// What rules can't be.
    #[error("{0}")]
    Rules(RulesFault),
}

impl SieveFault {
    /// The error at that place.
    #[must_use]
    pub const fn at(self, at: Position) -> SieveError {
        SieveError { at, fault: self }
    }

    /// For people, in Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        let fixed = match self {
            SieveFault::TooLong => return format!("脚本最多 {MAX_SCRIPT} 字节"),
            SieveFault::Character(c) => return format!("{c:?} 只能出现在字符串中"),
            SieveFault::Unexpected(token) => return format!("此处不应出现 {token}"),
            SieveFault::Extension(name) => return format!("不支持扩展 {name:?}"),
            SieveFault::Command(name) => return format!("收信规则无法表达命令 {name:?}"),
            SieveFault::Test(name) => return format!("收信规则无法表达条件 {name:?}"),
            SieveFault::Argument(name) => return format!("此处不能使用参数 {name}"),
            SieveFault::Arguments(name) => return format!("{name:?} 的参数不正确"),
            SieveFault::NotOwn(address) => {
                return format!("{address:?} 不是本帐号自己的地址；其他地址请使用 header :contains");
            }
            SieveFault::Rules(fault) => return fault.chinese(),
            SieveFault::OpenComment => "注释没有结束",
            SieveFault::OpenText => "字符串没有结束",
            SieveFault::Number => "不是有效的数字",
            SieveFault::Ended => "脚本在命令中途结束",
            SieveFault::Depth => "条件或语句块嵌套过深",
            SieveFault::LateRequire => "require 须位于所有其他命令之前",
            SieveFault::Else => "收信规则没有 elsif 和 else：请另写一条规则；带有 stop 的规则会停止后续规则",
            SieveFault::Nested => "收信规则不能嵌套：请用 allof 合并条件",
            SieveFault::AfterStop => "位于 stop 之后，永远不会执行",
            SieveFault::Joined => {
                "收信规则无法表达这样的嵌套：条件只能用 allof 或 anyof 合并一次，同一条件内的词可再合并一次"
            }
            SieveFault::Not => "not 只能用于邮件大小",
            SieveFault::NeverOrAlways => "该时段永远不会到来，或始终成立",
            SieveFault::Match => "词可出现在文本任意位置，请使用 :contains",
            SieveFault::Headers => "header 条件只能检查 \"from\"、[\"to\", \"cc\"] 或 \"subject\"",
            SieveFault::Body => {
                "收信规则同时在主题和正文中查找：请写作 anyof (header :contains \"subject\" \"a\", body :text :contains \"a\")"
            }
            SieveFault::Addresses => {
                "address 条件只能检查发件人域名（address :domain :matches \"from\" [\"a.example\", \"*.a.example\"]），或 [\"to\", \"cc\"] 中自己的地址"
            }
            SieveFault::Date => {
                "时间须写作 currentdate :zone \"+0000\" :value \"ge\" \"iso8601\" \"2026-01-31T08:00:00+00:00\"，或 :zone \"+0800\" :value \"lt\" \"time\" \"18:00:00\"，且只能使用 \"ge\" 和 \"lt\""
            }
            SieveFault::Zone => "请在其后写明时区名称，例如 /* Asia/Shanghai */",
            SieveFault::TwoPlaces => "一封邮件只能去一处，不能在另一文件夹中再留一份",
            SieveFault::Flags => "标记只能设置 \\\\Seen、\\\\Flagged 和标签",
            SieveFault::Vacation => "自动回复只能包含正文，且对同一发件人每七天一次",
        };
        fixed.to_owned()
    }
}
