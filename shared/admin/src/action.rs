//! The table of actions: everything that administration does, by whom it may be done at all, and upon what.

use crate::permission::{Area, Level};

/// Upon what an action acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The installation.
    Installation,
    /// A tenant as a whole, or what belongs to all of it.
    Tenant,
    /// An account: who administers some departments may act on those in them.
    Account,
    /// A department, or the organisation itself: who administers some departments may act on those and what is below.
    Department,
}

/// Who may do it, beside those who hold the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Also {
    Nobody,
    /// A member on the own account.
    Oneself,
}

/// Who may do it, of those who hold the permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Only {
    All,
    /// Nobody whose powers the account upon which it acts exceeds: else a password would be the way up.
    NobodyBelow,
    /// The creator of the tenant, and operators.
    Creator,
    /// The creator of the tenant, super admins, and operators: no role, and no key of the tenant.
    Above,
    /// The account's own owner, in a session.
    Owner,
    /// People in sessions, and whoever runs the program on the machine: no keys.
    People,
}

struct Row {
    name: &'static str,
    area: Area,
    level: Level,
    target: Target,
    also: Also,
    only: Only,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident $name:literal $area:ident $level:ident $target:ident $also:ident $only:ident;)*) => {
        /// Something that administration does. The name is what logs and documents call it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $variant,)*
        }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Action] = &[$(Action::$variant,)*];

            const fn row(self) -> Row {
                match self {
                    $(Action::$variant => Row {
                        name: $name,
                        area: Area::$area,
                        level: Level::$level,
                        target: Target::$target,
                        also: Also::$also,
                        only: Only::$only,
                    },)*
                }
            }
        }
    };
}

actions! {
    /// List tenants.
    TenantList "tenant.list" Installation Read Installation Nobody All;
    /// Open a tenant (TEN-01).
    TenantAdd "tenant.add" Installation Write Installation Nobody All;
    /// Suspend a tenant or let it in again (TEN-10).
    TenantState "tenant.state" Installation Write Tenant Nobody All;
    /// Block functions of a tenant, or open them again (TEN-10).
    TenantBlock "tenant.block" Installation Write Tenant Nobody All;
    /// Order that everything of a tenant is erased (TEN-11).
    TenantErase "tenant.erase" Installation Write Tenant Nobody All;
    /// Withdraw that order.
    TenantErasureWithdraw "tenant.erasure-withdraw" Installation Write Tenant Nobody All;
    /// Hold what there is of a tenant, whatever ends, or no longer (TEN-11).
    TenantHold "tenant.hold" Installation Write Tenant Nobody All;
    /// List tenants that have ended, or were erased.
    EndingList "ending.list" Installation Read Installation Nobody All;
    /// Look at how long tenants that have ended are kept.
    EndingRulesRead "ending.rules.read" Installation Read Installation Nobody All;
    /// Say how long they are.
    EndingRulesChange "ending.rules" Installation Write Installation Nobody All;
    /// Look at a tenant.
    TenantRead "tenant.read" Tenant Read Tenant Nobody All;
    /// Look at what an organisation says of itself, and at how many there are (TEN-12).
    OrganisationRead "organisation.read" Tenant Read Tenant Nobody All;
    /// Say something else: contact address, logo.
    OrganisationChange "organisation.change" Tenant Write Tenant Nobody All;
    /// Look at the plan of a tenant, and at what is taken of its seats (PLN-07).
    PlanRead "plan.read" Tenant Read Tenant Nobody All;
    /// Give a tenant another plan, say that it has paid, or that it is known who it is: the operator's word (PLN-01, PLN-05).
    PlanChange "plan.change" Installation Write Tenant Nobody All;
    /// Look at whose names members' letters bear.
    NamesRead "names.read" Policies Read Tenant Nobody All;
    /// Say whether they bear the names that administrators have given, or what mail programs say (ORG-27).
    NamesChange "names.change" Policies Write Tenant Nobody All;
    /// Look at who sends nothing outside the organisation, and how often the others may.
    SendingRulesRead "sending-rules.read" Policies Read Tenant Nobody All;
    /// Say who sends nothing outside, and how often the others may (SND-21, SND-22).
    SendingRulesChange "sending-rules.change" Policies Write Tenant Nobody All;
    /// Look at the rules about what stands in members' letters.
    ContentRulesRead "content-rules.read" Policies Read Tenant Nobody All;
    /// Say which letters go, and which don't.
    ContentRulesChange "content-rules.change" Policies Write Tenant Nobody All;
    /// Ask what rules would say of a letter.
    ContentRulesTry "content-rules.try" Policies Read Tenant Nobody All;
    /// Look at the footers that stand in members' letters.
    FooterRead "footer.read" Policies Read Tenant Nobody All;
    /// Say which do (BRD-09).
    FooterChange "footer.change" Policies Write Tenant Nobody All;
    /// Look at the cards of members.
    CardRead "card.read" Policies Read Tenant Nobody All;
    /// Make cards, and say whose they are (BRD-12, BRD-13).
    CardChange "card.change" Policies Write Tenant Nobody All;
    /// Look at the servers by which the letters of a tenant go.
    RouteRead "route.read" Policies Read Tenant Nobody All;
    /// Say by which they go: the operator's word.
    RouteChange "route.change" Installation Write Tenant Nobody All;
    /// Try the server by which they go.
    RouteTest "route.test" Installation Write Tenant Nobody All;
    /// Look at where reports of others about the organisation's mail come in.
    ReportAddressesRead "report-addresses.read" Policies Read Tenant Nobody All;
    /// Say where they do.
    ReportAddressesChange "report-addresses.change" Policies Write Tenant Nobody All;
    /// Read what they say (DMARC, TLS, complaints).
    HeardReportRead "mail-report.read" Log Read Tenant Nobody All;
    /// List the addresses to which mailings are not sent any more.
    SuppressedRead "suppressed.list" Policies Read Tenant Nobody All;
    /// Send mailings to an address no more.
    SuppressedAdd "suppressed.add" Policies Write Tenant Nobody All;
    /// Send mailings to an address again.
    SuppressedRemove "suppressed.remove" Policies Write Tenant Nobody All;
    /// Look at what is done with what scanners find.
    ScanPolicyRead "scan-policy.read" Policies Read Tenant Nobody All;
    /// Say what is done with what scanners find (RCV-13, RCV-15).
    ScanPolicyChange "scan-policy.change" Policies Write Tenant Nobody All;
    /// List what lies in quarantine of the whole organisation (RCV-11).
    QuarantineList "quarantine.list" Members Read Tenant Nobody All;
    /// List what is kept from an account, look at a letter of it.
    QuarantineRead "quarantine.read" Members Read Account Oneself All;
    /// Release a letter that is kept from an account.
    QuarantineRelease "quarantine.release" Members Write Account Oneself All;
    /// Release one in which a scanner has found a virus.
    QuarantineReleaseVirus "quarantine.release-virus" Members Write Account Nobody All;
    /// Delete a letter that is kept from an account.
    QuarantineDelete "quarantine.delete" Members Write Account Oneself All;
    /// Say whether an account is told once a day of what is kept from it.
    QuarantineDigest "quarantine.digest" Members Write Account Oneself All;
    /// Look at the orders of plans (PLN-08).
    PurchaseRead "purchase.read" Tenant Read Tenant Nobody All;
    /// Write an order of a plan down: the operator's word.
    PurchaseAdd "purchase.add" Installation Write Tenant Nobody All;
    /// Say that an order was paid, or that its papers were issued.
    PurchaseChange "purchase.change" Installation Write Tenant Nobody All;
    /// Submit an order of a plan: to buy, to renew, more seats, a trial, more accounts (PLN-05, PLN-07, TEN-05, TEN-15).
    OrderSubmit "order.submit" Tenant Write Tenant Nobody All;
    /// Withdraw an order that is not decided.
    OrderWithdraw "order.withdraw" Tenant Write Tenant Nobody All;
    /// Approve or refuse an order: the operator's word.
    OrderDecide "order.decide" Installation Write Tenant Nobody All;
    /// List the orders of all tenants that wait for the operator's word.
    OrderList "order.list" Installation Read Installation Nobody All;
    /// Ask for the invoice or the contract of an order.
    PaperRequest "purchase.paper" Tenant Write Tenant Nobody All;
    /// List the versions of the terms of service, as the operator (TEN-08).
    TermsManage "terms.list" Installation Read Installation Nobody All;
    /// Publish a version of the terms of service.
    TermsPublish "terms.publish" Installation Write Installation Nobody All;
    /// Read the terms of service, and who has accepted them.
    TermsRead "terms.read" Tenant Read Tenant Nobody All;
    /// List bulletins of all tenants, as the operator (LOG-09).
    BulletinList "bulletin.list" Installation Read Installation Nobody All;
    /// Publish a bulletin for administrators.
    BulletinPublish "bulletin.publish" Installation Write Installation Nobody All;
    /// Withdraw a bulletin.
    BulletinWithdraw "bulletin.withdraw" Installation Write Installation Nobody All;
    /// Read the bulletins of the operator (LOG-09).
    BulletinRead "bulletin.read" Tenant Read Tenant Nobody All;
    /// Note that one has read a bulletin: nobody else's matter, and in no log.
    BulletinMark "bulletin.mark" Tenant Read Tenant Nobody People;
    /// Look at whom administrators turn to (ADM-05).
    ContactRead "contact.read" Installation Read Installation Nobody All;
    /// Say whom administrators turn to.
    ContactChange "contact.change" Installation Write Installation Nobody All;
    /// Look at whom the administrators of a tenant turn to instead of the operator.
    TenantContactRead "tenant.contact.read" Tenant Read Tenant Nobody All;
    /// Say whom they do: the operator's word.
    TenantContactChange "tenant.contact" Installation Write Tenant Nobody All;
    /// Accept the terms of service for the tenant.
    TermsAccept "terms.accept" Tenant Write Tenant Nobody People;
    /// Look at what the tenant says about mail programs.
    TenantClientsRead "tenant.clients.read" Policies Read Tenant Nobody All;
    /// Say something else about mail programs (CLI-08).
    TenantClientsChange "tenant.clients.change" Policies Write Tenant Nobody All;
    /// List domains, look at one.
    DomainRead "domain.read" Domains Read Tenant Nobody All;
    /// Claim a domain, which its zone has to prove; an operator gives it without (DOM-02).
    DomainAdd "domain.add" Domains Write Tenant Nobody All;
    /// Name the account for mail to unknown addresses (RCV-17).
    DomainChange "domain.change" Domains Write Tenant Nobody All;
    /// List accounts, look at one.
    AccountRead "account.read" Members Read Account Oneself All;
    /// Add an account.
    AccountAdd "account.add" Members Write Account Nobody All;
    /// Change quota or state of an account.
    AccountChange "account.change" Members Write Account Nobody NobodyBelow;
    /// Say how many messages an account may send in a day (PLN-11).
    AccountAllowance "account.allowance" Members Write Account Nobody NobodyBelow;
    /// Set a password.
    AccountPassword "account.password" Members Write Account Nobody NobodyBelow;
    /// Let a member in again who has lost password and second factor (ORG-19).
    AccountRecover "account.recover" Members Write Account Nobody NobodyBelow;
    /// Look at what an account says about mail programs.
    AccountClientsRead "account.clients.read" Members Read Account Oneself All;
    /// Say something else about them.
    AccountClientsChange "account.clients.change" Members Write Account Oneself NobodyBelow;
    /// List the tokens of an account.
    TokenRead "token.read" Members Read Account Oneself All;
    /// Make a token, which opens the mailbox.
    TokenAdd "token.add" Members Write Account Oneself NobodyBelow;
    /// Make a token worthless.
    TokenRevoke "token.revoke" Members Write Account Oneself NobodyBelow;
    /// List aliases, look at one.
    AliasRead "alias.read" Members Read Tenant Nobody All;
    /// Add an alias.
    AliasAdd "alias.add" Members Write Tenant Nobody All;
    /// Remove an alias.
    AliasRemove "alias.remove" Members Write Tenant Nobody All;
    /// List groups, look at one.
    GroupRead "group.read" Groups Read Tenant Nobody All;
    /// Add a group.
    GroupAdd "group.add" Groups Write Tenant Nobody All;
    /// Change the members of a group.
    GroupChange "group.change" Groups Write Tenant Nobody All;
    /// Give the group of a department another address, once (GRP-06).
    GroupReaddress "group.readdress" Groups Write Tenant Nobody All;
    /// Remove a group.
    GroupRemove "group.remove" Groups Write Tenant Nobody All;
    /// List addresses elsewhere that were invited to groups (GRP-07).
    FriendRead "friend.read" Groups Read Tenant Nobody All;
    /// Invite an address elsewhere.
    FriendInvite "friend.invite" Groups Write Tenant Nobody All;
    /// Invite an address elsewhere as a member.
    FriendAsk "friend.ask" Members Write Account Oneself Owner;
    /// Forget an address elsewhere: nothing goes there any more.
    FriendForget "friend.forget" Groups Write Tenant Nobody All;
    /// Look at what the tenant lets in.
    PolicyRead "policy.read" Policies Read Tenant Nobody All;
    /// Change what the tenant lets in.
    PolicyChange "policy.change" Policies Write Tenant Nobody All;
    /// List roles, look at one (ADM-09).
    RoleRead "role.read" Administrators Read Tenant Nobody All;
    /// Make a role.
    RoleAdd "role.add" Administrators Write Tenant Nobody All;
    /// Change a role.
    RoleChange "role.change" Administrators Write Tenant Nobody All;
    /// Remove a role that nobody holds.
    RoleRemove "role.remove" Administrators Write Tenant Nobody All;
    /// List who holds which role (ADM-11).
    GrantRead "grant.read" Administrators Read Tenant Nobody All;
    /// Give roles to somebody, or take them away (ADM-10).
    GrantChange "grant.change" Administrators Write Tenant Nobody All;
    /// Hand the tenant over to another creator (ADM-06).
    CreatorChange "creator.change" Administrators Write Tenant Nobody Creator;
    /// List keys, look at one.
    KeyRead "key.read" Keys Read Tenant Nobody All;
    /// Make a key.
    KeyAdd "key.add" Keys Write Tenant Nobody All;
    /// Make a key worthless.
    KeyRevoke "key.revoke" Keys Write Tenant Nobody All;
    /// Read the log of operations (LOG-06).
    LogRead "log.read" Log Read Tenant Nobody All;
    /// List keys of operators.
    OperatorKeyRead "operator-key.read" Installation Read Installation Nobody All;
    /// Make a key of an operator.
    OperatorKeyAdd "operator-key.add" Installation Write Installation Nobody All;
    /// Make a key of an operator worthless.
    OperatorKeyRevoke "operator-key.revoke" Installation Write Installation Nobody All;
    /// Read the log of the installation's operations.
    OperatorLogRead "operator-log.read" Installation Read Installation Nobody All;
    /// List departments, look at one and at who is in it; search people by name (ORG-02).
    DepartmentRead "department.read" Members Read Department Nobody All;
    /// Look at the organisation as its members do: departments, colleagues, shared groups (GRP-09).
    DirectoryRead "directory.read" Members Read Account Oneself All;
    /// Add a department (ORG-01).
    DepartmentAdd "department.add" Members Write Department Nobody All;
    /// Rename, describe, move or order a department (ORG-02).
    DepartmentChange "department.change" Members Write Department Nobody All;
    /// Remove a department that is empty.
    DepartmentRemove "department.remove" Members Write Department Nobody All;
    /// Change name, profile or departments of a person (ORG-15, ORG-16).
    PersonChange "person.change" Members Write Account Nobody All;
    /// Say from when on an account cannot be used (ORG-18).
    AccountExpire "account.expire" Members Write Account Nobody NobodyBelow;
    /// Suspend an account, or let it in again: the operator's word (TEN-10).
    AccountSuspend "account.suspend" Installation Write Account Nobody All;
    /// Look at what a member wants to be called in letters (ORG-27).
    NicknameRead "nickname.read" Members Read Account Oneself All;
    /// Say what one wants to be called in letters, where the organisation lets members choose.
    NicknameChange "nickname.change" Members Write Account Oneself Owner;
    /// Say with whom an account exchanges mail (ORG-07).
    AccountMailChange "account.mail-permission" Members Write Account Nobody NobodyBelow;
    /// Block functions of an account, or open them again: the operator's word (TEN-10).
    AccountBlock "account.block" Installation Write Account Nobody All;
    /// Hide letters of a member: the operator's word (TEN-10). What is not shown again within `housekeeping.hidden_days` is gone.
    LetterHide "letter.hide" Installation Write Account Nobody All;
    /// Show letters again that were hidden.
    LetterShow "letter.show" Installation Write Account Nobody All;
    /// Delete letters of a member for good: the operator's word (TEN-10).
    LetterDelete "letter.delete" Installation Write Account Nobody All;
    /// Give a member a VIP seat, or withdraw it (PLN-03).
    AccountVip "account.vip" Members Write Account Nobody NobodyBelow;
    /// Put an account into the recycle bin (ORG-21).
    AccountDelete "account.delete" Members Write Account Nobody NobodyBelow;
    /// Leave: give up the own account (ORG-24).
    AccountLeave "account.leave" Members Write Account Oneself Owner;
    /// Take an account from its owner (ORG-20).
    AccountUnbind "account.unbind" Members Write Account Nobody NobodyBelow;
    /// Take an account out of the recycle bin (ORG-23).
    AccountRestore "account.restore" Members Write Account Nobody NobodyBelow;
    /// List accounts that were erased (ORG-23).
    AccountErasedRead "account.erased.read" Members Read Tenant Nobody All;
    /// Give an account in the recycle bin to another member (ORG-23).
    AccountAssign "account.assign" Members Write Account Nobody NobodyBelow;
    /// Turn a member's account into a business mailbox (BIZ-03).
    AccountConvert "account.convert" Members Write Account Nobody NobodyBelow;
    /// Add a business mailbox with its users (BIZ-02).
    BusinessAdd "business.add" Members Write Account Nobody All;
    /// Look at who uses a business mailbox.
    MailboxUsersRead "mailbox-users.read" Members Read Account Nobody All;
    /// Let members use a business mailbox, or no more (BIZ-02, BIZ-04).
    MailboxUsersChange "mailbox-users.change" Members Write Account Nobody All;
    /// List the business mailboxes that an account uses (BIZ-06).
    BusinessRead "business.read" Members Read Account Oneself All;
    /// List the tokens that an account has made for a business mailbox.
    BusinessTokenRead "business-token.read" Members Read Account Oneself All;
    /// Make a token for a business mailbox that one uses (BIZ-07).
    BusinessTokenAdd "business-token.add" Members Write Account Oneself Owner;
    /// Make such a token worthless.
    BusinessTokenRevoke "business-token.revoke" Members Write Account Oneself NobodyBelow;
    /// List the secretaries of an account, or whose secretary it is.
    SecretaryRead "secretary.read" Members Read Account Oneself All;
    /// Make somebody one's secretary (DLG-01).
    SecretaryGrant "secretary.grant" Members Write Account Oneself Owner;
    /// End that somebody is one's secretary, or that one is somebody's; answer an application with no.
    SecretaryEnd "secretary.end" Members Write Account Oneself NobodyBelow;
    /// Apply to be somebody's secretary (DLG-02).
    SecretaryApply "secretary.apply" Members Write Account Oneself Owner;
    /// Copy the mail of an account that is deleted, or going to be, into another one (ORG-22, ORG-23). Takes it upon both.
    AccountBackup "account.back-up" Members Write Account Nobody NobodyBelow;
    /// Erase an account in the recycle bin with its mail (ORG-23).
    AccountErase "account.erase" Members Write Account Nobody NobodyBelow;
    /// Look at what a member has said of the letters that he receives: rules, lists of senders.
    RulesRead "rules.read" Members Read Account Oneself All;
    /// Say something else (RUL-01, RCV-07, RCV-08).
    RulesChange "rules.change" Members Write Account Oneself NobodyBelow;
    /// Look at how letters of a member are answered and forwarded by themselves.
    AutomaticRead "automatic.read" Members Read Account Oneself All;
    /// Say how they are (RUL-06, RUL-07).
    AutomaticChange "automatic.change" Members Write Account Oneself NobodyBelow;
    /// Have an address elsewhere agree that one's own letters are forwarded there, or take that back.
    ForwardTargetSet "forward-target.set" Members Write Account Oneself Owner;
    /// Look who may have letters forwarded by themselves (RUL-08).
    ForwardingRead "forwarding.read" Policies Read Tenant Nobody All;
    /// Say who may.
    ForwardingChange "forwarding.change" Policies Write Tenant Nobody All;
    /// Look what rules would do to one's own last letters.
    RulesTry "rules.try" Members Read Account Oneself Owner;
    /// Run one's own rules on mail that lies in a folder, or stop that (RUL-04).
    RulesRun "rules.run" Members Write Account Oneself Owner;
    /// Report one's own letter as spam, or refuse its sender (RCV-10, RCV-19).
    SpamReport "spam.report" Members Write Account Oneself Owner;
    /// Look at the letters that a member has reported as spam.
    SpamReportRead "spam-report.read" Log Read Account Oneself All;
    /// Look at those that all members have.
    SpamReportList "spam-report.list" Log Read Tenant Nobody All;
    /// Look at the letters of a member that ask for a read receipt.
    ReceiptRead "receipt.read" Log Read Account Oneself All;
    /// Give the sender of one's own letter a read receipt, or refuse it (SND-09).
    ReceiptAnswer "receipt.answer" Members Write Account Oneself Owner;
    /// Look at letters of a member that go later, and at those that were to (SND-08).
    HeldRead "held.read" Log Read Account Oneself All;
    /// Take such a letter back, or let it go at another time, or now.
    HeldChange "held.change" Members Write Account Oneself NobodyBelow;
    /// Look at how long a member's letters wait, so that he can take them back.
    UndoRead "undo.read" Members Read Account Oneself All;
    /// Say how long they wait.
    UndoChange "undo.change" Members Write Account Oneself NobodyBelow;
    /// Look at what stands in the letters of an account.
    FooterPreview "footer.preview" Members Read Account Oneself All;
    /// Look at the cards that a member may choose from.
    OwnCardRead "own-card.read" Members Read Account Oneself All;
    /// Choose one (SND-10).
    OwnCardChoose "own-card.choose" Members Write Account Oneself NobodyBelow;
    /// Look whether members see who has read what they sent.
    ReadStatusRead "read-status.read" Policies Read Tenant Nobody All;
    /// Say whether they do (DLV-07).
    ReadStatusChange "read-status.change" Policies Write Tenant Nobody Above;
    /// Look at the letters that a member has sent, and at what became of them (DLV-01, DLV-05), who has read them (DLV-06).
    OwnLetterRead "own-letter.read" Log Read Account Oneself All;
    /// Look at how many recipients a mailing of the organisation has at most.
    MailingRulesRead "mailing-rules.read" Policies Read Tenant Nobody All;
    /// Say how many (PMG-06).
    MailingRulesChange "mailing-rules.change" Policies Write Tenant Nobody All;
    /// Look at the mailings of a member, to whom they go and what became of that (PMG-08, DLV-02).
    MailingRead "mailing.read" Log Read Account Oneself All;
    /// Make a mailing of a table; nothing goes yet (PMG-01).
    MailingAdd "mailing.add" Members Write Account Oneself NobodyBelow;
    /// Look at what its letters will say (PMG-05).
    MailingPreview "mailing.preview" Members Write Account Oneself NobodyBelow;
    /// Send one of them to the member alone (PMG-05).
    MailingTry "mailing.try" Members Write Account Oneself NobodyBelow;
    /// Let a mailing go.
    MailingSend "mailing.send" Members Write Account Oneself NobodyBelow;
    /// Stop it.
    MailingStop "mailing.stop" Members Write Account Oneself NobodyBelow;
    /// Look at the bodies that a member keeps for mailings (PMG-07).
    MailTemplateRead "mail-template.read" Members Write Account Oneself NobodyBelow;
    /// Keep one, or keep it no longer.
    MailTemplateChange "mail-template.change" Members Write Account Oneself NobodyBelow;
    /// List tags, look at one (ORG-25).
    TagRead "tag.read" Members Read Tenant Nobody All;
    /// Add a tag.
    TagAdd "tag.add" Members Write Tenant Nobody All;
    /// Rename a tag, or mark others with it.
    TagChange "tag.change" Members Write Tenant Nobody All;
    /// Remove a tag.
    TagRemove "tag.remove" Members Write Tenant Nobody All;
    /// Look at what the tenant says about signing in.
    SignInRulesRead "sign-in-rules.read" Policies Read Tenant Nobody All;
    /// Change what passwords have to be, when accounts are locked, from where members sign in (AUT-09, AUT-12 … AUT-17).
    SignInRulesChange "sign-in-rules.change" Policies Write Tenant Nobody All;
    /// Look at what holds for the sign-in of an account beside that.
    AccountSignInRulesRead "account.sign-in-rules.read" Members Read Account Oneself All;
    /// Give an account a rule of addresses of its own, or force secure sign-in (AUT-09, AUT-15).
    AccountSignInRulesChange "account.sign-in-rules.change" Members Write Account Nobody NobodyBelow;
    /// Turn one's own secure sign-in on or off (AUT-08).
    AccountSecureSignIn "account.secure-sign-in" Members Write Account Oneself NobodyBelow;
    /// Set another password in the place of the one that one knows (AUT-05).
    AccountOwnPassword "account.own-password" Members Write Account Oneself NobodyBelow;
    /// List accounts that wrong passwords have locked (AUT-16).
    LockRead "lock.read" Members Read Account Nobody All;
    /// Unlock an account.
    LockRemove "lock.remove" Members Write Account Nobody NobodyBelow;
    /// Read the record of all sign-ins of the tenant (LOG-02, LOG-05).
    SignInRead "sign-in.read" Log Read Tenant Nobody All;
    /// Read the record of an account's sign-ins (LOG-11).
    AccountSignInRead "account.sign-in.read" Members Read Account Oneself All;
    /// Look whether the zone of a claimed domain proves whose it is (DOM-08).
    DomainVerify "domain.verify" Domains Write Tenant Nobody All;
    /// Look at the records of a domain (DOM-07).
    DomainCheck "domain.check" Domains Read Tenant Nobody All;
    /// Make a domain stand for another one.
    DomainAlias "domain.alias" Domains Write Tenant Nobody All;
    /// Remove a domain with all that is in it (DOM-13).
    DomainRemove "domain.remove" Domains Write Tenant Nobody All;
    /// Close a domain, or open it again (TEN-10).
    DomainSuspend "domain.suspend" Installation Write Tenant Nobody All;
    /// Make a key with which letters of a domain are signed.
    DomainKeyAdd "domain-key.add" Domains Write Tenant Nobody All;
    /// End the use of such a key, or say when keys are changed for new ones. What becomes of a key because of what DNS shows
    /// is recorded as this, too.
    DomainKeyChange "domain-key.change" Domains Write Tenant Nobody All;
    /// Say whether mail for a domain may be brought without TLS (MTA-STS).
    DomainTls "domain.tls" Domains Write Tenant Nobody All;
    /// Look at what domains have to point at.
    ServiceRead "service.read" Installation Read Installation Nobody All;
    /// Say at what domains have to point.
    ServiceChange "service.change" Installation Write Installation Nobody All;
    /// List the sessions of an account.
    SessionRead "session.read" Members Read Account Oneself All;
    /// End sessions of an account.
    SessionEnd "session.end" Members Write Account Oneself NobodyBelow;
    /// Look whether an account has a second factor.
    SecondFactorRead "second-factor.read" Members Read Account Oneself All;
    /// Set up the own second factor (AUT-11).
    SecondFactorSet "second-factor.set" Members Write Account Oneself Owner;
    /// Show the own second factor for what can't be made undone (ADM-13).
    SessionConfirm "session.confirm" Members Write Account Oneself Owner;
    /// Take away the second factor of somebody who has lost it.
    SecondFactorReset "second-factor.reset" Members Write Account Nobody NobodyBelow;
    /// Look at the rules of sessions and second factors.
    SecurityRead "security.read" Policies Read Tenant Nobody All;
    /// Change them.
    SecurityChange "security.change" Administrators Write Tenant Nobody All;
    /// List what waits for a second administrator (ADM-13).
    RequestRead "request.read" Administrators Read Tenant Nobody All;
    /// Confirm what another administrator has ordered. Takes the permission for that, too.
    RequestConfirm "request.confirm" Administrators Write Tenant Nobody People;
    /// Refuse what another administrator has ordered, or take back what one has ordered oneself.
    RequestRefuse "request.refuse" Administrators Write Tenant Nobody People;
    /// Look at what the tenant says about joining (ORG-11).
    JoiningRead "joining.read" Members Read Tenant Nobody All;
    /// Say something else about joining.
    JoiningChange "joining.change" Members Write Tenant Nobody All;
    /// List invitations, look at one (ORG-10).
    InvitationRead "invitation.read" Members Read Tenant Nobody All;
    /// Make an invitation by which people become members.
    InvitationAdd "invitation.add" Members Write Tenant Nobody All;
    /// Invite colleagues (ORG-14).
    ColleagueInvite "colleague.invite" Members Write Account Oneself Owner;
    /// Give an invitation another secret and a new term.
    InvitationRenew "invitation.renew" Members Write Tenant Nobody All;
    /// Make an invitation worthless.
    InvitationRevoke "invitation.revoke" Members Write Tenant Nobody All;
    /// List who applies to join, look at one (ORG-11).
    ApplicationRead "application.read" Members Read Tenant Nobody All;
    /// Let somebody join who applies for it.
    ApplicationApprove "application.approve" Members Write Tenant Nobody All;
    /// Refuse somebody who applies to join.
    ApplicationRefuse "application.refuse" Members Write Tenant Nobody All;
    /// Invite a member who has no password yet to set one (ORG-12).
    MemberInvite "member.invite" Members Write Account Nobody NobodyBelow;
    /// Import departments, people and groups from tables (ORG-09, ORG-13, GRP-08). Groups take the permission for groups, too.
    OrganisationImport "organisation.import" Members Write Tenant Nobody All;
    /// Export departments, people or groups into tables (ORG-28). Groups take the permission for groups, too.
    OrganisationExport "organisation.export" Members Read Tenant Nobody All;
    /// List long operations, look at one and at what came of it (LOG-08).
    TaskRead "task.read" Members Read Tenant Nobody All;
    /// Stop a long operation; what it has done stays.
    TaskCancel "task.cancel" Members Write Tenant Nobody All;
    /// Look at what the tenant and its domains received and sent, day by day (LOG-01).
    MailStatisticsRead "mail-statistics.read" Log Read Tenant Nobody All;
    /// Look at what members received and sent (LOG-01).
    MemberStatisticsRead "member-statistics.read" Log Read Account Nobody All;
    /// Look at what mailboxes hold (LOG-03).
    MailboxUseRead "mailbox-use.read" Log Read Account Nobody All;
    /// Look for single letters and at what happened to them, without what is in them (LOG-04).
    LetterRead "letter.read" Log Read Account Nobody All;
    /// Look at the report of a month (LOG-10).
    ReportRead "report.read" Log Read Tenant Nobody All;
    /// Look at the recovery address of an account (AUT-07).
    RecoveryRead "recovery.read" Members Read Account Oneself All;
    /// Say another recovery address, or none.
    RecoverySet "recovery.set" Members Write Account Oneself Owner;
    /// Look at the mobile number by which an account signs in (AUT-01).
    MobileRead "mobile.read" Members Read Account Oneself All;
    /// Say another mobile number, or none.
    MobileSet "mobile.set" Members Write Account Oneself Owner;
    /// List providers of identities, look at one (AUT-01).
    ProviderRead "provider.read" Policies Read Tenant Nobody All;
    /// Add, change or remove a provider, which then says who members are. In a session it is confirmed first.
    ProviderChange "provider.change" Administrators Write Tenant Nobody Creator;
    /// List the bindings of an account with providers (AUT-19).
    BindingRead "binding.read" Members Read Account Oneself All;
    /// Bind oneself to who one is at a provider.
    BindingAdd "binding.add" Members Write Account Oneself Owner;
    /// Cut a binding.
    BindingCut "binding.cut" Members Write Account Oneself NobodyBelow;
    /// Give oneself another address, as the creator, once (ORG-03).
    CreatorReaddress "creator.readdress" Members Write Account Oneself Owner;
    /// Ask for a ticket with which a member is let in (INT-01).
    TicketAdd "ticket.add" SignOn Write Account Nobody NobodyBelow;
    /// Look at how many unread letters a member has (INT-01).
    UnreadRead "unread.read" Notices Read Account Oneself All;
    /// List subscriptions to notices of new mail, look at one and at how telling goes (INT-01).
    SubscriptionRead "subscription.read" Notices Read Tenant Nobody All;
    /// Add, change or remove a subscription, let it go on, or try it. That one was paused is recorded as this, too.
    SubscriptionChange "subscription.change" Notices Write Tenant Nobody All;
    /// Look at members and tags over SCIM (ORG-26).
    ProvisioningRead "provisioning.read" Provisioning Read Tenant Nobody All;
    /// Have members, their departments and tags as a directory elsewhere has them. What is done is recorded as what it is; as
    /// this, what that directory calls them.
    ProvisioningChange "provisioning.change" Provisioning Write Tenant Nobody All;
}

impl Action {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Which permission it takes: of what.
    #[must_use]
    pub const fn area(self) -> Area {
        self.row().area
    }

    /// Which permission it takes: how far.
    #[must_use]
    pub const fn level(self) -> Level {
        self.row().level
    }

    /// Upon what it acts.
    #[must_use]
    pub const fn target(self) -> Target {
        self.row().target
    }

    /// May a member do it on the own account?
    #[must_use]
    pub const fn is_ones_own(self) -> bool {
        matches!(self.row().also, Also::Oneself)
    }

    /// Must whoever does it have all powers of the account upon which it acts?
    #[must_use]
    pub const fn needs_rank(self) -> bool {
        matches!(self.row().only, Only::NobodyBelow)
    }

    /// Is it for the creator alone, and operators?
    #[must_use]
    pub const fn is_creators(self) -> bool {
        matches!(self.row().only, Only::Creator)
    }

    /// Is it for the creator and super admins alone, and operators?
    #[must_use]
    pub const fn is_for_those_above(self) -> bool {
        matches!(self.row().only, Only::Above)
    }

    /// Is it for the account's own owner alone, in a session?
    #[must_use]
    pub const fn is_owners(self) -> bool {
        matches!(self.row().only, Only::Owner)
    }

    /// Is it for people in sessions, and for nothing that holds a key?
    #[must_use]
    pub const fn is_for_people(self) -> bool {
        matches!(self.row().only, Only::People)
    }

    /// Can't it be made undone, or does it take such protection away? Then whoever does it confirms who he is (ADM-13),
    /// and where the tenant wishes it, a second administrator confirms it.
    #[must_use]
    pub const fn is_dangerous(self) -> bool {
        matches!(
            self,
            Action::TenantState
                | Action::TenantBlock
                | Action::TenantErase
                | Action::TenantHold
                | Action::EndingRulesChange
                | Action::PlanChange
                | Action::OrderDecide
                | Action::DomainRemove
                | Action::DomainSuspend
                | Action::RoleChange
                | Action::GrantChange
                | Action::CreatorChange
                | Action::SecondFactorReset
                | Action::AccountRecover
                | Action::SecurityChange
                | Action::RequestConfirm
                | Action::AccountErase
                | Action::LetterDelete
        )
    }

    /// Does it go into the log of operations? Everything that changes something does.
    #[must_use]
    pub const fn is_recorded(self) -> bool {
        matches!(self.level(), Level::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_what_is_the_installations_is_no_tenants() {
        let names: BTreeSet<&str> = Action::ALL.iter().map(|action| action.name()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            if action.target() == Target::Installation {
                assert_eq!(action.area(), Area::Installation, "{}", action.name());
            }
            assert!(!action.is_ones_own() || action.target() == Target::Account, "{}", action.name());
            assert!(!action.needs_rank() || action.is_recorded(), "{}", action.name());
        }
    }
}
