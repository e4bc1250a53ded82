//! The session: its state (RFC 3501 section 3), the loop that takes one command after the other, and what
//! happens around each of them.

use std::sync::Arc;

use pennypost_directory::{ClientProtocol, Standing};
use pennypost_fold::State;
use pennypost_model::journal::{Actor, Protocol};
use tokio::time::Instant;
use tracing::{debug, info};

use super::Shared;
use super::access::{Memberships, OTHER_USERS};
use super::ahead::Ahead;
use super::capability;
use super::command::{self, Watch};
use super::grammar::{self, Command};
use super::input::{Expectation, Input, read_command};
use super::modes::Modes;
use super::response::{Kind, Reply};
use super::view::{Movement, View};
use crate::net::{Adapter, ClientAccount, NetError, Share, Stream, wire};

/// Failed sign-ins after which the session ends; the directory slows them besides.
const MAX_FAILED_SIGN_INS: usize = 10;

/// How many times the wait for one command the whole way to the sign-in may take.
const LOGIN_TRIES: u32 = 5;

/// Who made a change, for the journal.
pub(super) const ACTOR: Actor = Actor::Member(Protocol::Imap);

/// Why a session ends other than by LOGOUT.
#[derive(Debug)]
pub(super) enum End {
    /// The connection is over.
    Net(NetError),
    /// The client is told goodbye.
    Bye(&'static str),
    /// In the middle of a literal nothing can be said any more.
    CutOff,
    /// The client has signed out, and may sign in again (RFC 8437).
    SignedOut,
}

impl From<NetError> for End {
    fn from(error: NetError) -> End {
        End::Net(error)
    }
}

/// What happens to the connection once a command was answered with OK.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    StartTls,
    Compress,
    SignOut,
}

impl Then {
    const fn after(command: &Command) -> Then {
        match command {
            Command::StartTls => Then::StartTls,
            Command::Compress(_) => Then::Compress,
            Command::Unauthenticate => Then::SignOut,
            _ => Then::Nothing,
        }
    }
}

/// What a command's code gives.
pub(super) type Done = Result<Reply, End>;

/// A member who has signed in.
pub(super) struct SignedIn {
    /// The account in the directory, and what the session stands on.
    pub standing: Standing,
    /// When that was looked at.
    pub checked: Instant,
    /// The account's mail.
    pub live: ClientAccount,
}

impl SignedIn {
    /// For the messages of a command that begins with these bytes.
    pub fn ahead(&self, begins: &[u8]) -> Ahead {
        let used = self.live.state().used.bytes;
        // What may be for a colleague is not packed as the member's own.
        let is_own = memchr::memmem::find(begins, OTHER_USERS.as_bytes()).is_none();
        let room = if is_own { self.standing.capacity().saturating_sub(used) } else { 0 };
        Ahead::new(self.live.store().clone(), self.live.key(), room)
    }
}

/// One connection.
pub(super) struct Session {
    pub adapter: Arc<Adapter>,
    pub shared: Arc<Shared>,
    pub stream: Stream,
    pub signed_in: Option<SignedIn>,
    pub view: Option<View>,
    /// What the client wants to be told without asking (RFC 5465).
    pub notify: Option<Box<Watch>>,
    /// In which groups the member is, as far as it was asked.
    pub memberships: Memberships,
    /// The rights in the selected mailbox were looked at in this command.
    pub knows_rights: bool,
    /// What the client has turned on.
    pub modes: Modes,
    /// Bad commands since the last good one.
    errors: usize,
    pub failed_sign_ins: usize,
    since: Instant,
    /// What the client calls itself (RFC 2971), if it has said.
    pub program: Option<Arc<str>>,
    /// Messages of the command that is carried out, prepared while it came.
    pub ahead: Option<Box<Ahead>>,
}

impl Session {
    pub fn new(adapter: Arc<Adapter>, shared: Arc<Shared>, mut stream: Stream) -> Session {
        stream.accept_bare_lf();
        Session {
            adapter,
            shared,
            stream,
            signed_in: None,
            view: None,
            notify: None,
            memberships: Memberships::default(),
            knows_rights: false,
            modes: Modes::default(),
            errors: 0,
            failed_sign_ins: 0,
            since: Instant::now(),
            program: None,
            ahead: None,
        }
    }

    /// Talks to the client to the end. The session is not moved: its parts would have a place in each future.
    pub async fn run(mut self: Box<Self>) {
        self.greet();
        let end = loop {
            match self.converse().await {
                Err(End::SignedOut) => self = self.anew(),
                end => break end,
            }
        };
        let goodbye = match end {
            Ok(()) | Err(End::SignedOut) => None,
            Err(End::CutOff) => return,
            Err(End::Bye(text)) => Some(text),
            Err(End::Net(NetError::Stopping)) => Some("[UNAVAILABLE] the server is stopping"),
            Err(End::Net(NetError::ReadTimeout)) => Some("idle for too long"),
            Err(End::Net(error)) => {
                debug!(%error, "connection is over");
                return;
            }
        };
        if let Some(text) = goodbye {
            info!(text, "session ended by the server");
            self.stream.write(format!("* BYE {text}\r\n").as_bytes());
        }
        self.stream.close().await;
    }

    fn greet(&mut self) {
        let greeting =
            format!("* OK [CAPABILITY {}] Pennypost at {}\r\n", self.capabilities(), self.adapter.hostname);
        self.stream.write(greeting.as_bytes());
    }

    /// The same connection with nobody signed in: whatever a session comes to know of its member is new.
    fn anew(self: Box<Self>) -> Box<Session> {
        let Session { adapter, shared, stream, errors, failed_sign_ins, program, .. } = *self;
        Box::new(Session { errors, failed_sign_ins, program, ..Session::new(adapter, shared, stream) })
    }

    async fn converse(&mut self) -> Result<(), End> {
        loop {
            // Answers to pipelined commands go out together.
            if self.stream.has_buffered_input() {
                self.stream.relieve().await?;
            } else {
                self.stream.flush().await?;
            }
            if self.notify.is_some() {
                Box::pin(self.wait_with_news()).await?;
            }
            let limits = &self.adapter.limits.imap;
            let member = self.signed_in.as_ref();
            if member.is_none() && self.since.elapsed() > limits.login * LOGIN_TRIES {
                return Err(End::Bye("it took too long to sign in"));
            }
            let patience = if member.is_some() { limits.idle } else { limits.login };
            let memory = &self.adapter.memory;
            let expect = Expectation { limits, patience, member, memory };
            match read_command(&mut self.stream, &expect).await? {
                Input::Eof => return Ok(()),
                Input::Hopeless(text) => return Err(End::Bye(text)),
                Input::Refused { tag, no, text } => {
                    let reply = if no { Reply::no(text) } else { Reply::bad(text) };
                    self.answer(tag.as_deref(), &reply)?;
                }
                Input::Command(bytes, share, ahead) => {
                    self.ahead = ahead;
                    if self.command(bytes, share).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// One command; `true` if it was LOGOUT.
    async fn command(&mut self, bytes: Vec<u8>, share: Option<Share>) -> Result<bool, End> {
        let tag = grammar::tag(&bytes).map(str::to_owned);
        let parsed = grammar::command_with(&bytes, self.modes.names());
        let command = match (&tag, parsed) {
            (Some(_), Ok(command)) => command,
            (_, Err(error)) => {
                self.count("other");
                self.answer(tag.as_deref(), &Reply::bad(error.0))?;
                return Ok(false);
            }
            (None, _) => return Ok(false),
        };
        self.count(command::name(&command));
        if command == Command::Logout {
            self.stream.write(b"* BYE until next time\r\n");
            self.answer(tag.as_deref(), &Reply::ok("signed out"))?;
            return Ok(true);
        }
        self.recheck().await?;
        self.knows_rights = false;
        let then = Then::after(&command);
        let movement = command::movement(&command, self.stream.has_buffered_input());
        // On the heap while it lasts, each by itself: thousands of sessions wait in IDLE, and what a FETCH would
        // need is not kept for them.
        let reply = match command {
            Command::Idle => Box::pin(self.idle()).await?,
            command => Box::pin(self.execute(command, &bytes)).await?,
        };
        drop((bytes, share, self.ahead.take()));
        if let Some(movement) = movement
            && self.may_tell().await
        {
            self.move_view(movement, &reply);
        }
        self.answer(tag.as_deref(), &reply)?;
        if reply.kind == Kind::Ok {
            match then {
                Then::Nothing => {}
                Then::StartTls => Box::pin(self.start_tls()).await?,
                Then::Compress => Box::pin(self.stream.compress()).await?,
                Then::SignOut => return Err(End::SignedOut),
            }
        }
        Ok(false)
    }

    fn count(&self, name: &str) {
        self.adapter.metrics.commands.with_label_values(&["imap", name]).inc();
    }

    /// May more be told of the selected mailbox? Of a colleague's that is no longer open nothing is, whatever the command
    /// was about.
    async fn may_tell(&mut self) -> bool {
        let is_own = self.view.as_ref().is_none_or(|view| view.owner().is_none());
        if is_own || self.knows_rights {
            return true;
        }
        match Box::pin(self.recheck_rights()).await {
            Ok(()) => true,
            Err(refused) => {
                tracing::warn!(text = %refused.text, "rights can't be looked at");
                false
            }
        }
    }

    /// Shows the client what has changed in the selected mailbox.
    fn move_view(&mut self, movement: Movement, reply: &Reply) {
        let Some(view) = &mut self.view else { return };
        let mut out = Vec::new();
        let modes = self.modes;
        if !view.advance(&view.live().state(), movement, &reply.told, modes.condstore, &mut out)
            && modes.condstore
        {
            // MODSEQs of later changes may have been told while an EXPUNGE waits: the client must not take them for
            // where it stands (RFC 7162; erratum 1810 on its predecessor).
            let line = format!("* OK [HIGHESTMODSEQ {}] some were expunged\r\n", view.shown().modseq);
            out.extend_from_slice(line.as_bytes());
        }
        self.stream.write(&out);
    }

    fn answer(&mut self, tag: Option<&str>, reply: &Reply) -> Result<(), End> {
        let line = reply.line(tag.unwrap_or("*"));
        wire::sent(line.as_bytes());
        self.stream.write(line.as_bytes());
        match reply.kind {
            Kind::Ok => self.errors = 0,
            Kind::No => {}
            Kind::Bad => {
                self.errors += 1;
                if self.errors > self.adapter.limits.imap.errors {
                    return Err(End::Bye("too many bad commands"));
                }
            }
        }
        if self.failed_sign_ins > MAX_FAILED_SIGN_INS {
            return Err(End::Bye("too many failed sign-ins"));
        }
        Ok(())
    }

    /// Ends the session, now and then, if the member may not be here any more; takes note of the quota.
    pub async fn recheck(&mut self) -> Result<(), End> {
        let Some(signed_in) = &mut self.signed_in else { return Ok(()) };
        if signed_in.checked.elapsed() < self.adapter.limits.recheck {
            return Ok(());
        }
        signed_in.checked = Instant::now();
        match Box::pin(self.adapter.still_stands(&signed_in.standing, ClientProtocol::Imap)).await {
            // UIDVALIDITY may be another now.
            Ok(Some(standing)) if !standing.rules.imap.sees_as(&signed_in.standing.rules.imap) => {
                return Err(End::Bye("[UNAVAILABLE] what mail programs see has changed, sign in again"));
            }
            Ok(Some(standing)) => signed_in.standing = standing,
            Ok(None) => {
                return Err(End::Bye("[UNAVAILABLE] the account or its password has changed, sign in again"));
            }
            // Nobody is thrown out because the directory does not answer.
            Err(error) => tracing::warn!(%error, "the account can't be looked at"),
        }
        Ok(())
    }

    async fn start_tls(&mut self) -> Result<(), End> {
        self.stream.flush().await?;
        let patience = self.adapter.limits.tls_handshake;
        self.stream.start_tls(&self.adapter.tls, patience).await?;
        Ok(())
    }

    /// What the client may use now (RFC 3501 section 6.1.1).
    pub fn capabilities(&self) -> String {
        let standing = capability::Standing {
            tls: self.stream.is_tls(),
            private: self.stream.is_private(),
            bound: self.stream.offers_binding(),
            signed_in: self.signed_in.is_some(),
        };
        capability::list(standing, self.adapter.limits.imap.message_size)
    }

    /// The account of a member who has signed in.
    pub fn live(&self) -> Result<ClientAccount, Reply> {
        match &self.signed_in {
            Some(signed_in) => Ok(signed_in.live.clone()),
            None => Err(Reply::bad("sign in first")),
        }
    }

    /// The account of the selected mailbox (without one: the member's) with everything that is durable now; the
    /// view, if there is one, knows of it.
    pub async fn refreshed(&mut self) -> Result<(ClientAccount, Arc<State>), Reply> {
        let live = self.selected()?;
        let state = live.refresh().await?;
        if let Some(view) = &mut self.view {
            view.learn(&state);
            self.recheck_rights().await?;
        }
        Ok((live, state))
    }

    /// From now on the client is spoken to so.
    pub fn change_modes(&mut self, modes: Modes) {
        self.modes = modes;
        if let Some(view) = &mut self.view {
            view.modes = modes;
        }
    }

    /// Begins to tell MODSEQ; if a mailbox is selected, the client is told where it stands (RFC 7162
    /// section 3.1.2).
    pub fn enable_condstore(&mut self) {
        if self.modes.condstore {
            return;
        }
        self.change_modes(Modes { condstore: true, ..self.modes });
        if let Some(view) = &self.view {
            let line = format!("* OK [HIGHESTMODSEQ {}] from now on\r\n", view.shown().modseq);
            self.stream.write(line.as_bytes());
        }
    }
}
