//! `pennypost letter …`: letters of a member that the operator hides, shows again or deletes (TEN-10).

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use pennypost_admin::{LetterDeed, NewLetterDeed, TaskState};
use pennypost_model::{EventId, Timestamp};
use serde_json::json;

use super::{OPERATOR, refused};
use crate::office::Office;
use crate::print::Output;
use crate::text::{Lang, Text};
use crate::{Failed, say};

/// Which letters, and why.
#[derive(Debug, Args)]
pub struct Letters {
    /// Whose: the address of the account
    address: String,
    /// Their ids, as `pennypost trace` tells them: 100 at most
    #[arg(required = true)]
    letters: Vec<EventId>,
    /// Why; the administrators of the organisation are told
    #[arg(long)]
    reason: String,
}

/// Subcommands of `letter`.
#[derive(Debug, Subcommand)]
pub enum LetterCommand {
    /// Hide letters from a member; they can be shown again for `housekeeping.hidden_days`, and are gone then
    #[command(
        after_help = "Example:\n  pennypost letter hide ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD --reason 'phishing'"
    )]
    Hide(Letters),
    /// Show letters again that were hidden
    #[command(
        after_help = "Example:\n  pennypost letter show ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD --reason 'was no phishing'"
    )]
    Show(Letters),
    /// Delete letters of a member for good
    #[command(
        after_help = "Example:\n  pennypost letter delete ann@example.com 01KAEV3Q8WJ7R9T2N5X4M6C0BD --reason 'by order of a court'"
    )]
    Delete(Letters),
}

/// Orders what was asked and does it, beside a server that may be doing it, too.
pub async fn run(
    office: &Office,
    command: &LetterCommand,
    text: &Text,
    output: &mut Output<'_>,
) -> Result<(), Failed> {
    let (deed, of) = match command {
        LetterCommand::Hide(of) => (LetterDeed::Hide, of),
        LetterCommand::Show(of) => (LetterDeed::Show, of),
        LetterCommand::Delete(of) => (LetterDeed::Delete, of),
    };
    let account = office.account(&of.address, text).await?.key;
    let (administration, told) = (office.administration(), |error| refused(error, text));
    let letters: BTreeSet<EventId> = of.letters.iter().copied().collect();
    let named = letters.len();
    let new = NewLetterDeed { account, deed, letters, reason: of.reason.clone() };
    let ordered = administration.order_letter_deed(&OPERATOR, new, None).await.map_err(told)?.id;
    administration.work_on(account.tenant, ordered, Timestamp(i64::MAX)).await.map_err(told)?;
    let task = administration.task(&OPERATOR, account.tenant, ordered).await.map_err(told)?;
    if let Some(problem) = &task.problem {
        let [english, chinese] = problem.messages();
        return Err(Failed::Said(if text.lang() == Lang::ZhCn { chinese } else { english }));
    }
    let address = &of.address;
    // Of those that were named some may have been deleted before.
    let done = usize::try_from(task.done).unwrap_or(usize::MAX);
    let count = if task.state == TaskState::Done { done } else { named };
    let sentence = match (task.state, deed) {
        (TaskState::Done, LetterDeed::Hide) => say!(text, "letters-hidden", count = count, address = address),
        (TaskState::Done, LetterDeed::Show) => say!(text, "letters-shown", count = count, address = address),
        (TaskState::Done, LetterDeed::Delete) => {
            say!(text, "letters-deleted", count = count, address = address)
        }
        _ => say!(text, "letters-ordered", id = ordered.to_string()),
    };
    let (state, id) = (task.state.name(), ordered.to_string());
    let document = json!({ "address": address, "letters": count, "task": id, "state": state });
    Ok(output.result(&sentence, &document)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use pennypost_admin::{
        Administration, Copied, Copying, FoundLetter, LetterDeed, LetterHead, LettersDone, Mail,
        MailboxCount, NamedLetter, NewExport, NewLetterDeed, RulesRan, RulesRun, RunPlace, SeenLetter, Task,
        TaskProblem, TaskState, ToCopy, Worked,
    };
    use pennypost_directory::Page;
    use pennypost_fold::State;
    use pennypost_housekeep::KeptMail;
    use pennypost_mailstore::Mailroom;
    use pennypost_model::journal::{Actor, DeleteReason, Protocol};
    use pennypost_model::{AccountKey, EventId, MailboxId, Rid, Seq, TaskId, Timestamp, Uid, UidSet};
    use pennypost_organisation::Kind;
    use pennypost_ports::{Consistency, PortError, PortResult};

    use super::super::OPERATOR;
    use super::super::tests::done;
    use crate::test_office::{self, TestOffice, documents};
    use crate::text::Lang;

    async fn state(it: &TestOffice) -> State {
        it.office.store.load(it.account.key, Consistency::Strong).await.expect("state")
    }

    /// Letters that are there, by folder, and letters that can be restored.
    async fn held(it: &TestOffice) -> (Vec<(String, usize)>, usize) {
        let state = state(it).await;
        let counts = state.mailboxes().map(|mailbox| (mailbox.name.clone(), mailbox.rows.len()));
        (counts.filter(|(_, count)| *count > 0).collect(), state.deleted().iter().count())
    }

    /// Feature TEN-10 (part): the operator hides letters of a member in whichever folder they are, shows them again, or deletes them for good, and administrators are told; letters without a trace cannot be named
    #[tokio::test(flavor = "multi_thread")]
    async fn letters_are_hidden_shown_again_and_deleted() {
        let it = test_office::office().await;
        let raw = |subject: &str| format!("Subject: {subject}\r\n\r\nbuy\r\n").into_bytes();
        let bad = it.deliver(it.accepted(&raw("offer"), &[&it.account])).await;
        let home = state(&it).await.mailboxes().find(|mailbox| !mailbox.rows.is_empty()).expect("in one").id;
        let uids = |state: &State, mailbox| -> UidSet {
            state.mailbox(mailbox).expect("there").rows.iter().map(|row| row.uid).collect()
        };
        // Its owner has filed it, with a copy beside it.
        let live = Mailroom::new(it.office.store.clone()).account(it.account.key).await.expect("account");
        let (actor, seen) = (Actor::Member(Protocol::Imap), uids(&state(&it).await, home));
        let filing = live.change(&actor, |draft| {
            draft.copy_messages(home, &seen, MailboxId::SENT)?;
            draft.move_messages(home, &seen, MailboxId::ARCHIVE).map(drop)
        });
        filing.await.expect("filed");
        // One that stays, and one that its owner has deleted.
        it.deliver(it.accepted(&raw("other"), &[&it.account])).await;
        let gone = it.deliver(it.accepted(&raw("gone"), &[&it.account])).await;
        let live = Mailroom::new(it.office.store.clone()).account(it.account.key).await.expect("account");
        let last = uids(&state(&it).await, home).iter().last().expect("two");
        let last: UidSet = [last].into_iter().collect();
        let deleting = live.change(&actor, |draft| draft.delete_messages(home, &last, DeleteReason::Expunge));
        deleting.await.expect("deleted");
        let before = held(&it).await;
        assert_eq!((before.0.iter().map(|(_, count)| count).sum::<usize>(), before.1), (3, 1), "{before:?}");

        let line = |word: &str| format!("letter {word} ann@acme.example {bad} {gone} --reason no_offers");
        for _ in 0..2 {
            let hidden = documents(&done(&it, &line("hide"), true).await.expect("hidden"));
            // What its owner has deleted before is not hidden.
            assert_eq!((&hidden[0]["state"], &hidden[0]["letters"]), (&"done".into(), &1.into()));
            let (there, restorable) = held(&it).await;
            assert_eq!(
                (there.iter().map(|(_, count)| count).sum::<usize>(), restorable),
                (1, 3),
                "{there:?}"
            );
        }
        done(&it, &line("show"), false).await.expect("shown");
        assert_eq!(held(&it).await, before, "what its owner has deleted stays deleted");
        let told = done(&it, &line("delete"), false).await.expect("deleted");
        assert_eq!(told, ["2 letters of ann@acme.example are deleted"]);
        let (there, restorable) = held(&it).await;
        assert_eq!((there.iter().map(|(_, count)| count).sum::<usize>(), restorable), (1, 0), "{there:?}");
        let nothing = done(&it, &line("show"), false).await.expect_err("nothing is left to be shown");
        assert!(nothing.contains("nothing is left of these letters"), "{nothing}");
        assert_eq!(held(&it).await.1, 0);

        let (administration, tenant) = (it.office.administration(), it.account.key.tenant);
        let bulletins =
            administration.bulletins(&OPERATOR, tenant, &Page::default()).await.expect("read").items;
        let kinds: Vec<&str> = bulletins.iter().map(|seen| seen.bulletin.kind.name()).collect();
        assert_eq!(kinds, ["warning", "notice", "warning", "warning"]);
        assert!(bulletins[1].bulletin.english.text.contains("shows 1 letters"), "{bulletins:?}");
        let deleted = &bulletins[0].bulletin;
        assert_eq!(deleted.english.title, "Letters were deleted");
        assert!(deleted.english.text.ends_with("ann@acme.example: no offers"), "{deleted:?}");
        assert!(deleted.chinese.text.contains("已删除邮箱 ann@acme.example 中的 2 封邮件"), "{deleted:?}");
        let log = done(&it, "log list", false).await.expect("listed").join(" ");
        for action in ["letter.hide", "letter.show", "letter.delete"] {
            assert!(log.contains(action), "{log}");
        }

        let unknown = it.office.ids.event(it.office.clock.now());
        let line = format!("letter hide ann@acme.example {bad} {unknown} --reason x");
        let refused = done(&it, &line, false).await;
        assert!(refused.expect_err("unknown").contains("no such letter"));
        let other = it.account("bob@acme.example").await.address;
        let refused = done(&it, &format!("letter hide {other} {bad} --reason x"), false).await;
        assert!(refused.expect_err("not his").contains("no such letter"));
        let blank = done(&it, &format!("letter hide ann@acme.example {bad} --reason _"), false).await;
        assert!(blank.expect_err("no reason").contains("reason"));
        let many: Vec<String> =
            (0..101).map(|_| it.office.ids.event(it.office.clock.now()).to_string()).collect();
        let line = format!("letter hide ann@acme.example {} --reason x", many.join(" "));
        assert!(done(&it, &line, false).await.expect_err("too many").contains("100"));
    }

    /// What happens around the moment in which something is done to letters.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Meddling {
        /// Whoever does it dies when it is done.
        DiesAfter,
        /// Before it is done they are shown by a later order.
        ShownBefore,
    }

    /// The mail of the office, with which that happens.
    struct Meddled {
        mail: KeptMail,
        administration: Administration,
        letter: EventId,
        meddling: Meddling,
        has_shown: AtomicBool,
    }

    #[async_trait]
    impl Mail for Meddled {
        async fn look(&self, copying: &Copying) -> PortResult<ToCopy> {
            self.mail.look(copying).await
        }

        async fn copy_some(&self, copying: &Copying, after: u32) -> PortResult<Copied> {
            self.mail.copy_some(copying, after).await
        }

        async fn erase_some(&self, account: AccountKey) -> PortResult<bool> {
            self.mail.erase_some(account).await
        }

        async fn newest(&self, account: AccountKey) -> PortResult<Seq> {
            self.mail.newest(account).await
        }

        async fn do_to_letters(
            &self,
            account: AccountKey,
            at: Seq,
            letters: &[NamedLetter],
            deed: LetterDeed,
        ) -> PortResult<LettersDone> {
            if self.meddling == Meddling::ShownBefore && !self.has_shown.swap(true, Ordering::SeqCst) {
                // Of two that are carried out at once this one was done, and shown, before the other has begun with it.
                self.mail.do_to_letters(account, at, letters, deed).await?;
                let shown = order(&self.administration, account, LetterDeed::Show, self.letter).await;
                assert_eq!(work(&self.administration, account, shown.id).await.state, TaskState::Done);
            }
            let done = self.mail.do_to_letters(account, at, letters, deed).await;
            match self.meddling {
                Meddling::DiesAfter => {
                    done?;
                    Err(PortError::Unavailable { port: "journal", cause: "died".to_owned() })
                }
                Meddling::ShownBefore => done,
            }
        }

        async fn letters_after(
            &self,
            account: AccountKey,
            letters: &[NamedLetter],
            deed: LetterDeed,
        ) -> PortResult<u64> {
            self.mail.letters_after(account, letters, deed).await
        }

        async fn junk_letters(
            &self,
            account: AccountKey,
            times: (Timestamp, Timestamp),
            limit: usize,
        ) -> PortResult<(Vec<SeenLetter>, usize)> {
            self.mail.junk_letters(account, times, limit).await
        }

        async fn counts(&self, account: AccountKey) -> PortResult<Vec<MailboxCount>> {
            self.mail.counts(account).await
        }

        async fn run_rules(&self, run: &RulesRun, place: Option<RunPlace>) -> PortResult<Option<RulesRan>> {
            self.mail.run_rules(run, place).await
        }

        async fn letter(
            &self,
            account: AccountKey,
            folder: &str,
            uid: Uid,
        ) -> PortResult<Option<FoundLetter>> {
            self.mail.letter(account, folder, uid).await
        }

        async fn put_into_junk(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
            self.mail.put_into_junk(account, letter).await
        }

        async fn receipts(
            &self,
            account: AccountKey,
            letters: &[Rid],
        ) -> PortResult<std::collections::BTreeMap<Rid, bool>> {
            self.mail.receipts(account, letters).await
        }

        async fn letter_head(&self, account: AccountKey, letter: Rid) -> PortResult<Option<LetterHead>> {
            self.mail.letter_head(account, letter).await
        }

        async fn note_receipt(&self, account: AccountKey, letter: Rid) -> PortResult<bool> {
            self.mail.note_receipt(account, letter).await
        }

        async fn seen(
            &self,
            account: AccountKey,
            messages: &[Rid],
        ) -> PortResult<std::collections::BTreeMap<Rid, bool>> {
            self.mail.seen(account, messages).await
        }

        async fn newest_letters(&self, account: AccountKey, limit: usize) -> PortResult<Vec<SeenLetter>> {
            self.mail.newest_letters(account, limit).await
        }
    }

    fn meddled(it: &TestOffice, letter: EventId, meddling: Meddling) -> Administration {
        let mail = KeptMail::new(it.office.store.clone(), it.office.control());
        let (administration, has_shown) = (it.office.administration(), AtomicBool::new(false));
        let meddled = Meddled { mail, administration: administration.clone(), letter, meddling, has_shown };
        administration.upon_mail(Arc::new(meddled))
    }

    fn wish(account: AccountKey, deed: LetterDeed, letter: EventId) -> NewLetterDeed {
        NewLetterDeed { account, deed, letters: BTreeSet::from([letter]), reason: "a complaint".to_owned() }
    }

    async fn order(by: &Administration, account: AccountKey, deed: LetterDeed, letter: EventId) -> Task {
        by.order_letter_deed(&OPERATOR, wish(account, deed, letter), None).await.expect("ordered")
    }

    async fn work(by: &Administration, account: AccountKey, id: TaskId) -> Task {
        let worked = by.work_on(account.tenant, id, Timestamp(i64::MAX)).await;
        assert_eq!(worked.expect("worked"), Worked::Over);
        by.task(&OPERATOR, account.tenant, id).await.expect("a task")
    }

    /// Kinds of bulletins, the newest first.
    async fn told(it: &TestOffice) -> Vec<&'static str> {
        let told =
            it.office.administration().bulletins(&OPERATOR, it.account.key.tenant, &Page::default()).await;
        told.expect("read").items.iter().map(|seen| seen.bulletin.kind.name()).collect()
    }

    async fn a_letter(it: &TestOffice) -> EventId {
        it.deliver(it.accepted(b"Subject: offer\r\n\r\nbuy\r\n", &[&it.account])).await
    }

    /// How many letters are in mailboxes, and how many can be restored.
    async fn here(it: &TestOffice) -> (usize, usize) {
        let (there, restorable) = held(it).await;
        (there.iter().map(|(_, count)| count).sum(), restorable)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_order_that_is_tried_again_does_not_undo_a_later_one() {
        let it = test_office::office().await;
        let (key, letter) = (it.account.key, a_letter(&it).await);
        let sound = it.office.administration();
        // It was done, and whoever did it died before that was written down.
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        let dying = meddled(&it, letter, Meddling::DiesAfter);
        dying.work_on(key.tenant, hidden.id, Timestamp(i64::MAX)).await.expect_err("died");
        assert_eq!(here(&it).await, (0, 1));
        let shown = order(&sound, key, LetterDeed::Show, letter).await;
        assert_eq!(work(&sound, key, shown.id).await.done, 1);
        let again = work(&sound, key, hidden.id).await;
        assert_eq!((again.state, again.problem), (TaskState::Failed, Some(TaskProblem::NewerOrder)));
        assert_eq!((here(&it).await, told(&it).await), ((1, 0), vec!["notice"]));

        // The later one is carried out between a look at the orders and the doing.
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        let overtaken = work(&meddled(&it, letter, Meddling::ShownBefore), key, hidden.id).await;
        assert_eq!((overtaken.state, overtaken.problem), (TaskState::Failed, Some(TaskProblem::NewerOrder)));
        assert_eq!(here(&it).await, (1, 0));

        // What was stopped before anybody began with it is no last word.
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        let stopped = order(&sound, key, LetterDeed::Show, letter).await;
        sound.cancel_task(&OPERATOR, key.tenant, stopped.id).await.expect("stopped");
        assert_eq!(work(&sound, key, hidden.id).await.state, TaskState::Done);
        assert_eq!((here(&it).await, told(&it).await), ((0, 1), vec!["warning", "notice", "notice"]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn administrators_hear_of_what_was_done_however_the_order_ends() {
        let it = test_office::office().await;
        let (key, letter) = (it.account.key, a_letter(&it).await);
        let (sound, dying) = (it.office.administration(), meddled(&it, letter, Meddling::DiesAfter));
        // Stopped by somebody, when it was done and nobody had been told.
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        dying.work_on(key.tenant, hidden.id, Timestamp(i64::MAX)).await.expect_err("died");
        assert_eq!(told(&it).await, [""; 0]);
        sound.cancel_task(&OPERATOR, key.tenant, hidden.id).await.expect("stopped");
        assert_eq!(work(&sound, key, hidden.id).await.state, TaskState::Cancelled);
        assert_eq!((here(&it).await, told(&it).await), ((0, 1), vec!["warning"]));
        work(&sound, key, hidden.id).await;
        assert_eq!(told(&it).await, ["warning"], "once");
        // Given up after its tries.
        let deleted = order(&sound, key, LetterDeed::Delete, letter).await;
        while dying.work_on(key.tenant, deleted.id, Timestamp(i64::MAX)).await.is_err() {}
        let given_up = sound.task(&OPERATOR, key.tenant, deleted.id).await.expect("a task");
        assert_eq!((given_up.state, given_up.problem), (TaskState::Failed, Some(TaskProblem::GivenUp)));
        assert_eq!((here(&it).await, told(&it).await), ((0, 0), vec!["warning", "warning"]));
        // Where nothing was done, nobody hears that it was.
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        let ended = work(&sound, key, hidden.id).await;
        assert_eq!((ended.state, ended.problem), (TaskState::Failed, Some(TaskProblem::NoLetters)));
        assert_eq!(told(&it).await.len(), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn hidden_letters_are_shown_without_their_folder_and_their_traces() {
        let it = test_office::office().await;
        let (key, letter, sound) = (it.account.key, a_letter(&it).await, it.office.administration());
        let home = state(&it).await.mailboxes().find(|mailbox| !mailbox.rows.is_empty()).expect("in one").id;
        let folder = it.mailbox("Offers").await;
        let live = Mailroom::new(it.office.store.clone()).account(key).await.expect("account");
        let uids: UidSet =
            state(&it).await.mailbox(home).expect("there").rows.iter().map(|row| row.uid).collect();
        let actor = Actor::Member(Protocol::Imap);
        let filing = live.change(&actor, |draft| draft.move_messages(home, &uids, folder).map(drop));
        filing.await.expect("filed");
        let hidden = order(&sound, key, LetterDeed::Hide, letter).await;
        assert_eq!(work(&sound, key, hidden.id).await.done, 1);
        let live = Mailroom::new(it.office.store.clone()).account(key).await.expect("account");
        live.change(&actor, |draft| draft.delete_mailbox(folder)).await.expect("deleted");
        // Here nobody knows of any trace: what an order has named can be named again.
        let elsewhere = test_office::office().await;
        let forgetful = it.office.administration().reading(elsewhere.office.log());
        let shown = order(&forgetful, key, LetterDeed::Show, letter).await;
        assert_eq!(work(&forgetful, key, shown.id).await.done, 1);
        assert_eq!(held(&it).await, (vec![("INBOX".to_owned(), 1)], 0));
        let other = a_letter(&it).await;
        let unknown = forgetful.order_letter_deed(&OPERATOR, wish(key, LetterDeed::Show, other), None).await;
        assert!(unknown.is_err(), "{unknown:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn orders_of_the_operator_and_tasks_of_the_tenant_do_not_wait_for_each_other() {
        let it = test_office::office().await;
        let (key, letter, sound) = (it.account.key, a_letter(&it).await, it.office.administration());
        for _ in 0..20 {
            order(&sound, key, LetterDeed::Hide, letter).await;
        }
        let refused = sound.order_letter_deed(&OPERATOR, wish(key, LetterDeed::Hide, letter), None).await;
        assert!(refused.expect_err("too many").to_string().contains("20"));
        let table = NewExport { table: Kind::People, department: None, lang: Lang::En };
        for _ in 0..20 {
            sound.order_export(&OPERATOR, key.tenant, table, None).await.expect("ordered");
        }
        assert!(sound.order_export(&OPERATOR, key.tenant, table, None).await.is_err());
    }
}
