//! One conversation with a server (RFC 5321): from the connection to QUIT. What is decided for a recipient stands in its
//! place as soon as it is known, so that nothing is lost when the conversation breaks off.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pennypost_model::TenantId;
use pennypost_model::message::cut;
use pennypost_model::trace::{RemoteAnswer, RemoteOutcome};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

use super::open::{Open, Parked, Way};
use super::private::promises_nothing;
use super::reply::{Broken, Incoming, Reply};
use super::route::Hop;
use super::session::Session;
use super::tls::{Finding, Privacy};
use super::{Handed, Login, Parcel, Verdict};
use crate::tlsrpt::TlsFault;

/// How long to wait for what. RFC 5321 section 4.5.3.2 says five minutes for most: who takes longer than two is not well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub connect: Duration,
    pub command: Duration,
    pub block: Duration,
    /// For the reply behind the message. To give up early would bring the message twice.
    pub end: Duration,
    pub quit: Duration,
    /// For all of it up to the end of the message. The reply to that has its own time: who cuts it off sends twice.
    pub whole: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            connect: Duration::from_secs(30),
            command: Duration::from_secs(120),
            block: Duration::from_secs(180),
            end: Duration::from_secs(600),
            quit: Duration::from_secs(3),
            whole: Duration::from_secs(20 * 60),
        }
    }
}

impl Timing {
    pub(super) fn divided_by(self, number: u32) -> Timing {
        let Timing { connect, command, block, end, quit, whole } = self;
        Timing {
            connect: connect / number,
            command: command / number,
            block: block / number,
            end: end / number,
            quit: quit / number,
            whole: whole / number,
        }
    }

    /// What DATA and the message need, at the least. Half of all of it is enough for any.
    fn message(&self, bytes: usize) -> Duration {
        let way = Duration::from_secs_f64(bytes as f64 / SLOWEST);
        (2 * self.command + self.block + way).min(self.whole / 2)
    }
}

/// Bytes that are written at once.
const BLOCK: usize = 64 * 1024;
/// Bytes in a second that the way of a message has at the least, or it is too slow.
const SLOWEST: f64 = 100_000.0;
/// Bytes of what a server was told by which it is known again.
const MIN_REPEATED: usize = 8;

/// How to speak.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub own_name: &'a str,
    /// Whose way out it is; none: the installation's.
    pub owner: Option<TenantId>,
    /// From which address of this machine.
    pub source: Option<IpAddr>,
    pub tls: Option<&'a Privacy>,
    /// TLS begins with the connection (RFC 8314 section 3.3), and not by STARTTLS.
    pub is_wrapped: bool,
    /// Nobody on the way here can have said that it is a server of the destination.
    pub is_sure: bool,
    /// What the server wants to know before it takes anything.
    pub login: Option<&'a Login>,
    pub timing: Timing,
    /// When the message has to be over there.
    pub deadline: Instant,
}

impl How<'_> {
    /// Is the server known, and does nobody else read what it is told? Then it can promise that this holds from there on (RFC 8689
    /// section 2).
    fn is_private(&self, handed: &Handed) -> bool {
        let holds = |tls: &Privacy| tls.judged.is_some() && tls.finding().is_none();
        self.is_sure && handed.tls.is_some() && self.tls.is_some_and(holds)
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// How a conversation ended that has not ended well.
pub(super) enum End {
    /// All is decided that this server decides.
    Over,
    /// This server is no help; another one may be.
    Elsewhere(Verdict),
    /// TLS could not be had, and why: [failed](RemoteOutcome::Failed), where the server has shown that it can't be had, and else put off.
    /// Where it need not be, a new connection in the clear is the way.
    WithoutTls(Verdict),
}

/// What a server offers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offers {
    start_tls: bool,
    eight_bit: bool,
    utf8: bool,
    dsn: bool,
    require_tls: bool,
    size: Option<u64>,
    /// Ways to sign in, in upper case.
    auth: Vec<String>,
}

impl Offers {
    fn read(reply: &Reply) -> Offers {
        let mut offers = Offers::default();
        // The first line is its name.
        for line in reply.lines.iter().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match &*words.next().unwrap_or_default().to_ascii_uppercase() {
                "STARTTLS" => offers.start_tls = true,
                "8BITMIME" => offers.eight_bit = true,
                "SMTPUTF8" => offers.utf8 = true,
                "DSN" => offers.dsn = true,
                "REQUIRETLS" => offers.require_tls = true,
                "AUTH" => offers.auth = words.map(str::to_ascii_uppercase).collect(),
                // Without a number, or with 0, there is no limit (RFC 1870 section 3).
                "SIZE" => {
                    let limit = words.next().and_then(|word| word.parse().ok());
                    offers.size = limit.filter(|limit| *limit > 0);
                }
                _ => {}
            }
        }
        offers
    }
}

pub(super) struct Conversation {
    stream: Box<dyn Duplex>,
    incoming: Incoming,
    timing: Timing,
    deadline: Instant,
    /// It broke off, or is about to: nothing more is said.
    is_lost: bool,
    /// It has had a message before this one.
    is_used: bool,
}

impl Conversation {
    fn over(stream: impl Duplex + 'static, How { timing, deadline, .. }: How<'_>) -> Conversation {
        Conversation {
            stream: Box::new(stream),
            incoming: Incoming::default(),
            timing,
            deadline,
            is_lost: false,
            is_used: false,
        }
    }

    /// So long, or as long as there is time.
    fn within(&self, patience: Duration) -> Duration {
        patience.min(self.left())
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn reply(&mut self, patience: Duration) -> Result<Reply, Broken> {
        self.incoming.reply(&mut self.stream, patience).await
    }

    /// A command, and what is said to it. Whoever has said something unasked has lost count: its next reply would be taken
    /// for that to another command, and a refusal of one recipient for that of the next.
    async fn command(&mut self, line: &str) -> Result<Reply, Broken> {
        if !self.incoming.is_empty() {
            return Err(Broken::Unasked);
        }
        self.write(format!("{line}\r\n").as_bytes(), self.within(self.timing.command)).await?;
        self.reply(self.within(self.timing.command)).await
    }

    async fn write(&mut self, bytes: &[u8], patience: Duration) -> Result<(), Broken> {
        let writing = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match tokio::time::timeout(patience, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken::Failed(error.to_string())),
            Err(_) => Err(Broken::Late),
        }
    }

    async fn hello(&mut self, name: &str) -> Result<Offers, Result<Reply, Broken>> {
        let reply = self.command(&format!("EHLO {name}")).await.map_err(Err)?;
        if reply.is_good() {
            return Ok(Offers::read(&reply));
        }
        if !reply.is_permanent() {
            return Err(Ok(reply));
        }
        let reply = self.command(&format!("HELO {name}")).await.map_err(Err)?;
        if reply.is_good() { Ok(Offers::default()) } else { Err(Ok(reply)) }
    }

    /// Begins anew between two messages. Does the server offer what it did? Else something else is said than what was asked.
    async fn begins_anew(&mut self, how: How<'_>, offers: &Offers) -> bool {
        (self.timing, self.deadline, self.is_used) = (how.timing, how.deadline, true);
        // It may be gone long since: whoever is there answers soon.
        self.timing.command = self.timing.connect.min(self.timing.command);
        let reply = self.command(&format!("EHLO {}", how.own_name)).await;
        self.timing = how.timing;
        reply.is_ok_and(|reply| {
            reply.is_good()
                && reply.lines.len() > 1
                && self.incoming.is_empty()
                && Offers::read(&reply) == *offers
        })
    }

    /// The message with its dots doubled, and its end.
    async fn message(&mut self, parcel: &Parcel<'_>) -> Result<(), Broken> {
        let mut block = Vec::with_capacity(BLOCK + 1024);
        let lines = |part| <[u8]>::split_inclusive(part, |byte: &u8| *byte == b'\n');
        for line in lines(parcel.head).chain(lines(parcel.message)) {
            if line.first() == Some(&b'.') {
                block.push(b'.');
            }
            block.extend_from_slice(line);
            while block.len() >= BLOCK {
                let rest = block.split_off(BLOCK);
                self.write(&block, self.within(self.timing.block)).await?;
                block = rest;
            }
        }
        if !parcel.message.ends_with(b"\r\n") {
            block.extend_from_slice(b"\r\n");
        }
        block.extend_from_slice(b".\r\n");
        parcel.ending.store(true, Ordering::SeqCst);
        self.write(&block, self.within(self.timing.block)).await
    }

    pub(super) async fn quit(mut self) {
        if !self.is_lost && self.write(b"QUIT\r\n", self.timing.quit).await.is_ok() {
            let _ = self.reply(self.timing.quit).await;
        }
    }
}

fn elsewhere(broken: &Result<Reply, Broken>) -> End {
    End::Elsewhere(match broken {
        Ok(reply) if reply.refuses() => reply.verdict(),
        Ok(_) => deferred(&Broken::NoSmtp),
        Err(broken) => deferred(broken),
    })
}

/// What is said of a connection that broke.
pub(super) fn deferred(broken: &Broken) -> Verdict {
    let status = match broken {
        Broken::Late | Broken::Closed | Broken::Failed(_) => "4.4.2",
        Broken::TooLong | Broken::NoSmtp | Broken::Unasked => "4.5.0",
    };
    ours(RemoteOutcome::Deferred, status, &broken.to_string())
}

/// A verdict of ours.
pub(crate) fn ours(outcome: RemoteOutcome, status: &str, text: &str) -> Verdict {
    (outcome, RemoteAnswer { code: None, status: status.to_owned(), text: text.to_owned() })
}

/// A connection, from that address of this machine.
async fn reach(hop: &Hop, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(hop.address).await };
    let socket = if source.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if source.is_ipv4() != hop.address.is_ipv4() {
        return Err(io::Error::other(format!("{source} reaches no address of that kind")));
    }
    socket.bind(SocketAddr::new(source, 0))?;
    socket.connect(hop.address).await
}

async fn connect(hop: &Hop, how: How<'_>) -> Result<Conversation, End> {
    let How { timing, deadline, .. } = how;
    let patience = timing.connect.min(deadline.saturating_duration_since(Instant::now()));
    let connecting = tokio::time::timeout(patience, reach(hop, how.source)).await;
    let (status, cause) = match connecting {
        Ok(Ok(stream)) => {
            let _ = stream.set_nodelay(true);
            return Ok(Conversation::over(stream, how));
        }
        // That is this machine's matter, and no word about the server.
        Ok(Err(error)) if is_ours(&error) => ("4.3.0", error.to_string()),
        Ok(Err(error)) => ("4.4.1", error.to_string()),
        Err(_) => ("4.4.1", "it took too long".to_owned()),
    };
    let text = format!("no connection to {} at {}: {cause}", hop.host, hop.address);
    Err(End::Elsewhere(ours(RemoteOutcome::Deferred, status, &text)))
}

/// Has this machine no network, or nothing left to connect with?
fn is_ours(error: &io::Error) -> bool {
    const NO_FILES: [i32; 2] = [23, 24];
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown | io::ErrorKind::AddrNotAvailable
    ) || error.raw_os_error().is_some_and(|code| NO_FILES.contains(&code))
}

/// What is wrong with a handshake that broke off.
fn broken_handshake(error: &io::Error) -> Finding {
    let of_tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let fault = of_tls.map_or(TlsFault::Validation, TlsFault::of);
    Finding { fault, text: error.to_string() }
}

/// Why there is no TLS with that server.
fn not_private(status: &str, text: &str) -> Verdict {
    ours(RemoteOutcome::Failed, status, text)
}

/// Why there was none this time.
fn not_private_now(status: &str, text: &str) -> Verdict {
    ours(RemoteOutcome::Deferred, status, text)
}

impl Conversation {
    /// TLS over the connection.
    async fn encrypt(self, tls: &Privacy, hop: &Hop, handed: &mut Handed) -> Result<Conversation, End> {
        let name = match ServerName::try_from(hop.name().to_owned()) {
            Ok(name) => name,
            // A certificate that holds for the address alone says nothing about the host.
            Err(_) if tls.needs_name => {
                let text = format!("no certificate can hold for {}", hop.host);
                handed.session = Some(Session::failed(TlsFault::Validation, &text));
                return Err(End::WithoutTls(not_private("4.7.5", &text)));
            }
            Err(_) => ServerName::from(hop.address.ip()),
        };
        let patience = self.within(self.timing.command);
        let mut failed = |Finding { fault, text }: Finding, verdict: fn(&str, &str) -> Verdict| {
            tracing::debug!(host = hop.host, why = text, "there is no TLS with a server");
            handed.session = Some(Session::failed(fault, &text));
            End::WithoutTls(verdict("4.7.5", &text))
        };
        let private = match tokio::time::timeout(patience, tls.connector.connect(name, self.stream)).await {
            Ok(Ok(private)) => private,
            Ok(Err(error)) => {
                let is_of_tls = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
                let finding = tls.finding().unwrap_or_else(|| broken_handshake(&error));
                return Err(failed(finding, if is_of_tls { not_private } else { not_private_now }));
            }
            Err(_) => {
                let text = "the server does not answer in time".to_owned();
                return Err(failed(Finding { fault: TlsFault::Validation, text }, not_private_now));
            }
        };
        handed.session = Some(Session::Private);
        let (_, connection) = private.get_ref();
        let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
        let suite = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
        handed.tls = Some(format!("{version} {}", suite.unwrap_or_default()));
        let (stream, incoming) = (Box::new(private), Incoming::default());
        let (timing, deadline) = (self.timing, self.deadline);
        Ok(Conversation { stream, incoming, timing, deadline, is_lost: false, is_used: false })
    }
}

/// Hands the parcel to one server, in a conversation that is open if there is one.
pub(super) async fn converse(
    hop: &Hop,
    parcel: &Parcel<'_>,
    how: How<'_>,
    open: &Open,
    handed: &mut Handed,
) -> End {
    let way = Way::of(hop, how);
    let is_busy = open.is_busy(&way);
    if let Some(mut known) = open.take(&way)
        && known.conversation.begins_anew(how, &known.offers).await
    {
        handed.host = hop.shown();
        (handed.tls, handed.in_the_clear) = (known.tls.clone(), known.in_the_clear.clone());
        match known.conversation.transact(parcel, &known.offers, how.is_private(handed), handed).await {
            Ok(End::Over) => {
                known.part(open, way, is_busy).await;
                return End::Over;
            }
            Ok(end) => {
                let has_enough = known.conversation.is_lost;
                known.conversation.quit().await;
                if !has_enough {
                    return end;
                }
            }
            // The message had not begun. What is open for long may break off at any time: that says nothing of the server.
            Err(_) => {}
        }
    }
    let (mut conversation, offers) = match enter(hop, how, handed).await {
        Ok(entered) => entered,
        Err(end) => return end,
    };
    match conversation.transact(parcel, &offers, how.is_private(handed), handed).await {
        Ok(End::Over) => {
            // A certificate that was only complained of is complained of each time.
            let is_as_asked = how.tls.is_none_or(|tls| tls.finding().is_none());
            Parked::new(conversation, offers, handed).part(open, way, is_busy && is_as_asked).await;
            End::Over
        }
        Ok(end) => {
            conversation.quit().await;
            end
        }
        // The message had not begun.
        Err(broken) => End::Elsewhere(deferred(&broken)),
    }
}

impl Parked {
    /// Ends it, or leaves it open for the next message.
    async fn part(self, open: &Open, way: Way, stays: bool) {
        if stays && !self.conversation.is_lost && self.conversation.incoming.is_empty() {
            open.park(way, self).await;
        } else {
            self.conversation.quit().await;
        }
    }
}

/// Hands the parcel in where mail of other servers comes in, at the other end of this.
pub(super) async fn converse_at_home(
    stream: DuplexStream,
    parcel: &Parcel<'_>,
    how: How<'_>,
    handed: &mut Handed,
) -> End {
    let mut conversation = Conversation::over(stream, how);
    how.own_name.clone_into(&mut handed.host);
    let offers = match conversation.meet(how).await {
        Ok(offers) => offers,
        Err(end) => return end,
    };
    // It does not leave the process.
    match conversation.transact(parcel, &offers, true, handed).await {
        Ok(end) => {
            conversation.quit().await;
            end
        }
        // The message had not begun.
        Err(broken) => End::Elsewhere(deferred(&broken)),
    }
}

/// Connects, and says hello, over TLS if that can be.
async fn greet(hop: &Hop, how: How<'_>, handed: &mut Handed) -> Result<(Conversation, Offers), End> {
    let mut conversation = connect(hop, how).await?;
    handed.host = hop.shown();
    (handed.tls, handed.in_the_clear) = (None, None);
    if let Some(tls) = how.tls.filter(|_| how.is_wrapped) {
        conversation = conversation.encrypt(tls, hop, handed).await?;
        let offers = conversation.meet(how).await?;
        return Ok((conversation, offers));
    }
    let offers = conversation.meet(how).await?;
    let Some(tls) = how.tls else { return Ok((conversation, offers)) };
    // Whoever does not offer it, or can't at present, gets it in the clear, unless that must not be.
    let mut verdict: fn(&str, &str) -> Verdict = not_private;
    let (fault, why) = if offers.start_tls {
        let reply = conversation.command("STARTTLS").await;
        let reply = reply.map_err(|broken| {
            handed.session = Some(Session::failed(TlsFault::Validation, &broken.to_string()));
            End::WithoutTls(not_private_now("4.7.5", &broken.to_string()))
        })?;
        if reply.code == 220 {
            // What came before TLS is nobody's word (RFC 3207 section 6): it goes with its connection.
            if !conversation.incoming.is_empty() {
                let text = "somebody speaks in the clear behind STARTTLS";
                handed.session = Some(Session::failed(TlsFault::Validation, text));
                return Err(End::WithoutTls(not_private("4.7.5", text)));
            }
            let mut conversation = conversation.encrypt(tls, hop, handed).await?;
            let offers = conversation.hello(how.own_name).await.map_err(|broken| elsewhere(&broken))?;
            return Ok((conversation, offers));
        }
        if !reply.is_permanent() {
            verdict = not_private_now;
        }
        let said = reply.verdict().1;
        let why = format!("the server takes no STARTTLS: {} {} {}", reply.code, said.status, said.text);
        (TlsFault::Validation, why)
    } else {
        (TlsFault::NotSupported, "the server offers no TLS".to_owned())
    };
    handed.session = Some(Session::failed(fault, &why));
    if tls.is_required {
        conversation.quit().await;
        return Err(End::WithoutTls(verdict("4.7.4", &why)));
    }
    handed.in_the_clear = Some(why);
    Ok((conversation, offers))
}

/// Connects, says hello, and signs in where that is wanted.
pub(super) async fn enter(
    hop: &Hop,
    how: How<'_>,
    handed: &mut Handed,
) -> Result<(Conversation, Offers), End> {
    let (mut conversation, offers) = greet(hop, how, handed).await?;
    if let Some(login) = how.login {
        // A password is told to nobody in the clear, whatever asked for TLS before.
        if handed.tls.is_none() {
            return Err(End::WithoutTls(not_private("4.7.4", "there is no TLS")));
        }
        if let Err(end) = conversation.sign_in(&offers, login, handed).await {
            conversation.quit().await;
            return Err(end);
        }
    }
    Ok((conversation, offers))
}

/// As AUTH PLAIN tells them (RFC 4616).
fn plain(Login { user, password }: &Login) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

/// Does the server repeat what it was told? What is long it may have cut short.
fn repeats(reply: &Reply, login: &Login) -> bool {
    let Login { user, password } = login;
    let said = reply.lines.join(" ").to_ascii_lowercase();
    let told =
        [user.clone(), password.clone(), STANDARD.encode(user), STANDARD.encode(password), plain(login)];
    told.iter().any(|told| said.contains(cut(&told.to_ascii_lowercase(), MIN_REPEATED)))
}

/// What is said where a server does not let us sign in: it waits, since it is nobody's fault who wrote it. Everybody who
/// has written reads it: what was told to the server is not in it.
fn shut_out(reply: &Reply, login: &Login) -> Verdict {
    let (_, RemoteAnswer { code, status, text }) = reply.verdict();
    let status = match status.split_once('.') {
        Some((_, "0.0")) | None => "4.7.8".to_owned(),
        Some((_, rest)) => format!("4.{rest}"),
    };
    let refused = "the smart host refuses user and password";
    let text = if repeats(reply, login) { refused.to_owned() } else { format!("{refused}: {text}") };
    (RemoteOutcome::Deferred, RemoteAnswer { code, status, text })
}

impl Conversation {
    /// Signs in (RFC 4954), over TLS. Where it is refused nobody else is asked: each time may count.
    async fn sign_in(&mut self, offers: &Offers, login: &Login, handed: &mut Handed) -> Result<(), End> {
        let reply = match self.prove(offers, login).await {
            Ok(Some(reply)) if reply.code == 235 => {
                handed.admission = Some(Ok(()));
                return Ok(());
            }
            Ok(Some(reply)) => reply,
            Ok(None) => {
                let text = "the smart host offers neither AUTH PLAIN nor AUTH LOGIN";
                tracing::error!(host = handed.host, "{text}: letters wait");
                return Err(End::Elsewhere(ours(RemoteOutcome::Deferred, "4.7.4", text)));
            }
            Err(broken) => return Err(End::Elsewhere(deferred(&broken))),
        };
        let verdict = shut_out(&reply, login);
        let (host, answer) = (&handed.host, &verdict.1);
        tracing::error!(host, code = reply.code, answer.text, "the smart host lets nobody in: letters wait");
        handed.admission = Some(Err(verdict.clone()));
        handed.settle_open(&verdict);
        handed.close();
        Err(End::Over)
    }

    /// The last reply to AUTH; none, if there is no way that both know.
    async fn prove(&mut self, offers: &Offers, login: &Login) -> Result<Option<Reply>, Broken> {
        let Login { user, password } = login;
        let offers = |name: &str| offers.auth.iter().any(|offered| offered == name);
        if offers("PLAIN") {
            return self.command(&format!("AUTH PLAIN {}", plain(login))).await.map(Some);
        }
        if !offers("LOGIN") {
            return Ok(None);
        }
        let mut reply = self.command("AUTH LOGIN").await?;
        for words in [user, password] {
            if reply.code != 334 {
                break;
            }
            reply = self.command(&STANDARD.encode(words)).await?;
        }
        Ok(Some(reply))
    }
}

impl Conversation {
    /// Hears the greeting, and says hello.
    async fn meet(&mut self, how: How<'_>) -> Result<Offers, End> {
        let patience = self.within(how.timing.command);
        let greeting = self.reply(patience).await.map_err(|broken| elsewhere(&Err(broken)))?;
        if greeting.code != 220 {
            return Err(elsewhere(&Ok(greeting)));
        }
        self.hello(how.own_name).await.map_err(|broken| elsewhere(&broken))
    }

    /// One transaction with those of whom nothing is decided, with a server that is known and heard by nobody else, or not. Verdicts
    /// stand in `handed`. It fails only where the message had not begun: then, as where all are put off, another server may have them.
    async fn transact(
        &mut self,
        parcel: &Parcel<'_>,
        offers: &Offers,
        is_private: bool,
        handed: &mut Handed,
    ) -> Result<End, Broken> {
        if let Some(verdict) = unsuited(parcel, offers) {
            handed.settle_open(&verdict);
            return Ok(End::Over);
        }
        let may_promise = is_private && offers.require_tls;
        if parcel.is_bound() && !may_promise {
            return Ok(End::Elsewhere(promises_nothing()));
        }
        let mut mail = format!("MAIL FROM:<{}>", parcel.reverse_path);
        if offers.size.is_some() {
            mail.push_str(&format!(" SIZE={}", parcel.bytes()));
        }
        if offers.eight_bit && parcel.is_eight_bit {
            mail.push_str(" BODY=8BITMIME");
        }
        if offers.utf8 && parcel.is_utf8 {
            mail.push_str(" SMTPUTF8");
        }
        if parcel.is_private && may_promise {
            mail.push_str(" REQUIRETLS");
        }
        let asked = parcel.asked.filter(|_| offers.dsn);
        mail.push_str(&asked.map(|asked| asked.of_mail()).unwrap_or_default());
        let reply = self.command(&mail).await?;
        // It may be one message too many, or a sender too many, for one conversation.
        if self.is_used && !reply.is_good() {
            return Err(Broken::Closed);
        }
        if reply.is_permanent() {
            handed.settle_open(&reply.verdict());
            return Ok(End::Over);
        }
        if !reply.is_good() {
            self.is_lost |= reply.code == 421;
            return Ok(End::Elsewhere(reply.verdict()));
        }
        let needed = self.timing.message(parcel.bytes());
        let mut accepted = Vec::new();
        let mut put_off: Option<Verdict> = None;
        for (index, recipient) in parcel.recipients.iter().enumerate() {
            if !handed.is_open(index) {
                continue;
            }
            // The others wait for the next attempt rather than all of them.
            if !accepted.is_empty() && self.left() < needed + 2 * self.timing.command {
                break;
            }
            if !recipient.is_ascii() && !offers.utf8 {
                let text = "the server takes no addresses with other characters than ASCII";
                handed.settle(index, ours(RemoteOutcome::Failed, "5.6.7", text));
                continue;
            }
            let parameters = asked.map(|asked| asked.of_recipient(index)).unwrap_or_default();
            let reply = self.command(&format!("RCPT TO:<{recipient}>{parameters}")).await?;
            if reply.is_good() {
                accepted.push(index);
            } else if reply.code == 421 {
                self.is_lost = true;
                return Ok(End::Elsewhere(reply.verdict()));
            } else if reply.is_permanent() && (reply.code != 552 || accepted.is_empty()) {
                handed.settle(index, reply.verdict());
            } else {
                // Of old 552 said, too, that these are too many at once (RFC 5321 section 4.5.3.1.10).
                let verdict = (RemoteOutcome::Deferred, reply.verdict().1);
                handed.put_off(index, &verdict);
                put_off.get_or_insert(verdict);
            }
        }
        if accepted.is_empty() {
            return Ok(put_off.map_or(End::Over, End::Elsewhere));
        }
        if self.left() < needed {
            return Err(Broken::Late);
        }
        let reply = self.command("DATA").await?;
        if reply.code != 354 {
            if reply.is_permanent() {
                accepted.into_iter().for_each(|index| handed.settle(index, reply.verdict()));
                handed.close();
                return Ok(End::Over);
            }
            // `250` to DATA is no word about the message.
            let verdict = if reply.refuses() { reply.verdict() } else { deferred(&Broken::NoSmtp) };
            self.is_lost |= reply.code == 421;
            return Ok(End::Elsewhere(verdict));
        }
        // What is said before the message is no word about it.
        if !self.incoming.is_empty() {
            return Err(Broken::Unasked);
        }
        let verdict = match self.data(parcel).await {
            Ok(verdict) => verdict,
            Err(broken) => {
                self.is_lost = true;
                if parcel.ending.load(Ordering::SeqCst) {
                    handed.unconfirmed.extend(&accepted);
                }
                deferred(&broken)
            }
        };
        self.is_lost |= verdict.1.code == Some(421);
        if verdict.0 == RemoteOutcome::Sent && !offers.dsn {
            handed.relayed.extend(&accepted);
        }
        accepted.into_iter().for_each(|index| handed.settle(index, verdict.clone()));
        handed.close();
        Ok(End::Over)
    }

    /// The message, and what is said to it. From here on nobody else gets it in this attempt.
    async fn data(&mut self, parcel: &Parcel<'_>) -> Result<Verdict, Broken> {
        match self.message(parcel).await {
            Ok(()) => Ok(self.reply(self.timing.end).await?.verdict()),
            // Some say why, and close, before they have read it all.
            Err(broken) => {
                self.is_lost = true;
                match self.reply(self.timing.quit).await {
                    Ok(reply) if reply.refuses() => Ok(reply.verdict()),
                    _ => Err(broken),
                }
            }
        }
    }
}

/// Why nothing can be sent to a server that offers this.
fn unsuited(parcel: &Parcel<'_>, offers: &Offers) -> Option<Verdict> {
    let failed = |status, text: &str| Some(ours(RemoteOutcome::Failed, status, text));
    let size = parcel.bytes() as u64;
    if let Some(limit) = offers.size.filter(|limit| size > *limit) {
        return failed("5.3.4", &format!("the message has {size} bytes, the server takes {limit}"));
    }
    // To recode it would break its signatures (RFC 6152 section 3 leaves no third way).
    if parcel.is_eight_bit && !offers.eight_bit {
        return failed("5.6.3", "the message has 8-bit text, and the server takes 7-bit text only");
    }
    if !parcel.reverse_path.is_ascii() && !offers.utf8 {
        return failed("5.6.7", "the server takes no sender with other characters than ASCII");
    }
    None
}
