//! An open post office: the ports of its backend and what stands on them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use pennypost_admin::{Administration, NoticeSender, Outside, RouteProbe, SignUpSettings};
use pennypost_api::Rest;
use pennypost_backend_embedded::{Embedded, Options};
use pennypost_connector::{SmsCarrier, Webhook};
use pennypost_directory::{Account, Directory, DomainName, Page, SignInLog, Tenant};
use pennypost_fold::DraftError;
use pennypost_housekeep::KeptMail;
use pennypost_mailstore::{Mailroom, Mailstore};
use pennypost_model::UidSet;
use pennypost_model::journal::{Actor, DeleteReason};
use pennypost_ports::{
    Clock, Control, Dns, Https, Ids, Log, Objects, Queue, RandomIds, Secrets, SystemClock,
};
use pennypost_sealing::{KeyFile, Keyring};

use crate::admin::{EmptyAccount, OpenAccount};
use crate::backend::{Backend, Kind, Place};
use crate::sending::Texting;
use crate::text::Text;
use crate::{Failed, say};

/// An open post office.
pub struct Office {
    /// The backend, to be shut down at the end.
    pub backend: Backend,
    /// Who is here.
    pub directory: Directory,
    /// The mail.
    pub store: Mailstore,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh ids.
    pub ids: Arc<dyn Ids>,
    /// DNS and HTTPS, when something of the world is looked up; `None` where the machine has no DNS.
    outside: OnceLock<Option<Outside>>,
    /// What seals secrets; `None` where nobody has said with which keys.
    secrets: Option<Arc<dyn Secrets>>,
    /// Letters to other servers are sent from here.
    sends_out: AtomicBool,
    /// In whose name it writes, if that was said.
    sender: OnceLock<NoticeSender>,
    /// What brings text messages, and how many of a tenant on a day.
    texting: OnceLock<(Arc<dyn SmsCarrier>, u32)>,
    /// Below what trial domains are.
    trials: OnceLock<DomainName>,
    /// Who opens a tenant by himself.
    sign_ups: OnceLock<SignUpSettings>,
    /// By what smart hosts of tenants are tried.
    probe: OnceLock<Arc<dyn RouteProbe>>,
}

/// The servers that are asked instead of the machine's, separated by commas.
const DNS: &str = "PENNYPOST_DNS";
/// Keys with which secrets are sealed, in the place of the file.
const SEALING_KEYS: &str = "PENNYPOST_SEALING_KEYS";
/// The file of those keys in a data directory.
const KEY_FILE: &str = "sealing.keys";

impl Office {
    /// Opens the data directory, as the server or beside it.
    ///
    /// # Errors
    /// [`Failed::Open`].
    pub fn open(data: &Path, options: &Options) -> Result<Office, Failed> {
        let backend = Backend::Embedded(Embedded::open(data, options)?);
        Ok(Office::on(backend, secrets(&Place::directory(data))?))
    }

    /// Opens it wherever it is. The options are for a data directory.
    ///
    /// # Errors
    /// [`Failed::Open`], [`Failed::Cloud`].
    pub async fn open_at(place: &Place, options: &Options) -> Result<Office, Failed> {
        Ok(Office::on(place.open(options).await?, secrets(place)?))
    }

    fn on(backend: Backend, secrets: Option<Arc<dyn Secrets>>) -> Office {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(RandomIds);
        let sign_ins = SignInLog::new(backend.log(), Arc::clone(&clock), Arc::clone(&ids));
        let directory =
            Directory::new(backend.control(), Arc::clone(&clock), Arc::clone(&ids)).recording(sign_ins);
        let directory = match &secrets {
            Some(secrets) => directory.sealing(Arc::clone(secrets)),
            None => directory,
        };
        let store =
            Mailstore::new(backend.journal(), backend.objects(), Arc::clone(&clock), Arc::clone(&ids));
        let (outside, sends_out) = (OnceLock::new(), AtomicBool::new(false));
        let (sender, texting) = (OnceLock::new(), OnceLock::new());
        let (trials, sign_ups, probe) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Office {
            backend,
            directory,
            store,
            clock,
            ids,
            outside,
            secrets,
            sends_out,
            sender,
            texting,
            trials,
            sign_ups,
            probe,
        }
    }

    /// The control port.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Control> {
        self.backend.control()
    }

    /// The log port.
    #[must_use]
    pub fn log(&self) -> Arc<dyn Log> {
        self.backend.log()
    }

    /// Administration.
    #[must_use]
    pub fn administration(&self) -> Administration {
        let administration = self.administration_inside();
        match self.outside() {
            Some(Outside { dns, https }) => administration.looking_up(dns, https),
            None => administration,
        }
    }

    /// Administration that looks nothing up in the world.
    #[must_use]
    pub fn administration_inside(&self) -> Administration {
        let (clock, ids) = (Arc::clone(&self.clock), Arc::clone(&self.ids));
        let administration = Administration::new(self.directory.clone(), self.control(), clock, ids)
            .with_tasks(self.objects(), self.queue())
            .upon_mail(Arc::new(KeptMail::new(self.store.clone(), self.control())))
            .reading(self.log());
        let sends_out = self.sends_out.load(Ordering::Relaxed);
        let administration = if sends_out { administration.sending_out() } else { administration };
        let administration = administration.writing_as(self.sender.get().cloned().unwrap_or_default());
        let administration = match self.texting.get() {
            Some((carrier, most)) => administration.sending_sms(Arc::clone(carrier), *most),
            None => administration,
        };
        let administration = match self.trials.get() {
            Some(base) => administration.offering_trials(base.clone()),
            None => administration,
        };
        let administration = match self.sign_ups.get() {
            Some(settings) => administration.letting_sign_up(settings.clone()),
            None => administration,
        };
        let administration = match self.probe.get() {
            Some(probe) => administration.probing_routes(Arc::clone(probe)),
            None => administration,
        };
        match &self.secrets {
            Some(secrets) => administration.sealing(Arc::clone(secrets)),
            None => administration,
        }
    }

    /// Administration for housekeeping, whose thread may be busy for seconds: its connections to the world are its own.
    #[must_use]
    pub fn administration_apart(&self) -> Administration {
        let administration = self.administration_inside();
        match machine() {
            Some(Outside { dns, https }) => administration.looking_up(dns, https),
            None => administration,
        }
    }

    /// DNS and HTTPS by other means than the machine's: for tests, and where the configuration says so. Before the first
    /// use of administration.
    pub fn look_up_with(&self, outside: Outside) {
        let _ = self.outside.set(Some(outside));
    }

    /// Letters to other servers are sent from here: administration may write some. Before its first use.
    pub fn send_out(&self) {
        self.sends_out.store(true, Ordering::Relaxed);
    }

    /// It writes in that name. Before the first use of administration.
    pub fn write_as(&self, sender: &NoticeSender) {
        let _ = self.sender.set(sender.clone());
    }

    /// Tenants get trial domains below that one. Before the first use of administration.
    pub fn offer_trials(&self, base: DomainName) {
        let _ = self.trials.set(base);
    }

    /// Smart hosts of tenants are tried by that. Before the first use of administration.
    pub fn probe_routes_by(&self, probe: Arc<dyn RouteProbe>) {
        let _ = self.probe.set(probe);
    }

    /// People open tenants by themselves. Before the first use of administration.
    pub fn let_sign_up(&self, settings: SignUpSettings) {
        let _ = self.sign_ups.set(settings);
    }

    /// Text messages are sent from here, by these settings. Before the first use of administration, and after what is looked up
    /// with is known.
    ///
    /// # Errors
    /// A text for the operator.
    pub fn text(&self, settings: &Texting) -> Result<(), String> {
        let Some(Outside { https, .. }) = self.outside() else {
            return Err("this machine has no DNS".to_owned());
        };
        let webhook = Webhook::new(https, Arc::clone(&self.clock), &settings.webhook);
        let webhook = webhook.map_err(|error| error.to_string())?;
        let _ = self.texting.set((Arc::new(webhook), settings.most_per_day));
        Ok(())
    }

    /// What looks domains up; `None` where the machine has no DNS.
    #[must_use]
    pub fn dns(&self) -> Option<Arc<dyn Dns>> {
        Some(self.outside()?.dns)
    }

    /// The way to servers over HTTPS; `None` where the machine has no DNS.
    #[must_use]
    pub fn https(&self) -> Option<Arc<dyn Https>> {
        Some(self.outside()?.https)
    }

    /// What opens secrets; `None` where nobody has said with which keys.
    #[must_use]
    pub fn secrets(&self) -> Option<Arc<dyn Secrets>> {
        self.secrets.clone()
    }

    fn outside(&self) -> Option<Outside> {
        self.outside.get_or_init(machine).clone()
    }

    /// The admin API.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::new(self.administration(), self.control(), Arc::clone(&self.clock))
    }

    /// The object port.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn Objects> {
        self.backend.objects()
    }

    /// The queue port.
    #[must_use]
    pub fn queue(&self) -> Arc<dyn Queue> {
        self.backend.queue()
    }

    /// Opens the journal of a fresh account, so that its mailboxes are there before the first mail.
    #[must_use]
    pub fn open_account(&self) -> Box<OpenAccount> {
        let room = Mailroom::new(self.store.clone());
        Box::new(move |account| {
            let room = room.clone();
            async move { room.account(account).await.map(drop).map_err(|error| error.to_string()) }.boxed()
        })
    }

    /// Deletes all mail of an account that is going to be erased. Its bytes go when nothing can restore them any more.
    #[must_use]
    pub fn empty_account(&self) -> Box<EmptyAccount> {
        let room = Mailroom::new(self.store.clone());
        Box::new(move |account| {
            let room = room.clone();
            async move {
                let live = room.account(account).await.map_err(|error| error.to_string())?;
                let emptied = live.change(&Actor::Admin, |draft| {
                    let mailboxes: Vec<_> = draft.state().mailboxes().map(|mailbox| mailbox.id).collect();
                    for id in mailboxes {
                        let uids: UidSet = match draft.state().mailbox(id) {
                            Some(mailbox) => mailbox.rows.iter().map(|row| row.uid).collect(),
                            None => continue,
                        };
                        if !uids.is_empty() {
                            // Hidden letters are kept for longer.
                            draft.delete_messages(id, &uids, DeleteReason::MailboxDeleted)?;
                        }
                    }
                    Ok::<_, DraftError>(())
                });
                emptied.await.map(drop).map_err(|error| error.to_string())
            }
            .boxed()
        })
    }

    /// The account at an address.
    ///
    /// # Errors
    /// [`Failed`] when there is none.
    pub async fn account(&self, address: &str, text: &Text) -> Result<Account, Failed> {
        let account = self.directory.account_at(address).await?;
        account.ok_or_else(|| Failed::Said(say!(text, "error-no-account", name = address)))
    }

    /// All tenants.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Failed> {
        let mut all = Vec::new();
        let mut page = Page::default();
        loop {
            let listed = self.directory.tenants(&page).await?;
            all.extend(listed.items);
            let Some(next) = listed.next else { return Ok(all) };
            page.after = Some(next);
        }
    }
}

/// DNS and HTTPS as this machine reaches them.
fn machine() -> Option<Outside> {
    match pennypost_lookup::outside(std::env::var(DNS).ok().as_deref()) {
        Ok((dns, https)) => Some(Outside { dns, https }),
        Err(error) => {
            tracing::warn!(%error, "records of domains can't be looked up");
            None
        }
    }
}

/// What seals secrets: keys of the environment, else those of the data directory. In a cloud no machine has a directory that
/// the others see: only the environment says them there.
fn secrets(place: &Place) -> Result<Option<Arc<dyn Secrets>>, Failed> {
    if let Some(keys) = std::env::var(SEALING_KEYS).ok().filter(|keys| !keys.trim().is_empty()) {
        let ring = Keyring::parse(&keys);
        let ring = ring.map_err(|error| Failed::Said(format!("{SEALING_KEYS}: {error}")))?;
        return Ok(Some(Arc::new(ring)));
    }
    match place.kind {
        Kind::Embedded => Ok(Some(Arc::new(KeyFile::at(place.data.join(KEY_FILE))))),
        Kind::Aws => Ok(None),
    }
}
