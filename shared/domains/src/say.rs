//! What is wrong, for people, in both languages: the part of the catalogue that the API and the command line share.

use crate::report::{Fault, Subject, Verdict};
use crate::wanted::Importance;

impl Fault {
    /// In English.
    #[must_use]
    pub fn english(&self) -> String {
        match self {
            Fault::NoRecord => "there is no such record".to_owned(),
            Fault::NoAnswer(cause) => format!("DNS does not answer: {cause}"),
            Fault::OtherToken => {
                "there is the token of another claim; set the one that is shown here".to_owned()
            }
            Fault::Wildcard => {
                "every name of the domain points there, which proves nothing: set the TXT record".to_owned()
            }
            Fault::NullMx => "the domain says that it takes no mail (MX “.”)".to_owned(),
            Fault::NoHostOfOurs => {
                "mail is brought to other servers; set the MX records that are shown here".to_owned()
            }
            Fault::OthersFirst(host) => format!("mail goes to {host} first: delete that MX record"),
            Fault::OthersToo(host) => {
                format!("mail may go to {host}, too: delete that MX record, so that all of it arrives here")
            }
            Fault::HostNotNamed(host) => {
                format!("{host} is not named: mail waits if the other servers can't be reached")
            }
            Fault::Several(count) => format!(
                "there are {count} records where one may be; receivers then count none: put them into one"
            ),
            Fault::Syntax(text) => format!("this can't be understood: {text}"),
            Fault::TooManyLookUps(count) => format!(
                "it takes {count} DNS look-ups; receivers make 10 and then refuse: name fewer includes"
            ),
            Fault::TooManyVoid(count) => {
                format!("{count} of the names in it lead to nothing; receivers allow 2")
            }
            Fault::IncludesNothing(domain) => {
                format!("it includes {domain}, which has no SPF record: receivers then count nothing")
            }
            Fault::DoesNotPass(host) => {
                format!("mail from our server {host} does not pass: add what is shown here")
            }
            Fault::LetsEverybody => "it lets everybody send (+all)".to_owned(),
            Fault::NoEnd => {
                "it does not say what holds for all other servers: end it with ~all or -all".to_owned()
            }
            Fault::Macros => "it depends on each message, and can't be checked here".to_owned(),
            Fault::NoKey => "there is no key yet: make one".to_owned(),
            Fault::Revoked => "the record says that the key was revoked".to_owned(),
            Fault::OtherKey => "it is not the key with which mail is signed here".to_owned(),
            Fault::OnlyWatches => {
                "forged mail is only reported (p=none): set p=quarantine or p=reject".to_owned()
            }
            Fault::OnlyAPart(percent) => format!("it holds for {percent} % of the mail only"),
            Fault::FromAbove(domain) => format!("the record of {domain} holds"),
            Fault::PolicyNotThere(cause) => format!("the policy can't be had: {cause}"),
            Fault::PolicyLacks(host) => {
                format!("the policy does not name {host}: others then bring no mail there")
            }
            Fault::PolicyTests => "the policy is a test: nothing is refused".to_owned(),
            Fault::PolicyIsNone => "the policy says that there is none".to_owned(),
            Fault::PolicyIsShort => "the policy is kept for less than a day".to_owned(),
            Fault::PointsElsewhere => "it points elsewhere".to_owned(),
            Fault::NoReports => "nobody gets reports (rua)".to_owned(),
            Fault::OldPolicy => "it names an older policy, and others do not fetch the new one".to_owned(),
            Fault::OtherPolicy => {
                "another policy is published there than the one that is set here".to_owned()
            }
            Fault::NoLongerUsed => "the key is no longer used: this record may be deleted".to_owned(),
            Fault::NotPublic => "the address is one of a network of one's own: others are not reached from it".to_owned(),
            Fault::NoReverse => {
                "the address has no name (PTR): many servers take nothing from it; have its provider set one".to_owned()
            }
            Fault::ReverseElsewhere(name) => {
                format!("its name {name} does not lead back to it: let that name have this address")
            }
            Fault::Listed(said) if said.is_empty() => {
                "it is on this list: servers that ask the list take nothing from it".to_owned()
            }
            Fault::Listed(said) => {
                format!("it is on this list, and servers that ask the list take nothing from it: {said}")
            }
            Fault::ListTellsNothing => {
                "the list does not answer as lists do; many answer to no public DNS server: ask by one of your own".to_owned()
            }
            Fault::LogoNeedsDmarc => {
                "others show a logo only where forged mail is not delivered: set p=quarantine or p=reject of DMARC, for all of the mail".to_owned()
            }
            Fault::LogoDeclined => "the domain says that no logo is to be shown".to_owned(),
            Fault::LogoNotThere(cause) => format!("the logo can't be had: {cause}"),
            Fault::LogoNotShown(cause) => {
                format!("others do not show this picture, which has to be SVG Tiny PS: {cause}")
            }
            Fault::LogoIsLarge(bytes) => format!("the picture has {bytes} bytes; others take 32768"),
            Fault::NoCertificate => {
                "nobody has certified whose logo it is (a=): the large services then do not show it".to_owned()
            }
        }
    }

    /// In simplified Chinese.
    #[must_use]
    pub fn chinese(&self) -> String {
        match self {
            Fault::NoRecord => "没有该记录".to_owned(),
            Fault::NoAnswer(cause) => format!("DNS 没有应答：{cause}"),
            Fault::OtherToken => "记录中是另一次申请的验证码，请设置此处显示的值".to_owned(),
            Fault::Wildcard => "该域名的所有子域都指向该主机，无法证明所有权，请设置 TXT 记录".to_owned(),
            Fault::NullMx => "该域名声明不接收邮件（MX 为“.”）".to_owned(),
            Fault::NoHostOfOurs => "邮件会投递到其他服务器，请设置此处显示的 MX 记录".to_owned(),
            Fault::OthersFirst(host) => format!("邮件会优先投递到 {host}，请删除该 MX 记录"),
            Fault::OthersToo(host) => format!("邮件也可能投递到 {host}，请删除该 MX 记录以确保收信稳定"),
            Fault::HostNotNamed(host) => format!("缺少 {host}：其他服务器不可用时邮件会被延迟"),
            Fault::Several(count) => {
                format!("只能有一条记录，现有 {count} 条，收信方会全部忽略，请合并为一条")
            }
            Fault::Syntax(text) => format!("无法理解的内容：{text}"),
            Fault::TooManyLookUps(count) => {
                format!("需要 {count} 次 DNS 查询，收信方最多查询 10 次后即判为无效，请减少 include")
            }
            Fault::TooManyVoid(count) => format!("其中 {count} 个名称查询不到结果，收信方最多允许 2 个"),
            Fault::IncludesNothing(domain) => format!("引用的 {domain} 没有 SPF 记录，收信方会判为无效"),
            Fault::DoesNotPass(host) => {
                format!("从我们的服务器 {host} 发出的邮件无法通过验证，请加入此处显示的内容")
            }
            Fault::LetsEverybody => "允许任何服务器发信（+all）".to_owned(),
            Fault::NoEnd => "没有说明其他服务器如何处理，请以 ~all 或 -all 结尾".to_owned(),
            Fault::Macros => "结果取决于每封邮件，无法在此检查".to_owned(),
            Fault::NoKey => "还没有密钥，请先生成".to_owned(),
            Fault::Revoked => "记录表明该密钥已被吊销".to_owned(),
            Fault::OtherKey => "不是此处用于签名的密钥".to_owned(),
            Fault::OnlyWatches => "伪造邮件只会被报告（p=none），请设为 p=quarantine 或 p=reject".to_owned(),
            Fault::OnlyAPart(percent) => format!("只对 {percent}% 的邮件生效"),
            Fault::FromAbove(domain) => format!("沿用 {domain} 的记录"),
            Fault::PolicyNotThere(cause) => format!("无法获取策略文件：{cause}"),
            Fault::PolicyLacks(host) => format!("策略中没有 {host}，对方不会向其投递邮件"),
            Fault::PolicyTests => "策略处于测试模式，不会拒绝任何投递".to_owned(),
            Fault::PolicyIsNone => "策略声明为不启用".to_owned(),
            Fault::PolicyIsShort => "策略有效期不足一天".to_owned(),
            Fault::PointsElsewhere => "指向了其他主机".to_owned(),
            Fault::NoReports => "没有指定接收报告的地址（rua）".to_owned(),
            Fault::OldPolicy => "记录指向旧的策略，对方不会获取新策略".to_owned(),
            Fault::OtherPolicy => "该处发布的策略与此处设置的不一致".to_owned(),
            Fault::NoLongerUsed => "该密钥已不再使用，可以删除此记录".to_owned(),
            Fault::NotPublic => "这是内网地址，无法由此到达其他服务器".to_owned(),
            Fault::NoReverse => "该地址没有反向解析（PTR），许多服务器会拒收，请让地址提供商设置".to_owned(),
            Fault::ReverseElsewhere(name) => format!("反向解析名 {name} 没有指回该地址，请为其设置该地址"),
            Fault::Listed(said) if said.is_empty() => "已被列入该名单，使用该名单的服务器会拒收".to_owned(),
            Fault::Listed(said) => format!("已被列入该名单，使用该名单的服务器会拒收：{said}"),
            Fault::ListTellsNothing => {
                "该名单没有正常应答；许多名单不应答公共 DNS 服务器，请使用自己的 DNS 服务器查询".to_owned()
            }
            Fault::LogoNeedsDmarc => {
                "只有不投递伪造邮件的域名才会显示徽标，请将 DMARC 设为对全部邮件 p=quarantine 或 p=reject"
                    .to_owned()
            }
            Fault::LogoDeclined => "该域名声明不显示徽标".to_owned(),
            Fault::LogoNotThere(cause) => format!("无法获取徽标：{cause}"),
            Fault::LogoNotShown(cause) => format!("对方不会显示此图片，须为 SVG Tiny PS 格式：{cause}"),
            Fault::LogoIsLarge(bytes) => format!("图片有 {bytes} 字节，对方最多接受 32768 字节"),
            Fault::NoCertificate => "徽标没有经过认证（a=），大型邮件服务不会显示".to_owned(),
        }
    }
}

impl Subject {
    /// Its name for people: in English, in Chinese.
    #[must_use]
    pub const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Subject::Ownership => ("ownership", "域名所有权"),
            Subject::Mx => ("MX", "MX 记录"),
            Subject::Spf => ("SPF", "SPF 记录"),
            Subject::Dkim => ("DKIM", "DKIM 签名"),
            Subject::Dmarc => ("DMARC", "DMARC 防伪造"),
            Subject::MtaSts => ("MTA-STS", "MTA-STS 策略"),
            Subject::TlsReports => ("TLS-RPT", "TLS 报告"),
            Subject::Autoconfig => ("autoconfig", "客户端自动配置"),
            Subject::Autodiscover => ("autodiscover", "Outlook 自动发现"),
            Subject::ImapService => ("IMAP service", "IMAP 服务记录"),
            Subject::Pop3Service => ("POP3 service", "POP3 服务记录"),
            Subject::SubmissionService => ("submission service", "发信服务记录"),
            Subject::ImapHost => ("IMAP host", "IMAP 主机名"),
            Subject::Pop3Host => ("POP3 host", "POP3 主机名"),
            Subject::SmtpHost => ("SMTP host", "SMTP 主机名"),
            Subject::WebHost => ("webmail host", "网页邮箱主机名"),
            Subject::MtaStsHost => ("MTA-STS host", "MTA-STS 主机名"),
            Subject::Sender => ("sending host", "发信主机"),
            Subject::Reverse => ("reverse name", "反向解析"),
            Subject::Blocklist => ("blocklist", "黑名单"),
            Subject::Bimi => ("BIMI", "BIMI 徽标"),
        }
    }
}

impl Verdict {
    /// For people: in English, in Chinese.
    #[must_use]
    pub const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Verdict::Good => ("good", "正常"),
            Verdict::Warning => ("could be better", "需要注意"),
            Verdict::Missing => ("missing", "缺少"),
            Verdict::Wrong => ("wrong", "错误"),
            Verdict::Unknown => ("unknown", "未知"),
        }
    }
}

impl Importance {
    /// For people: in English, in Chinese.
    #[must_use]
    pub const fn titles(self) -> (&'static str, &'static str) {
        match self {
            Importance::Required => ("required", "必需"),
            Importance::Recommended => ("recommended", "建议"),
            Importance::Optional => ("optional", "可选"),
        }
    }
}
