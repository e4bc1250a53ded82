//! An import, step by step: first what can be refused at once and all departments, then slices of people and of groups.

use std::collections::HashSet;

use pennypost_directory::{Domain, DomainState, Listed, Page};
use pennypost_model::{TaskId, TenantId, Timestamp};
use pennypost_organisation::{
    Done, FileError, Import, Options, Place, READING, Reason, Refused, Rows, Slice, csv_line,
};
use pennypost_ports::PortError;
use pennypost_text::{Lang, Text};
use sha2::{Digest, Sha256};

use super::work::{Claim, StepDone, Worked};
use super::{
    Item, MAX_FILE, MAX_UNPACKED, TaskCounts, TaskKind, TaskProblem, TaskState, checked, input_name,
};
use crate::{AdminError, Administration};

/// What a file holds, read anew with each event: the same for the same bytes.
struct File {
    rows: Rows,
    refused: Vec<Refused>,
}

fn read(name: &str, bytes: &[u8]) -> Result<File, FileError> {
    if bytes.len() > MAX_FILE {
        return Err(FileError::Bytes { limit: (MAX_FILE / 1_000_000) as u64 });
    }
    let (mut rows, mut refused) = (Rows::default(), Vec::new());
    rows.read(name, bytes, MAX_UNPACKED, &mut refused)?;
    rows.refuse_doubles(&mut refused);
    Ok(File { rows, refused })
}

/// The rows of a file that somebody wants to import.
pub(super) fn rows_of(name: &str, bytes: &[u8]) -> Result<Rows, AdminError> {
    let File { rows, refused } =
        read(name, bytes).map_err(|error| AdminError::File { name: name.to_owned(), error })?;
    checked(&rows, refused.len())?;
    Ok(rows)
}

/// Both languages, in which rows that were refused are told.
struct Languages([Text; 2]);

impl Languages {
    fn new() -> Languages {
        Languages([Lang::En, Lang::ZhCn].map(Text::new))
    }

    fn line(&self, place: &Place, reason: &Reason) -> String {
        let Languages([english, chinese]) = self;
        csv_line(&[&place.file, &place.line.to_string(), &reason.message(english), &reason.message(chinese)])
    }
}

/// The line of names of what is refused, behind a mark by which spreadsheets know UTF-8.
fn heads() -> String {
    format!("\u{feff}{}", csv_line(&["file", "line", "reason", "原因"]))
}

impl Administration {
    pub(super) async fn import(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Import { file: name, dry_run, skip_existing, department } = &item.kind else {
            return Ok(Worked::Over);
        };
        if item.reading != READING {
            return self.end_task(tenant, id, TaskState::Failed, Some(&TaskProblem::Replaced)).await;
        }
        let Some(file) = self.file_of(tenant, id, name, &item.file).await? else {
            let problem = TaskProblem::NoFile;
            return self.end_task(tenant, id, TaskState::Failed, Some(&problem)).await;
        };
        let options = Options {
            dry_run: *dry_run,
            skip_existing: *skip_existing,
            department: department.map(|id| format!("#{id}")),
            closed: self.closed_domains(tenant).await?,
            is_tenants: true,
        };
        let languages = Languages::new();
        let slices = file.rows.slices();
        let begin = || Import::begin(&self.directory, tenant, &file.rows, &options, None);
        let mut item = item.clone();
        let import = if item.step == 0 {
            let missing = self.missing_departments(tenant, &file.rows, &options).await?;
            let Some(claim) = self.claim_step(tenant, id, &item, &[missing]).await? else {
                return Ok(Worked::Over);
            };
            let import = begin().await?;
            let is_last = slices.is_empty();
            let done = StepDone { is_last, ..first_step(&claim, &file, &import, &languages) };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => return Ok(Worked::Over),
            }
            import
        } else {
            begin().await?
        };
        // Step 0 was the first look; the others are slices.
        while let Some(slice) = slices.get((item.step as usize).saturating_sub(1)) {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            let is_first_attempt = item.attempt == 0 && !options.dry_run;
            let taken = if is_first_attempt { indices(import.taken(slice).await?) } else { Vec::new() };
            let Some(claim) = self.claim_step(tenant, id, &item, &taken).await? else {
                return Ok(Worked::Over);
            };
            let is_last = item.step as usize == slices.len();
            let done = StepDone { is_last, ..slice_step(&claim, &import, slice, &languages).await? };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => break,
            }
        }
        Ok(Worked::Over)
    }

    /// The file of a task as it was when it was ordered; `None` if it is not.
    async fn file_of(
        &self,
        tenant: TenantId,
        id: TaskId,
        name: &str,
        digest: &[u8; 32],
    ) -> Result<Option<File>, AdminError> {
        let (objects, _) = self.workshop()?;
        let bytes = match objects.get(&input_name(tenant, id)).await {
            Ok((bytes, _)) => bytes,
            Err(PortError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_same = <[u8; 32]>::from(Sha256::digest(&bytes)) == *digest;
        Ok(if is_same { read(name, &bytes).ok() } else { None })
    }

    /// How many departments there are to be made. Noted before they are, for whoever does the step again.
    async fn missing_departments(
        &self,
        tenant: TenantId,
        rows: &Rows,
        options: &Options,
    ) -> Result<u32, AdminError> {
        let looking = Options { dry_run: true, ..options.clone() };
        let import = Import::begin(&self.directory, tenant, rows, &looking, None).await?;
        Ok(u32::try_from(import.added()).unwrap_or(u32::MAX))
    }

    /// The tenant's own domains in which it gives no addresses yet (DOM-07). As many as a file names may be others.
    async fn closed_domains(&self, tenant: TenantId) -> Result<HashSet<String>, AdminError> {
        let mut closed = HashSet::new();
        if !self.stored_domain_rules(tenant).await?.lock_until_active {
            return Ok(closed);
        }
        let mut page = Page::default();
        loop {
            let Listed { items, next } = self.directory.domains(tenant, &page).await?;
            let waits = |domain: &Domain| domain.state.is_owned() && domain.state != DomainState::Active;
            closed.extend(items.into_iter().filter(waits).map(|domain| domain.name.to_string()));
            let Some(next) = next else { return Ok(closed) };
            page.after = Some(next);
        }
    }
}

fn indices(taken: HashSet<usize>) -> Vec<u32> {
    let mut taken: Vec<u32> = taken.into_iter().filter_map(|index| u32::try_from(index).ok()).collect();
    taken.sort_unstable();
    taken
}

/// What was refused without looking at what is there, and the departments.
fn first_step(claim: &Claim, file: &File, import: &Import<'_>, languages: &Languages) -> StepDone {
    let departments = import.refused_departments();
    let refused = file.refused.iter().chain(&departments);
    let lines: Vec<String> =
        std::iter::once(heads()).chain(refused.map(|row| languages.line(&row.place, &row.reason))).collect();
    let counts = file.rows.counts();
    let rows = (counts[0] + file.refused.len()) as u64;
    let total = rows + (counts[1] + counts[2]) as u64;
    let added = claim.taken.first().copied().unwrap_or_default();
    let refused = (file.refused.len() + departments.len()) as u64;
    let counts = TaskCounts { departments: u64::from(added), refused, ..TaskCounts::default() };
    StepDone { rows, total: Some(total), counts, lines, ..StepDone::default() }
}

async fn slice_step(
    claim: &Claim,
    import: &Import<'_>,
    slice: &Slice,
    languages: &Languages,
) -> Result<StepDone, AdminError> {
    let before: HashSet<usize> = claim.taken.iter().map(|index| *index as usize).collect();
    let before = (claim.attempt > 1).then_some(&before);
    let mut results = import.work(slice, before).await;
    results.sort_by_key(|(index, _)| *index);
    let mut done = StepDone { rows: slice.len() as u64, ..StepDone::default() };
    for (index, result) in results {
        match result {
            Ok(Done::Added) if slice.is_of_groups() => done.counts.groups += 1,
            Ok(Done::Added) => done.counts.people += 1,
            Ok(Done::Skipped) => done.counts.skipped += 1,
            // The row is not at fault: the step is done again.
            Err(Reason::Directory(error)) if error.is_temporary() => return Err(error.into()),
            Err(reason) => {
                done.counts.refused += 1;
                done.lines.extend(import.place(slice, index).map(|place| languages.line(place, &reason)));
            }
        }
    }
    Ok(done)
}
