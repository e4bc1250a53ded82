# What the program says to a person, in English. Every key stands in zh-CN.ftl, too.

## Errors of the directory

error-unavailable = not possible at the moment, try again: { $cause }
error-damaged = the store holds damaged data: { $cause }
error-contended = too many changes at once, try again
error-not-a-domain = “{ $text }” is not a domain name
error-not-an-address = “{ $text }” is not a mail address: it needs the form name@domain
error-local-part = “{ $text }” is not a mail address: the part before the @ is not valid
error-unsuitable-address = { $address } cannot be given away: use letters, digits, dots and hyphens before the @, and no +
error-list-full = a list holds at most { $limit } entries
error-keyword = a subject keyword has 1 to { $limit } characters and no control characters
error-member-rules = the rules can't be so: { $cause } ({ $place })
error-name = a name has 1 to { $limit } characters and no control characters
error-password = the password can’t be used: { $broken }
error-sign-in-rules = { $cause }
error-no-tenant = there is no tenant “{ $name }”; see “pennypost tenant list”
error-no-domain = there is no domain { $name }; add it with “pennypost domain add { $name } --tenant NAME”
error-no-account = there is no account { $name }; see “pennypost account list”
error-no-token = { $address } has no token { $id }; see “pennypost account token list”
error-no-alias = there is no alias { $name }
error-no-group = there is no group { $name }
error-no-member = { $name } is no member of the group
error-tenant-taken = there is a tenant “{ $name }” already
error-domain-taken = the domain { $name } is taken
error-address-taken = the address { $address } is taken by an account, alias or group
error-mobile = a mobile number has its country and 8 to 15 digits, such as +8613800000000
error-mobile-taken = another member has that mobile number
error-other-tenant = { $name } belongs to another tenant
error-no-targets = at least one target is needed
error-too-many = too many: at most { $limit } are possible
error-group-cycle = the group { $address } would contain itself
error-group-depth = groups may lie in groups up to { $limit } levels deep
error-no-department = there is no department “{ $name }”; see “pennypost department list”
error-department-taken = there is a department “{ $name }” there already
error-department-name = a department’s name has 1 to { $limit } characters, no /, no control characters, and does not begin with #
error-department-depth = departments may lie in departments up to { $limit } levels deep
error-department-cycle = the department “{ $name }” would be below itself
error-department-not-empty = the department “{ $name }” is not empty: move its accounts and departments first
error-no-tag = there is no tag “{ $name }”; see “pennypost tag list”
error-tag-taken = there is a tag “{ $name }” already
error-field = what is given for { $name } is too long (at most { $limit } characters) or holds characters that do not belong there
error-in-bin = { $address } is in the recycle bin: see “pennypost account restore” and “pennypost account assign”
error-not-in-bin = { $address } is not in the recycle bin
error-bin-over = the time of { $address } in the recycle bin is over: it can only be erased
error-secretary-cycle = { $address } would be their own secretary, at once or by others
error-no-invitation = there is no such invitation
error-joining-closed = the organisation does not let people join by invitation
error-invitation-past = the time of the invitation is over
error-invitation-revoked = the invitation was revoked
error-invitation-used-up = the invitation was accepted as often as it may be
error-invitation-terms = an invitation is accepted 1 to 1,000 times, and good for 90 days at most
error-address-fixed = the address of { $address } is no department’s, or was changed already
error-joining-domain = say in which domain those who join get an address
error-no-application = nobody applies for { $address }
error-decided = the application for { $address } is not to be decided any more
error-already-joined = { $address } needs no invitation: there is a password, or there can be none
error-wrong-kind = { $address } is not an account with which that is done: members’ accounts are deleted, unbound and assigned, business mailboxes are withdrawn, what was unbound needs a new owner
error-group-follows = the members of this group are those of its department
error-empty-account = the mail of { $address } cannot be erased: { $cause }
error-file-write = { $path } cannot be written: { $cause }
error-file-rows = { $path } has more than { $limit } rows
error-file-encoding = { $path } is text in none of UTF-8, UTF-16 and GB18030
error-file-workbook = { $path } is a workbook that cannot be read: it must be XLSX, not encrypted, with at most 100 columns a sheet
error-file-sheets = { $path } is a workbook with more than { $limit } sheets; nothing of it is imported
error-file-unpacked = { $path } is a workbook with more than { $limit } MB when it is unpacked
error-file-columns = the first line of { $path } must name the columns: “address” for people, “address” with “members” or “senders” for groups, “department” for departments; see “pennypost organisation template”. Not understood: “{ $column }”
error-import-row = { $file }, line { $line }: { $cause }
error-import-refused = { $failed ->
    [one] one row was refused
   *[other] { $failed } rows were refused
 }
error-row-cells = the row has { $found } cells, but there are { $known } columns
error-row-garbled = “{ $cell }” is damaged text
error-row-formula = “{ $cell }” is a formula
error-row-merged = the row holds merged cells
error-row-address = there is no address
error-row-blank = “{ $address }” holds a blank
error-row-department = there is no department
error-row-word = “{ $cell }” is not understood in the column “{ $column }”
error-row-twice = { $address } stands in { $file }, line { $line }, already
error-row-domain = mail is not brought to { $domain } yet, and the tenant waits for that
error-row-no-domain = there is no domain { $domain }
error-row-no-seat = all { $seats } accounts that the organisation’s plan allows are there

## Errors of the commands

error-line = error: { $message }
error-output = the output cannot be written: { $cause }
error-file = { $path } cannot be read: { $cause }
error-file-too-large = { $path } is larger than { $limit } MB
error-open-account = the account { $address } was added, but its mailboxes could not be opened: { $cause }
error-which-tenant = there are several tenants: say which with --tenant NAME
error-no-tenant-yet = there is no tenant yet; add one with “pennypost tenant add NAME”
error-password-input = no password: { $cause }
error-password-terminal = no password: { $cause }; without a terminal give it with --password-stdin, or have one made up with --generate-password
error-password-stdin = standard input has no line with a password
error-password-twice = the two passwords differ
error-address-needed = an address is needed, or --csv FILE
error-csv-header = the first line of { $path } must name the columns; “address” is needed, “name”, “quota” and “password” are possible; found: “{ $column }”
error-csv-row = line { $line }: { $cause }
error-csv-quota = “{ $text }” is no size; examples: 500MB, 10GB
error-csv-utf8 = the text is not UTF-8
error-csv-twice = { $address } stands twice in the file
error-csv-some-failed = { $failed ->
    [one] one row failed
   *[other] { $failed } rows failed
 }, { $added } succeeded
error-nothing-to-set = nothing to set: give --dmarc-reject or --junk-threshold

## Prompts

prompt-password = Password for { $address }:
prompt-password-again = Once more:

## Results

tenant-added = added the tenant “{ $name }” ({ $id })
tenant-suspended = the tenant “{ $name }” is suspended: nobody signs in, mail is put off
tenant-resumed = the tenant “{ $name }” is active again
tenants-none = there are no tenants yet
domain-added = added the domain { $name }
domains-none = there are no domains yet
catch-all-set = mail to unknown addresses of { $domain } goes to { $address }
catch-all-off = mail to unknown addresses of { $domain } is refused
account-added = added the account { $address }
account-generated-password = password of { $address } (shown only once): { $password }
account-password-changed = changed the password of { $address }
account-quota-changed = { $address } may hold { $quota } bytes
account-disabled = disabled { $address }: no sign-in, no new mail
account-enabled = enabled { $address }
accounts-none = there are no accounts yet
account-edited = changed what the directory says of { $address }
account-moved = { $address } is now in: { $departments }
account-suspended = suspended { $address }: no sign-in, no new mail, until the operator resumes it
account-resumed = { $address } is no longer suspended
account-expires = { $address } ends at { $date }
account-never-expires = { $address } does not end
account-binned = { $address } is in the recycle bin until { $until }
account-restored = { $address } is out of the recycle bin
account-assigned = { $address } now belongs to “{ $name }”
account-is-business = { $address } is a business mailbox: no password opens it
account-backed-up = copied { $messages } messages of { $address } to { $into }, { $damaged } of which are damaged and left out
account-backup-ordered = the mail of { $address } is being copied: task { $id }
account-erased = erased { $address }
account-permitted = { $address } may send to: { $send }, and takes mail from: { $receive }
functions-blocked = blocked of { $of }: { $functions }
functions-open = nothing is blocked of { $of }
functions-of-accounts = only sending, receiving-from-outside and mail-programs can be blocked of a single account
function-of-tenants = { $function } is blocked of a whole tenant only
password-and-invitation = either a password or an invitation
order-bad = an order has a currency by three capital letters, a term that ends after it begins, and a note of 500 characters at most
order-over = the term of the order is over
order-decided = there is nothing to be decided about the order any more
order-tried = the organisation has tried it out already, or has it
order-no-plan = the organisation has no plan, and is limited by nothing
order-impossible = to buy takes VIP seats and 1 to 10 years, to renew years, more seats their number, a trial 1 to 10 VIP seats, more accounts a larger number and a reason
order-approval = what costs something has a currency by three capital letters, and what is renewed or extended is paid
ending-ended = ended
ending-from = erased from
ending-erased = erased
ending-held = held
ending-order = ordered
ending-state = { $state ->
    [open] open
    [ended] ended
    [held] held
    [erasing] being erased
   *[erased] erased
}
ending-kept = tenants that have ended are kept for { $days } days
ending-kept-always = tenants that have ended are kept until an order says otherwise
endings-none = no tenant has ended
ending-begun = erasing the tenant has begun
ending-grace = tenants that have ended are kept for { $least } to { $most } days
ending-days = an order is carried out within { $most } days
reason-bad = a reason has 1 to { $limit } characters
terms-bad = terms of service have 1 to { $limit } bytes
bulletin-bad = a bulletin has a title of 1 to { $title } and a text of 1 to { $most } characters in both languages, and ends after it begins
contact-bad = name, phone and mail have at most { $limit } characters each and no control characters
bin-empty = the recycle bin is empty
import-progress = { $done } of { $total } rows
import-organisation-done = added { $departments ->
    [one] 1 department
   *[other] { $departments } departments
 }, { $people ->
    [one] 1 account
   *[other] { $people } accounts
 }, { $groups ->
    [one] 1 group
   *[other] { $groups } groups
 }
import-organisation-dry = could add { $departments ->
    [one] 1 department
   *[other] { $departments } departments
 }, { $people ->
    [one] 1 account
   *[other] { $people } accounts
 }, { $groups ->
    [one] 1 group
   *[other] { $groups } groups
 }; nothing was changed
warning-task-unrecorded = All was done, but is not listed among the tasks: { $cause }
import-skipped = { $skipped ->
    [one] 1 row was
   *[other] { $skipped } rows were
 } there already
export-organisation = wrote { $departments ->
    [one] 1 department
   *[other] { $departments } departments
 }, { $people ->
    [one] 1 account
   *[other] { $people } accounts
 }, { $groups ->
    [one] 1 group
   *[other] { $groups } groups
 }
group-for-department = { $address } is the group of { $path }
senders-everyone = everybody, also from outside
senders-inside = every account of the organisation
senders-members = its members, and who is allowed
senders-named = only who is allowed
people-none = nobody found
department-added = added the department { $path } (#{ $id })
department-changed = changed the department { $path }
department-removed = removed the department { $path }
tag-added = added the tag “{ $name }”
tag-renamed = the tag is now called “{ $name }”
tag-removed = removed the tag “{ $name }”
tag-marks = the tag “{ $name }” marks { $accounts ->
    [one] 1 account
   *[other] { $accounts } accounts
 } and { $departments ->
    [one] 1 department
   *[other] { $departments } departments
 }
tags-none = there are no tags yet
token-created = made the token “{ $name }” for { $address }
token-once = token (shown only once): { $token }
token-revoked = revoked the token { $id } of { $address }: sessions that stand on it end
tokens-none = the account has no tokens
clients-set = set what mail programs may do: { $name }
clients-reset = forgot what was said about mail programs: { $name }
clients-imap-range = IMAP sees mail of
clients-imap-folders = IMAP sees own folders
clients-imap-junk = IMAP sees the junk folder
clients-pop3-range = POP3 sees mail of
clients-pop3-folders = POP3 sees mail of own folders
clients-pop3-junk = POP3 sees junk
range-all = all time
range-2-years = the last 2 years
range-1-year = the last year
range-3-months = the last 3 months
range-30-days = the last 30 days
range-7-days = the last 7 days
csv-imported = { $added ->
    [one] added one account
   *[other] added { $added } accounts
 }
csv-dry-run = { $added ->
    [one] one account could be added
   *[other] { $added } accounts could be added
 }; nothing was changed
alias-added = added the alias { $address } for { $count ->
    [one] 1 account
   *[other] { $count } accounts
 }
alias-removed = removed the alias { $address }
aliases-none = there are no aliases yet
group-added = added the group { $address } with { $count ->
    [one] 1 member
   *[other] { $count } members
 }
group-changed = the group { $address } has { $count ->
    [one] 1 member
   *[other] { $count } members
 }
group-readdressed = the group { $former } is { $address } from now on
group-removed = removed the group { $address }
groups-none = there are no groups yet
friends-none = nobody elsewhere was invited to a group yet
friend-stranger = invited, has not agreed
friend-friend = has agreed
friend-left = wants no more
friend-suspended = letters come back
friend-forgotten = { $address } is forgotten; nothing goes there until it is invited again and agrees
friend-needs-seat = only members with a VIP seat do that
friend-sends-inside = you may send within your organisation only
friend-not-in-group = that address is no member of the group
friend-wants-no-more = whoever has that address wants no more
error-no-friend = { $name } was never invited; see “pennypost group friends”
list-entry-added = added: { $entry }
list-entry-there = there already: { $entry }
list-entry-removed = removed: { $entry }
list-entry-missing = not there: { $entry }
policy-set = the policy is set

## Words in tables

word-tenant = tenant
word-name = name
word-state = state
word-created = created
word-domain = domain
word-catch-all = catch-all
word-address = address
word-quota = quota
word-users = users
word-members = members
word-targets = leads to
word-account = account
word-accounts = accounts
word-department = department
word-departments = departments
word-description = description
word-title = title
word-phone = phone
word-mobile = mobile
word-staff-number = staff number
word-note = note
word-aliases = aliases
word-since = since
word-until = kept until
word-kept = kept
word-deleted = deleted
word-unbound = unbound
word-withdrawn = withdrawn
word-expired = time is over
word-senders = who may send
word-allowed = allowed
word-representatives = speak for it
word-tags = tags
word-shared = in the directory
word-number = number
word-scope = opens
word-expires = ends
word-imap = IMAP
word-pop3 = POP3
word-password = password
word-passwords = password opens the mailbox in mail programs
word-pop3-deletes = POP3 programs may delete
clients-smtp = mail programs may send (SMTP)
clients-sent-copies = what they send is kept in Sent
word-version = version
word-blacklist = blacklist
word-whitelist = whitelist
word-subject-filter = subject filter
word-dmarc-reject = refuse by DMARC
word-junk-threshold = junk from points
word-active = active
word-suspended = suspended
word-erasing = being erased
word-disabled = disabled
word-yes = yes
word-no = no
word-function = function
word-trigger = started by
word-stages = stages
word-sends = sends to
word-memory = memory
word-time-limit = time limit

## Running, importing, verifying

failed-open = the data directory cannot be opened: { $cause }
failed-no-data = there is no data directory { $data }: name it with --data; “pennypost serve” and “pennypost tenant add” make a new one
failed-not-a-directory = the data directory { $data } is not a directory
failed-store = the mail store failed: { $cause }
failed-io = { $cause }
failed-cloud = the cloud’s services cannot be used: { $cause }
config-file = the configuration { $path } cannot be used: { $cause }
config-setting = “{ $setting }” is not a setting: it must look like pipeline.fused=false
config-setting-value = the setting “{ $setting }” is not valid: { $cause }
config-at = the configuration { $path } is not valid, line { $line }: { $cause }
config-days = { $name } is { $value }: it must be a number of days, at least { $least }
config-too-young = housekeeping.min_age_days is { $value }: it must be at least housekeeping.restore_days + 1, which is { $least }
log-filter = PENNYPOST_LOG is not valid: “{ $filter }”; examples: info, debug, warn,pennypost_ingress=trace
serve-tls = the TLS certificate cannot be used: { $cause }
serve-start = the post office cannot start: { $cause }
serve-handlers = on the embedded backend nobody else handles events: leave --handlers out, or add --backend aws
serve-missing = not there by these names: { $names }. Deploy the template (docs/deploy.md), or make them by “pennypost create --backend aws”; PENNYPOST_STACK, PENNYPOST_BUCKET, AWS_REGION and AWS_ENDPOINT_URL say where to look
serve-bind = cannot listen for { $name } on { $address }: { $cause }
serve-ready = Pennypost is open. Data directory: { $data }
serve-ready-cloud = Pennypost is open. Mail lies in the services that the AWS environment names.
serve-certificate = TLS uses the self-signed certificate { $path } (put your own cert.pem and key.pem there); mail programs will ask you to trust it once.
serve-demo = Demo accounts: { $accounts } – password: { $password }
serve-next-steps =
    Next steps, in another terminal:
      pennypost tenant add acme
      pennypost domain add acme.example --tenant acme
      pennypost account add ann@acme.example
serve-stop = Stop with Ctrl-C.
created = The data directory { $data } is there.
created-cloud = Tables, queues and bucket are there.
demo-no-mail = no sample mail at { $path }: the demo begins with empty mailboxes
demo-not-loopback = the demo’s password is known to everybody: with --demo nothing listens on { $address }, only on loopback addresses such as 127.0.0.1
import-path = { $path } cannot be imported: { $cause }
import-message = { $place }: { $cause }
import-mailbox = mailbox { $mailbox } cannot take the mail: { $cause }
import-done = { $imported } imported, { $present } were there already, { $failed } could not be read
verify-violation = VIOLATED invariant { $invariant }, account { $account }: { $what }
verify-summary = { $accounts } accounts, { $messages } messages, { $entries } journal entries, { $read } messages read byte by byte, { $traces } traces, { $operations } operations of administrators
verify-clean = Every invariant holds.
verify-broken = { $violations ->
    [one] One violation.
   *[other] { $violations } violations.
 }

## Mail: mailbox, export, trace, replay, dead letters

word-role = use
word-messages = messages
word-unseen = unseen
word-size = size
word-date = date
word-from = from
word-to = to
word-subject = subject
word-flags = flags
word-died = given up
word-queue = queue
word-tries = tries
word-cause = cause
word-message = message
word-accepted = accepted
mailbox-missing = { $address } has no mailbox “{ $name }”; see “pennypost mailbox { $address }”
mailbox-empty = there are no such messages in { $name }
mailboxes-none = there are no mailboxes yet
export-done = exported { $messages ->
    [one] 1 message
   *[other] { $messages } messages
 } ({ $size }) from { $mailboxes ->
    [one] 1 mailbox
   *[other] { $mailboxes } mailboxes
 }; { $skipped } were there already
export-some-failed = { $failed ->
    [one] 1 message
   *[other] { $failed } messages
 } could not be exported
export-message-failed = the message { $uid } in { $mailbox } cannot be read: { $cause }
export-write = { $path } cannot be written: { $cause }
trace-none = no message found
trace-submitted = handed in by { $address }, { $protocol }
trace-accepted = accepted from { $peer }: sender { $sender }, { $size } bytes
trace-reasons = because of { $reasons }
trace-stored = { $address }: delivered to { $mailbox } as UID { $uid } (entry { $seq })
trace-not-stored = { $address }: not delivered: { $cause }
trace-now-seen = now in { $mailbox } as UID { $uid }, seen
trace-now-unseen = now in { $mailbox } as UID { $uid }, not seen yet
trace-now-deleted = deleted at { $time } ({ $reason }), can still be restored
trace-now-gone = deleted for good
trace-dead = given up in the queue { $queue }: { $cause }
trace-replayed = put into the queue { $queue } again by an administrator
trace-received = received by { $by } as { $id }
trace-received-held = received by { $by } as { $id } and not accepted: { $cause }
trace-unreached = { $address } was not reached: { $cause }
trace-outside = { $address }: for another server
trace-remote = attempt { $number } at { $destination }, { $host }, TLS: { $tls }
trace-remote-sent = { $address }: the other server has taken it: { $answer }
trace-remote-deferred = { $address }: not taken yet: { $answer }
trace-remote-failed = { $address }: failed: { $answer }
trace-was-read = { $address }: has read it, as a receipt says
trace-read-receipt = the receipt is the message { $id }
trace-came-back = { $address }: taken, and come back later: { $answer }, reported by { $reporter }
trace-remote-smart-host = the smart host
trace-remote-by-sender = its sender (REQUIRETLS)
trace-remote-demand = { $by } asks for TLS with a valid certificate
trace-remote-private = { $by } asks for TLS with a valid certificate, and it was so
trace-remote-not-private = { $by } asks for TLS with a valid certificate, and there was none: { $cause }
trace-remote-next = tried again at { $time }
trace-remote-reported = its sender was told by the message { $id }
trace-being-processed = being processed: { $cause }
trace-quarantined = { $address }: in quarantine: { $cause }
trace-refused = ended by an administrator: { $cause }
replay-message = the message { $id } is in the queue { $queue }; the server (“pennypost serve”) must run for it to be worked on. What arrived already is not doubled.
replay-event = the event is in the queue { $queue }; the server (“pennypost serve”) must run for it to be worked on
replay-no-event = { $path } holds no event: { $cause }
replay-no-tenant = tenant { $tenant } of the event is not here, and the event has no addresses by which others could get it
replay-no-account = the event is for { $address }, which is nobody’s address here; see “pennypost account add”
replay-unknown = nothing is known of { $id }: there is no such dead letter and no such message in the trace
replay-gone = nobody has a copy of { $id } any more from which it could be sent again
dead-letters-none = there are no dead letters
dead-letter-missing = there is no dead letter { $id }; see “pennypost dead-letters list”
dead-letter-replayed = the dead letter { $id } is in the queue { $queue } again; the server (“pennypost serve”) must run for it to be worked on
dead-letters-replayed = { $count ->
    [one] 1 dead letter is
   *[other] { $count } dead letters are
 } in the queues again; the server (“pennypost serve”) must run for them to be worked on
dead-letter-refused = the dead letter { $id } is ended; its trace says why
dead-letter-unreadable = the event is about no message or cannot be read
dead-letter-no-header = the header of the message cannot be read: { $cause }

## bench

bench-failed = the measurement failed: { $cause }
bench-head-operation = Operation
bench-head-figure = Figure
bench-head-median = Median
bench-head-unit = Unit
bench-head-rounds = Rounds
bench-first = first time in a session
bench-repeated = repeated
bench-accepted = messages accepted
bench-visible = copies visible by IMAP
bench-latency-p50 = reply after, median
bench-latency-p99 = reply after, p99
bench-sessions = sessions
bench-operations = operations
bench-count = done
bench-cpu-per-message = server CPU for a message
bench-cpu-per-operation = server CPU for an operation
bench-cpu-quiet = server CPU while nothing happens
bench-memory-before = server memory (PSS) before
bench-memory-peak = server memory (PSS), peak
bench-memory-after = server memory (PSS) after
bench-memory-per-connection = server memory (PSS) for a connection
bench-generator-share = share of a core used by the load generator
bench-unit-milliseconds = ms
bench-unit-seconds = s
bench-unit-per-second = /s
bench-unit-kibibytes = KiB
bench-unit-pieces = ×
bench-unit-percent = %

## What to enter in a mail program

setup-closed = { $protocol } is closed for { $address }; see “pennypost account clients show { $address }”
setup-all-closed = IMAP and POP3 are closed for { $address }; see “pennypost account clients show { $address }”
setup-type = account type
setup-server = incoming mail server
setup-port = port
setup-security = security
setup-user = user name
setup-password = that of the account, or a token made for this program
setup-token-only = a token made for this program by “pennypost account token add”; the password of the account does not open it
setup-outgoing = outgoing mail server
setup-outgoing-port = its port
setup-outgoing-login = its security and login
setup-outgoing-same = SSL/TLS, the same user name and password
setup-reach = What the program sends reaches people of your organisation; other servers are not written to yet.
setup-sent-copies = The server keeps what it sends in Sent: let it keep no copy there itself.
setup-local = The server listens on this machine only: programs on other machines do not reach it.
setup-range = The program sees mail of { $range }.
setup-imap-no-folders = It does not see own folders.
setup-pop3-folders = It fetches the Inbox and own folders.
setup-pop3-inbox = It fetches the Inbox.
setup-pop3-keeps = What it deletes stays on the server.
setup-any =
    1. Begin a new account and choose to set it up by hand.
    2. Enter { $address } as the mail address and as the user name, whole.
    3. Enter { $protocol }, the server { $host }, the port { $port } and SSL/TLS.
    4. Enter the password.
setup-outlook =
    1. File > Add Account: enter { $address }, open “Advanced options”, tick “Let me set up my account manually”, Connect.
    2. Choose { $protocol } (Outlook says POP for POP3).
    3. Incoming mail: server { $host }, port { $port }, encryption method SSL/TLS. Leave “Require logon using Secure Password Authentication” off.
    4. Next, enter the password, Connect.
setup-foxmail =
    1. Menu > Account Management > New > Other mailbox > Manual setup.
    2. Receiving server type { $protocol }; mail account { $address }; enter the password.
    3. { $protocol } server { $host }, tick SSL, port { $port }.
    4. Create.
setup-thunderbird =
    1. Account Settings > Account Actions > Add Mail Account: enter the name, { $address } and the password, then “Configure manually”.
    2. Incoming server: protocol { $protocol }, hostname { $host }, port { $port }, connection security SSL/TLS, authentication method “Normal password”, username { $address }.
    3. Re-test, then Done.
setup-apple-mail =
    1. Mac: Mail > Add Account > Other Mail Account. iPhone and iPad: Settings > Apps > Mail > Mail Accounts > Add Account > Other > Add Mail Account.
    2. Enter the name, { $address } and the password; when it can't be verified, go on by hand.
    3. Account type { $protocol } (POP for POP3), incoming mail server { $host }, user name { $address }.
    4. In the server settings of the account: use SSL/TLS, port { $port }.

## Functions of the cloud

function-queue = queue { $queue }, { $batch } at once
function-http = HTTP
function-schedule = every { $minutes } minutes

## What letters cost

cost-prices = the prices cannot be used: { $cause }
cost-head-item = Item
cost-head-quantity = Quantity
cost-head-per-million = { $currency } per million letters
cost-total = Total
cost-head-cost = { $currency }
cost-head-tenant = Tenant
cost-head-messages = Messages
cost-head-deliveries = Deliveries
cost-head-bytes = Bytes
cost-nothing-billed = No units are counted here: on this machine nothing is billed by use.
cost-what-if = { $messages } messages a day to { $recipients } recipients each, { $size } bytes, { $users } users of { $tenants } tenants, in { $region } (prices of { $date })
cost-tenant-each = For each tenant: { $cost } { $currency } a month. For each user: { $user } { $currency }.
cost-measured = The measured table cannot be read: { $cause }

## Roles, keys, the log of operations

administration-missing = there is no such { $what ->
    [account] account
    [key] key
    [role] role
    [session] session
    [task] task
    [secretary] secretary
    [invitation] invitation
    [owner] owner
    [mailbox] business mailbox
    [token] token
    [passkey] passkey
    [subscription] subscription
    [provider] provider of identities
    [binding] binding
    [bulletin] bulletin
    [letter] letter
    [alias] alias
    [department] department
    [domain] domain
    [forward-target] forwarding to that address
    [friend] friend
    [group] group
    [mailing] mailing
    [order] order
    [request] request
    [sign-up] sign-up
    [suppressed-address] address on the list
    [tag] tag
    [template] template
    [tenant] tenant
    [terms] version of the terms
   *[other] thing
 }
role-added = made the role “{ $name }”
role-removed = removed the role “{ $name }”
role-granted = { $address } has the role “{ $role }” from now on
role-revoked = { $address } has no longer the role “{ $role }”
role-taken = there is a role of that name already
role-held = somebody holds the role; see “pennypost role holders”
role-missing = there is no role “{ $name }”; see “pennypost role list”
role-permissions = at least one permission is needed, and none of the installation’s for a tenant; see “pennypost role add --help”
roles-none = there are no roles yet
grants-none = nobody holds a role yet
key-added = made the key “{ $name }” ({ $id })
key-once = key (shown only once): { $key }
key-revoked = the key { $id } is worth nothing any more
key-past = the end lies in the past
keys-none = there are no keys yet
log-none = nothing was done
word-permissions = permissions
word-used = last used
word-by = by
word-operation = operation
word-object = object
word-outcome = outcome

between-sentences = {"; "}
password-too-short = it has fewer than { $min } characters
password-too-long = it is longer than { $max }
password-control = it holds control characters
password-classes = of capital letters, small letters, digits and other characters it has fewer than { $wanted } kinds
password-capital = it has no capital letter
password-sequence = it has three characters in a row that are alike or follow each other, such as 123 or aaa
password-account-name = it holds the name of the account or of its owner
password-used = it is one of the last { $history }
sign-in-excludes-you = the rule would not let you in from where you are
sign-ins-no-record = sign-ins are not recorded here
sign-in-secure-forced = an administrator has turned secure sign-in on
sign-in-old-password = the old password is not right
sign-in-addresses-unsaid = nothing is said: give --allow, --deny, --others or --any
sign-in-others-allow = all others may sign in
sign-in-others-deny = no others may sign in

word-issuer = issuer
word-lets-in = lets in
providers-none = there are no providers
provider-added = added as { $id }; it is asked for the first time when somebody signs in by it
provider-changed = { $id } is changed
provider-removed = { $id } is removed and lets nobody in any more
provider-off = nobody
provider-bound = members who are bound to it
provider-email = members who are bound to it, or whose address it has verified
provider-failed = the provider does not answer as it should: { $cause }
provider-issuer = an issuer is https://HOST, with a path or none, and nothing else
provider-secret = a client secret has 1 to { $limit } bytes and no control characters

# Notices of new mail for other programs.
notices-none = no program is told of new mail
notice-added =
    added as { $id }
    its secret, which is told only now: { $secret }
notice-removed = { $id } is removed
notice-on = { $id } is on
notice-off = { $id } is off: nothing is told by it
notice-taken = the receiver has taken it
notice-not-taken = the receiver has answered with status { $status }
notice-not-reached = the receiver was not reached: { $cause }
notice-going = { $taken } notices were taken
notice-failing = { $taken } notices were taken, none since { $since } ({ $last }); tried again at { $next }
notice-state-on = on
notice-state-off = off
notice-state-paused = paused ({ $cause })
notice-unread = { $address } has { $count } unread letters in the inbox
notice-no-mail = mail can't be looked at here
notice-receiver = a receiver is https://HOST, with a port, a path and a query or without, and nothing else
notice-subscription = a subscription is to one kind of notices at least, and names { $limit } accounts and departments at most
word-receiver = receiver
word-events = events

# Whose names letters bear, terms of service, orders.
names-of-programs = letters bear the names that mail programs say
names-of-administrators = letters bear the names that administrators have given
names-in-form = letters bear the names that administrators have given, as { $form }
names-given = administrators give the names that letters bear
letters-none = no such letter came into the account
letters-hidden = { $count } letters of { $address } are hidden
letters-shown = { $count } letters of { $address } are shown again
letters-deleted = { $count } letters of { $address } are deleted
letters-ordered = it is done by task { $id }
letters-hidden-title = Letters were hidden
letters-hidden-text = The operator has hidden { $count } letters in the mailbox { $address }: { $reason }
letters-shown-title = Letters are shown again
letters-shown-text = The operator shows { $count } letters in the mailbox { $address } again: { $reason }
letters-deleted-title = Letters were deleted
letters-deleted-text = The operator has deleted { $count } letters in the mailbox { $address }: { $reason }
sending-who = who
scanning-virus = a virus in what comes in: { $what }; recipients are told: { $told }
scanning-gets-notice = recipients who are told of a virus get a few words
scanning-gets-rest = recipients who are told of a virus get the rest of the letter, without the attachments that hold it
scanning-virus-quarantine = into quarantine
scanning-virus-delete = deleted
scanning-spam = points of the spam scanner: into Junk { $junk }, into quarantine { $quarantine }, deleted { $delete }
scanning-from = from { $points } on
scanning-never = never
scanning-silence = without an answer of the virus scanner letters { $virus }, of the spam scanner letters { $spam }
scanning-hold = wait
scanning-pass = go on with a mark
scanning-points = points are between 0.01 and 1000; 0 says never
scanning-order = points for the junk folder are at most those for quarantine, and these at most those for deleting
quarantine-empty = nothing lies in quarantine
quarantine-letter = letter
quarantine-for = for
quarantine-state = state
quarantine-from = from
quarantine-subject = subject
quarantine-held = kept because of { $held_for }
quarantine-is-released = released
quarantine-is-deleted = deleted
quarantine-one = For { $address }, from { $from }: { $subject } ({ $state }; { $reasons }). It is removed at { $until }.
quarantine-released = released: it is on its way to { $address }
quarantine-digest-on = { $address } is told once a day of suspected spam in quarantine
quarantine-digest-off = { $address } is not told of what lies in quarantine
quarantine-digest-junk = { $address } is told once a day of what went to Junk
quarantine-deleted = deleted from the quarantine of { $address }
footer-bad-name = a name has 1 to { $limit } characters, none of them / or *, and no white space around it
footer-twice = another one has that name
footer-unknown = no footer has that name
footer-bad-text = a text has 1 to { $limit } characters on at most { $lines } lines, and no control characters
footer-bad-html = HTML that is said has some text, at most { $limit } bytes, and no control characters
footer-html-open = a tag in the HTML does not end
footer-html-unbalanced = in the HTML { $name } does not begin and end as it should
footer-html-element = { $name } may not stand in what is put into messages: only elements of text, tables and pictures
footer-html-attribute = the attribute { $name } may not stand there, or not with that value
footer-html-address = what HTML points to begins with https://, http://, mailto: or tel:
footer-html-comment = there are no comments and declarations in what is put into messages
footer-bad-word = nothing is known as { "{" }{ $word }{ "}" }: there are name, department, title, company, phone and email
footer-nowhere = say whether it stands in messages inside the organisation, to others, or both
footer-too-large = all footers and cards together are too long: an organisation has 128 KB for them
card-compulsory-twice = department { $department } has a compulsory card already: { $card }
card-not-offered = no such card is offered to this account
card-locked = a card is compulsory for this account: there is nothing to choose
letter-card-assigned-subject = A business card for you: { $card }
letter-card-stopped-subject = A business card is not yours any more: { $card }
letter-card-assigned =
    Your organisation has a card "{ $card }" for you, which can stand at the end of your messages. You may choose it, and have it put into all of them.
letter-card-compulsory =
    Your organisation has a card "{ $card }" for you. From now on it stands at the end of all of your messages.
letter-card-stopped =
    Your organisation's card "{ $card }" is not meant for you any more. It is put into none of your messages now.
footer-name = footer
footer-place = place
footer-letters = messages
footer-above = above the signature
footer-below = at the end
footer-inside = inside
footer-outside = outside
footer-both = inside and outside
footer-in-force = in force
footer-disclaimer = disclaimer (outside)
footer-none = nothing is put into messages
footer-none-of = no footer
footer-missing = there is no footer { $name }
footer-removed-used = { $name } is in force: let another one be first, or none
footer-file = { $file } can't be read: { $cause }
card-name = card
card-departments = departments
card-state = state
card-compulsory = compulsory
card-optional = optional
card-unpublished = not published
card-none = there are no cards
card-missing = there is no card { $name }
card-chosen = chosen
card-always = chosen, in all messages
route-bad-destinations = destinations are * for all, a domain, or *. and a domain for all below it
route-bad-host = a smart host has a name with a dot or an address, and a port from 1 to 65535
route-bad-region = no region of Amazon SES is called so; for one in China name its host as a smart host
route-bad-login = user, password and secret key have 1 to { $limit } bytes each and no control characters
route-no-password = say the password: none is known for that user at that host and port
route-bad-identity = the name in greetings is that of a host, with a dot; the address is one of this machine's
route-too-many = an organisation has { $limit } routes at most
route-no-host = no smart host is said for exactly these destinations: there is nothing to be tried
route-not-from-here = servers can't be tried from here
route-destinations = destinations
route-way = way
route-user = user
route-identity = as
route-by-mx = by DNS (MX)
route-by-host = { $host }:{ $port }, { $tls }
route-by-ses = Amazon SES { $region }: { $host }:{ $port }, { $tls }
route-starttls = STARTTLS
route-implicit = TLS
route-none = letters go as those of the installation do
route-set = letters of { $tenant } to { $to } go that way: { $way }; those that wait, too, within a minute
route-cleared = nothing is said of letters of { $tenant } to { $to } any more
route-one-way = say one of --mx, --smart-host and --ses
route-port-only-ses = --port goes with --ses; of a smart host the port stands behind its name
route-good = { $host } lets { $user } in, over { $tls }; nothing was sent
route-good-open = { $host } was reached over { $tls }; nothing was sent
route-bad = { $host } does not let letters in: { $cause }
route-unreached = the smart host was not reached: { $cause }
sending-no-rules = everybody may send outside the organisation, as often as they like
sending-whom = name accounts, departments or tags of whom it is said
sending-limit-bad = a limit is 1 to 1000000 messages within 1 to 44640 minutes
sending-none = nothing
sending-any = as often as they like
sending-within = { $messages } messages within { $minutes } minutes
sending-of = { $address } sends outside: { $allowed }
sending-used = { $sent } sent, begins anew at { $until }
content-bad-rules = there may be { $limit } rules at most
content-bad-name = a rule's name has 1 to { $limit } characters, no control characters and no white space around it
content-name-taken = another rule has that name
content-bad-text = what a writer is told stands on one line and has at most { $limit } bytes
content-bad-conditions = a rule has 1 to { $limit } conditions
content-bad-words = 1 to { $limit } can be named in a condition
content-bad-all-words = all rules together have { $limit } words at most
content-bad-word = a word has 1 to { $limit } characters and no control characters
content-bad-least = a number from 1 to { $limit } has to be said
content-bad-patterns = all rules together have { $limit } patterns at most
content-pattern-length = a pattern has 1 to { $limit } characters
content-pattern-large = this pattern takes too much memory: repeat less in it, or say [0-9] for \d and [0-9A-Za-z] for \w
content-pattern-empty = this pattern can be found in nothing at all: let it ask for one character at least
content-pattern-syntax = this pattern can't be read, at character { $at }: { $cause }
content-bad-ending = an ending stands without its dot, such as xlsx; a type is such as application/pdf or image/*
content-bad-size = a size has one byte at least
content-nobody = name somebody there is: a department, a tag, an account; or nobody at all, if everybody is meant
content-bad-targets = a rule names { $limit } departments, tags and accounts at most, all rules together { $tags } tags
content-too-large = all rules together are too long: an organisation has 64 KB for them
content-at = { $place }: { $cause }
content-rule = rule
content-holds = holds
content-condition = condition
content-found = found
content-sample = such as
content-refused = does not go
content-goes = goes
rules-said = { $member } has { $rules } rules, refuses { $refused } senders and trusts { $trusted }
rules-none = no rules
rules-unreadable = what was said is damaged and can't be shown; letters go without it until something else is said
rules-asks = asks for
rules-does = does
rules-by = by
rules-into = into
receipt-answered = a receipt of the letter was given, or refused, already
rules-running = rules are run on mail of the account already
rules-run = { $looked } letters in { $folder } were looked at, { $changed } of them changed
rules-run-later = rules are run on { $folder } by task { $id }
rules-run-damaged = { $damaged } letters are damaged and were left as they are
rules-not-repeated = mail that has come before is neither forwarded nor answered, nor refused
rules-refused = refused
rules-imported = { $member } has { $rules } rules, as { $path } says
rules-no-letters = no letters
rules-no-rule = there is no rule { $name }
rules-file = { $path } can't be understood: { $cause }
automatic-reply = answered
automatic-forward = forwarded
automatic-target = forwarded to { $address }: { $state }
automatic-none = no
automatic-kept = and kept
automatic-period = from { $from } until { $until } ({ $zone })
automatic-nothing = nothing is said to be changed: name addresses, or --on, --off or --remove
automatic-may-not = the organisation does not let { $member } forward: it is kept, and not carried out
forwarding-everybody = may have letters forwarded by themselves
read-status-off = members of { $name } do not see who has read what they sent
read-status-on = members of { $name } see who of their colleagues has read what they sent, since { $since }
read-status-later = members of { $name } will see who of their colleagues has read what they sent, from { $since } on
forwarding-allowed = may
forwarding-forbidden = may not
word-on = on
word-off = off
word-time = time
word-outside = outside
word-tag = tag
word-everybody = everybody
terms-none = no terms of service were published
terms-published = version { $number } holds from now on
terms-not-accepted = nobody has accepted any terms of service
bulletins-none = no bulletins
contact-none = nobody is named
contact-is = administrators turn to { $who }
bulletin-published = bulletin { $number } is published
bulletin-withdrawn = bulletin { $number } is withdrawn
orders-none = no orders
order-unpaid = not paid
word-who = who
word-edition = edition
word-seats = seats
word-amount = amount
word-ends = ends
word-paid = paid
binding-elsewhere = another member is bound to that person of the provider
recovery-refused = what was shown sets no password, or not now
recovery-elsewhere = no letter goes to that address from here: name a mailbox of the organisation
recovery-own-address = the address leads to the account itself
recovery-no-mailbox = a recovery address is another member's own: no alias, group or business mailbox, and without a tag
letter-business-subject = You may use the mailbox { $name }
letter-business =
    You may use the business mailbox { $name } ({ $address }) from now on.
    Your webmail shows it; for a mail program make a password of its own in your settings.
letter-secretary-wish-subject = A colleague would like to be your secretary
letter-secretary-wish =
    { $who } would like to act for you as your secretary.
    Answer it in your settings. Nothing is open to anybody until you do.
letter-secretary-granted-subject = You are a secretary from now on
letter-secretary-granted =
    { $who } has made you secretary, until { $until }.
letter-secretary-refused-subject = Your application as a secretary was declined
letter-secretary-refused =
    { $who } has declined your application as a secretary.
sms-code = { $code } is your code for the mailbox, for { $minutes } minutes. Give it to nobody.
sms-invitation = { $organisation } has given you the mailbox { $login }. Set its password, once: { $invitation }
mobile-refused = there is no mobile number that was proved, or codes that go to it are the second factor
sign-up-refused = that is not offered here
trial-only = the organisation has a trial domain only: it can't be said who it is
sms-none = no text messages are sent from here
sms-failed = the text message was not sent: { $cause }
invitation-not-tried = it was not tried: what came before it took too long or failed
letter-mobile-subject = Your mobile number was changed
letter-mobile-set =
    { $login } signs in by the mobile number { $number } from now on, and sets another password by it.
    If you have not said so, remove it, change your password and end your other sessions.
letter-mobile-removed =
    The mobile number of { $login } was removed: nobody signs in by it any more.
    If you have not done so, change your password and end your other sessions.
letter-read-status-subject = Colleagues will see whether you have read their messages
letter-read-status =
    From { $since } on, members of your organisation see of each message that they have sent within it
    whether its recipients have read it. This holds for messages that are sent from then on.
    Nobody outside your organisation sees it.
letter-password-expires-subject = Your password expires soon
letter-password-expires =
    The password of { $login } expires on { $end }.
    Set another one in your settings before then, so that you are let in without delay.
letter-invitation-subject = { $organisation } has a mailbox for you
letter-invitation =
    { $organisation } has given you the mailbox { $login }.
    Set its first password with this invitation, once, before { $until }:
    { $invitation }
    If you do not know { $organisation }, there is nothing to do.
letter-friend-subject = { $organisation } would like to write to you
letter-friend =
    { $organisation } would like to send you what its members write to { $group }.
    If you agree, open this page within a week and say so there:
    { $link }
    Otherwise there is nothing to do, and nothing will come.
letter-recovery-changed-subject = Your recovery address was changed
letter-recovery-changed =
    { $login } is reached at { $address } from now on when the password is forgotten.
    If you have not said so, remove that address, change your password and end your other sessions.
letter-recovery-removed =
    The recovery address of { $login } was removed.
    If you have not done so, change your password and end your other sessions.
forward-not-allowed = the organisation does not let this account forward mail to other servers
letter-forward-set-subject = Your mail is forwarded
letter-forward-set =
    Whoever runs this post office has said that mail of { $login } is forwarded to { $targets }.
    Your settings show all addresses to which your mail goes. If you did not want that, take them away there.
letter-forward-code-subject = Somebody would like to forward mail to you
letter-forward-code =
    The mail of { $login } is to be forwarded to this address.
    If you want that, tell whoever reads { $login } this code: { $code }. It is good for { $hours } hours.
    If you do not, there is nothing to do: nothing is forwarded to you.
letter-forward-subject = Mail may be forwarded to another address
letter-forward =
    The mail of { $login } may be forwarded to { $address } from now on: the code that went there was said.
    If you have not done so, remove that address from your forwarding, change your password and end your other sessions.
letter-recovery-code-subject = Confirm this address
letter-recovery-code =
    This address is to be where { $login } is reached when the password is forgotten.
    The code is { $code }. It is good for { $minutes } minutes.
    If you have not asked for it, there is nothing to do.
letter-sign-up-code-subject = Your code for opening a mailbox service
letter-sign-up-code =
    The code is { $code }. It is good for { $minutes } minutes.
    If you have not asked for it, there is nothing to do.
letter-recovery-subject = Set a new password
letter-recovery =
    Somebody has asked to set a new password for { $login }.
    Say this to do so within { $minutes } minutes, once:
    { $secret }
    If you have not asked for it, there is nothing to do: the password stays as it is.
rule-min-length = least characters of a password
rule-max-length = most characters of a password (0: any)
rule-classes = kinds of characters
rule-capital = a capital letter is needed
rule-no-sequences = no sequences such as 123 or aaa
rule-no-account-name = no names of the account or its owner
rule-history = last passwords that do not come again
rule-lifetime = days after which a password expires (0: never)
rule-expires-in-clients = expired passwords open mail programs no more
rule-change-first = a given password is changed at the first sign-in
rule-lock-count = wrong passwords that lock an account (0: never)
rule-lock-window = minutes within which they are counted
rule-lock-minutes = minutes for which it stays locked (0: until unlocked)
rule-trusted = networks from which wrong passwords never lock
rule-addresses = from where to sign in
rule-exempt-accounts = accounts that this does not limit
rule-exempt-departments = departments that this does not limit
rule-secure = secure sign-in for everybody (a password alone signs nobody in)
rule-secure-own = secure sign-in, wanted by the owner
rule-secure-forced = secure sign-in, forced
rule-as-tenant = as the tenant says
lock-strangers = strangers
lock-codes = codes of { $place }
lock-until-unlocked = until it is unlocked
locks-none = no account is locked
account-unlocked = unlocked { $address }
sign-ins-none = no sign-ins
absent-none = everybody has signed in
statistics-nowhere = traces of letters can’t be read here
statistics-none = nothing was received or sent
statistics-no-mailboxes = no mailbox was looked at yet: housekeeping does it once a day
statistics-uncounted = not counted
statistics-counted = all days that are over are counted
word-letters-received = received
word-bytes-received = bytes received
word-letters-sent = sent
word-bytes-sent = bytes sent
word-holds = holds
word-signed-in = signed in
word-total = total
word-for-whom = for whom
word-failures = failures
word-count = count
word-kind = kind
word-program = program
word-failed = failed
word-locked = locked
word-never = never
word-last-sign-in = last sign-in
word-locked-until = until
word-last-use = last use

## Domains and their records

service-unsaid = nobody has said yet at what domains have to point; see “pennypost service set --help”
service-no-pages = nobody has said yet where the pages for people are; see “pennypost service set --help”
service-bad = this can't be: { $cause }
service-set = domains of all tenants have to point there from now on; see “pennypost domain check”
domain-owned = it is known already whose the domain is
domain-locked = mail is not brought to the domain yet, and the tenant waits for that; see “pennypost domain check”
not-confirmed = not confirmed: say again what “pennypost domain remove” says without --confirm
no-look-ups = DNS can't be asked from here; see PENNYPOST_DNS
domain-claimed = { $name } is claimed. Set one of these records in its zone, then run “pennypost domain verify”:
domain-verified = { $name } is { $state }
domain-is = { $name } is { $state }
domain-state = { $state ->
    [pending] claimed, not proved
    [conflict] proved, and another tenant has it
    [proved] the tenant’s
    [active] active
    [suspended] suspended
   *[removing] being removed
 }
domain-found = { "  " }found: { $value }
domain-set = { "  " }set:   { $line }
doctor-good = as it should be: { $list }
doctor-comma = { ", " }
doctor-problems = { $count ->
    [one] letters of { $name } are refused or put aside for one thing
   *[other] letters of { $name } are refused or put aside for { $count } things
 }
doctor-fine = { $unknown ->
    [0] nothing was found that receivers dislike about { $name }
    [one] nothing was found that receivers dislike about { $name }; one point could not be looked at
   *[other] nothing was found that receivers dislike about { $name }; { $unknown } points could not be looked at
 }
domain-alias = { $name } stands for { $of } from now on
domain-no-alias = { $name } stands for itself
domain-removed = { $name } is removed; its accounts are in the recycle bin
domain-removal = With { $name } go { $accounts } accounts (into the recycle bin), { $aliases } aliases and { $groups } groups. Back up what is needed and tell who writes there. To go on: --confirm { $code }
no-sealing = there is no key here with which secrets are sealed; see PENNYPOST_SEALING_KEYS
word-selector = selector
word-algorithm = algorithm
domain-keys-none = no keys yet; see “pennypost domain dkim add --help”
domain-key-made = made the key { $key }. Set its record, then run “pennypost domain check”:
domain-key-not-made = no key was made: { $cause }
domain-key-waits = a key of that kind waits for its record already: set it and run “pennypost domain check”, or withdraw the key
domain-key-withdrawn = nothing is signed with { $key } any more; its record may be deleted
domain-key-rotation = a new key is made after { $after } days; the record of the one before it stays for { $publish } days more
domain-key-no-rotation = no key is made by itself; the record of the one before a new key stays for { $publish } days more
domain-key-rotation-bad = keys are used for 7 to 3650 days, and stay published for 1 to 90 days after that
domain-key-state = { $state ->
    [waiting] waits for its record
    [active] active
    [retiring] replaced, its record has to stay
   *[removed] removed, its record may go
 }
domain-tls-none = { $name } has no policy for TLS here
domain-tls-bad = a policy for TLS is remembered for 86400 to 31557600 seconds
error-alias-domain = { $name } stands for another domain: addresses are given there, and no domain stands for it
error-domain-not-empty = { $name } has addresses of its own, or another domain stands for it
error-domain-state = { $name } is not in a state for this
session-life = sessions last 15 minutes to 90 days, and may be idle for 5 minutes at least and not for longer than they last
sessions-none = no sessions
sessions-ended = ended { $count ->
    [one] 1 session
   *[other] { $count } sessions
 } of { $address }
second-factor-on = since { $since }; recovery codes left: { $codes }
second-factor-sms = codes go by SMS to the member's mobile number
second-factor-gone = { $address } has no second factor any more
second-factor-of-nobody = of nobody
second-factor-of-administrators = of administrators
second-factor-of-everybody = of everybody
security-idle = minutes for which a session may be idle
security-whole = minutes for which a session lasts at most
security-second-factor = a second factor is wanted
security-four-eyes = what can't be undone takes a second administrator
second-factor-none = there is no second factor
second-administrator = it takes another administrator to confirm it
order-large = what a second administrator has to confirm has { $limit } bytes at most
code-wrong = the code is wrong, or was used
passkey-wrong = the passkey was not accepted
passkey-row = passkey { $name }: made { $made }, last shown { $used }
passkey-unused = never

task-not-permitted = whoever ordered it is not permitted to do it any more
task-no-file = the file that was to be imported is not there any more, or damaged
task-given-up = it was tried again and again without coming to its end, and was given up
task-broken = it can’t be carried out; the server’s own log tells why
task-replaced = another version of the program was installed meanwhile; order it again, and leave out what is there
task-no-target = the account into which mail is to be copied is not there any more, or closed
task-no-account = the account is not there any more
task-newer-order = a later order about these letters came first
task-no-letters = nothing is left of these letters to which it could be done
task-no-receipt = no receipt goes to whoever asks for it
task-no-folder = the folder is not there any more
task-no-source = the account whose mail is to be copied has left the recycle bin, or is being erased
task-no-room = the account has room for { $free } bytes, and there are { $needed } to be copied
task-over = the task has ended
task-no-result = there is nothing to be read: the task has not ended, or its result is no longer kept
task-no-rows = the file has no rows
task-nowhere = long operations are not carried out here
task-cancelled = the task { $id } ends before its next step; what it has done stays
task-queued = queued
task-running = running
task-done = done
task-failed = failed
task-stopped = cancelled
tasks-none = there are no tasks
word-progress = rows
word-groups = groups
word-skipped = were there already
word-refused = refused
word-ended = ended

business-added = added the business mailbox { $address }; users: { $count }
business-users = { $address }: users from now on: { $count }
business-no-users = nobody uses it
business-none = there is no business mailbox
business-is-none = { $address } is no business mailbox; see “pennypost business list”
secretary-ended = { $secretary } is no secretary of { $owner } any more
secretary-applies = applies
secretary-none = nobody
secretary-until = until
invitation-once = invitation (shown only once): { $invitation }
    good { $uses } times until { $until } UTC
invitation-revoked = the invitation { $id } is worth nothing any more
invitation-state = { $state ->
    [good] good
    [past] time is over
    [revoked] revoked
   *[used-up] used up
 }
invitations-none = there are no invitations
joining-rules = join by invitation: { $open ->
    [yes] yes
   *[no] no
 }; an administrator approves: { $approval ->
    [yes] yes
   *[no] as the invitation says
 }; members invite colleagues: { $colleagues ->
    [yes] yes
   *[no] no
 }; department: { $department }; domain: { $domain }
application-approved = { $address } has joined
application-refused = refused the application for { $address }
application-state = { $state ->
    [waiting] waits
    [joining] is being added
    [joined] joined
   *[refused] refused
 }
applications-none = nobody applies
account-recovered = { $address } comes in with this password (shown only once), which is to be changed at once: { $password }
profile-contact = a contact address has at most { $limit } characters and no control characters
profile-logo = a logo is PNG, JPEG or WebP and has at most { $limit } bytes
profile-file = the file { $path } can’t be read: { $cause }
word-contact = contact address
word-logo = logo
word-short-name = short name
creator-leaves = the creator hands the organisation over first
not-joined-none = every member has a password

## Plans of tenants

word-unlimited = any number
word-vip = VIP
plan-none = { $name } has no plan: nothing limits it
plan-from = the tenant has no plan yet: say with which edition to begin, such as --from basic
plan-term = a plan ends after it has begun
plan-edition = edition
plan-seats = accounts
plan-vip-seats = VIP seats
plan-business = business mailboxes
plan-capacity = bytes of an ordinary mailbox
plan-vip-capacity = bytes of a VIP mailbox
plan-business-capacity = bytes of a business mailbox
plan-daily = messages a day
plan-daily-account = messages a day of each account
plan-starts = service since
plan-ends = ends
plan-verification = verification
plan-verified = { $state ->
    [verified] verified
    [certified] certified
   *[unverified] not verified
 }
plan-payment = payment
plan-paid = { $state ->
    [trial] on trial
    [unpaid] ordered, not paid
    [paid] paid
   *[free] free
 }
plan-pay-by = to be paid by
plan-functions = functions
plan-lowered = it was not paid in time: until it is, the tenant has no functions and no VIP seats, and mailboxes hold what the basic edition lets them
plan-seats-taken = all { $seats } seats of the plan are taken; see “pennypost plan show”
plan-vip-seats-taken = all { $seats } VIP seats of the plan are taken, { $business } of them by business mailboxes; see “pennypost plan show”
plan-business-taken = the plan allows { $allowed } business mailboxes at present: as many as it says, and one for each free VIP seat; see “pennypost plan show”
plan-no-vip = the tenant has no plan, and so no VIP seats; see “pennypost plan set --help”
plan-not-vip = { $address } has no VIP seat: only a VIP member’s mailbox is made a business mailbox; see “pennypost plan assign --help”
plan-no-secretaries = { $address } has no VIP seat: only a VIP member has secretaries; see “pennypost plan assign --help”
plan-not-in = the plan does not have the function { $function }; see “pennypost plan set --help”
plan-domains = the plan allows { $limit } domains
vip-assigned = { $address } has a VIP seat from now on
vip-withdrawn = { $address } has no VIP seat any more
seats-recounted = the seats of { $name } were counted wrong, and are counted anew
seats-right = the seats of { $name } are counted right
vips-none = nobody has a VIP seat

## Reports to senders

tls-report = What became of TLS with the mail servers of { $domain } from { $start } to { $end }: { $good } conversations had it as they should, { $bad } had not. The attachment says more (RFC 8460).
dmarc-report = Mail that came to us in the name of { $domain } from { $start } to { $end }: { $good } messages passed DMARC, { $bad } did not. The attachment says more (RFC 7489).
mail-report-kind = kind
mail-report-by = by
mail-report-none = Nobody has reported anything.
mail-report-no-addresses = Reports come in nowhere: name an address with --add.
mail-report-says = says
mail-report-dmarc = { $good } passed, { $bad } failed
mail-report-tls = { $good } with TLS as it should be, { $bad } without
mail-report-complaint = { $what } { $address }
suppressed-none = Mass mail goes to every address.
suppressed-added = { $count ->
    [one] 1 address gets
   *[other] { $count } addresses get
 } no mass mail any more.
suppressed-removed = { $address } gets mass mail again.
suppressed-by-administrator = an administrator
suppressed-by-complaint = a complaint
suppressed-by-bounce = nobody has it
report-forward-subject = A message was not forwarded
report-forward = A message that is forwarded for you could not be delivered to these addresses, and is not tried again:
virus-report-subject = Your message holds a virus and was not sent
virus-report = Your message "{ $subject }" holds a virus, { $virus }. It was not sent to anybody. Look after the device from which you have sent it, and ask your administrator if you don't know how.
virus-notice-subject = A message to you holds a virus
virus-notice-kept = A message to you from { $from }, "{ $subject }", holds a virus, { $virus }. It lies in quarantine for seven days; if you need it, ask your administrator.
virus-notice-deleted = A message to you from { $from }, "{ $subject }", held a virus, { $virus }. It was deleted, as your organisation has said.
virus-notice-rest = The rest of the message is attached. What held the virus was taken out of it.
virus-part-taken-out = An attachment with a virus ({ $virus }: { $file }) was taken out.
digest-subject = { $count } suspected spam in quarantine
digest-head = Suspected spam for { $address } that was not delivered: { $count }. It is kept for seven days.
digest-links = To get one of these letters, open the link below it and press the button there.
digest-no-links = To get one of these letters, release it in the administration of your mail, or ask your administrator.
digest-junk-subject = { $count } new in Junk
digest-junk-head = New in the folder Junk of { $address }, which POP3 does not fetch: { $count }. To read one of them, use webmail or a program with IMAP.
digest-more = And { $more } more.
receipt-subject = Read
receipt-given =
    { $who } says that your message was displayed: “{ $subject }”, of { $sent }. This was said on { $time }.
    It does not mean that it was read to its end, or understood.
report-failed-subject = Your message was not delivered
report-delayed-subject = Your message is delayed
report-failed = Your message could not be delivered to these addresses, and is not tried again:
report-delayed = Your message has not reached these addresses yet. It is tried again until { $until }; you need not do anything:
report-failed-one = { $address }: { $cause }
report-refused = the recipient refuses it
report-refused-says = the recipient refuses it and says: { $said }
report-delayed-one = { $address }: { $cause }
report-sent-subject = Your message was delivered
report-sent = You wanted to hear of these addresses:
report-delivered-one = { $address }: delivered
report-relayed-one = { $address }: handed to another server, which tells nothing of what becomes of it
report-unsent-subject = Your message was not sent
report-unsent = Your message was to go later, and was not sent to these addresses. A copy is in Drafts:
held-why-closed = your account, or your organisation, is closed
held-why-forbidden = sending has been closed for your account
held-why-author = you may no longer write as its author
held-why-outside = you may send within your organisation only
held-why-unknown = nobody has this address any more
held-why-disabled = this mailbox takes no mail
held-why-group = you may no longer send to this group
held-why-frequency = as many messages were sent as may be, and none could go for two days
held-why-lost = the message's bytes are gone or damaged
held-why-too-many = the groups that it is for have grown: it would go to more recipients than one message can have
held-full = as many letters wait to go later as may: { $letters }, or { $megabytes } MB
held-gone = the letter has gone already
held-back = the letter was taken back already: a copy is in Drafts
held-unsent = the letter could not go: its writer was told why, and a copy is in Drafts
held-time = a letter goes later at a time to come within { $days } days: 2030-01-31T08:00 in the time zone that is named, or with an offset
held-window = letters wait for { $least } to { $most } seconds, or not at all
held-id = that is no id of a letter: see the list
held-none = no letter goes later
held-head-goes = goes
held-head-state = state
held-head-to = to
held-head-subject = subject
held-head-id = id
held-taken-back = the letter { $id } does not go: a copy comes into Drafts
held-goes = the letter { $id } goes at { $time }
held-now = the letter { $id } goes now
held-undo-on = letters of { $address } wait for { $seconds } seconds
held-undo-off = letters of { $address } do not wait
own-none = nothing was sent
own-head-read = read
own-head-time = handed in
state-scheduled = goes later
state-sent = has gone
state-taken-back = taken back
state-unsent = could not go
state-processing = being processed
state-redelivering = the other server has not answered in time, or not taken it; it is tried again
state-delivered = in the mailbox
state-reached-server = the other server has it
state-refused = refused or returned
state-failed = did not get there
state-unknown = unknown: nothing was heard of it for a week; it may be sent again
received-head-time = came in
received-head-at = put
received-head-from = from
received-none = nothing came in
received-quarantined = in quarantine
received-refused = refused
held-why-subject = your organisation does not let messages with this subject through
held-why-suppressed = your organisation sends no mass mail to this address any more
held-why-content = a rule of your organisation does not let out what stands in this message: ask its administrators
mailing-row = line { $line }: { $problem }
mailing-row-no-address = there is no address: fill it in and upload the table again
mailing-row-blank = there is a blank in the address “{ $address }”
mailing-row-address = “{ $address }” is no mail address
mailing-row-merged = merged cells touch this line: each line has cells of its own
mailing-row-damaged = a cell holds damaged text, or a formula of which the file does not tell what it came to: save the table once more with a spreadsheet program
mailing-row-nameless = there are more cells than the first line has headings
mailing-row-outside = “{ $address }” is outside the organisation, and nothing is sent there from here
mailing-rows = { $count ->
    [one] one line of the table is wrong, and nothing was sent; { $first }
   *[other] { $count } lines of the table are wrong, and nothing was sent; the first: { $first }
}
mailing-table-large = a table has { $limit } MB at most
mailing-table-empty = the table has no line below its headings
mailing-table-sheets = { $count } sheets of the workbook have lines: leave one of them
mailing-table-many = the table has { $count } recipients: { $limit } at most
mailing-table-column = one column has to hold the addresses: call it 邮箱地址, 地址, “email” or “address”
mailing-table-columns = the table has { $count } columns: { $limit } at most
mailing-heading-none = column { $column } has no heading
mailing-heading-special = the heading “{ $name }” must not have any of ' " < > ( ) . [ ] ? \ ^ {"{"} {"}"} |
mailing-heading-twice = two columns are called “{ $name }”
mailing-variable = no column of the table is called “{ $name }”
mailing-open = a variable begins with {"{{"} and does not end: {"{{"}name{"}}"}
mailing-long = with what line { $line } of the table says the subject or body is longer than { $limit } KB: shorten the cells, or use them less often
mailing-subject = a subject is needed, of { $limit } characters at most
mailing-body = a body is needed, as HTML or text, of { $limit } KB at most each
mailing-attachments = { $count } attachments at most, of { $megabytes } MB together, each with a name and a media type such as application/pdf
mailing-full = as many mailings wait to be sent, or are still kept, as may: { $limit } and { $kept }
mailing-kept = as many bodies are kept as may be: { $limit }
mailing-name = a body is kept under a name of 1 to { $limit } characters
mailing-not-draft = the mailing goes already, or is over
mailing-over = the mailing is over
mailing-no-row = the mailing has no such recipient
mailing-id = that is no id of a mailing: see the list
mailing-none = no mailing
mailing-no-template = no body is kept
mailing-gone = what the mailing said is no longer kept
mailing-head-id = id
mailing-head-name = name
mailing-head-kind = kind
mailing-head-made = made
mailing-head-state = state
mailing-head-done = done
mailing-head-subject = subject
mailing-head-row = row
mailing-head-to = to
mailing-head-letter = letter
mailing-added = the mailing { $id } is ready: { $count } recipients; nothing was sent yet
mailing-goes = the mailing { $id } goes to { $count } recipients
mailing-tried = the letter of row { $row } goes to { $address } alone
mailing-stopped = the mailing { $id } is stopped: what was handed in goes
mailing-saved = the body is kept as { $id }
mailing-forgotten = the body { $id } is kept no longer
mailing-state-draft = ready to go
mailing-state-going = going
mailing-state-stopping = being stopped
mailing-state-done = done
mailing-state-stopped = stopped
mailing-state-failed = its content is lost
mailing-kind-table = table
mailing-kind-template = template
mailing-kind-individual = each alone
mailing-fate-waiting = waits
mailing-fate-sent = handed in
mailing-fate-refused = did not go
mailing-fate-stopped = stopped
mailing-rules = a mailing has 1 to { $limit } recipients
mailing-limit = recipients of a mailing at most: { $limit }
