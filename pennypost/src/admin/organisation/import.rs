//! Reading tables and doing what their rows say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use pennypost_admin::{Action, TaskCounts, TaskKind};
use pennypost_model::message::cut;
use pennypost_model::{TenantId, Timestamp};
use pennypost_organisation::{Done, Import, MAX_BYTES, MAX_UNPACKED, Options, Place, Reason, Refused, Rows};
use serde_json::json;

use super::ImportArgs;
use crate::admin::context::unrecorded;
use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Rows between two words about how far it has come.
const PROGRESS: usize = 500;
/// Bytes of the names of files in the record.
const MAX_FILE_NAMES: usize = 200;

/// What became of the rows so far.
struct Progress<'a> {
    context: &'a AdminContext<'a>,
    done: usize,
    total: usize,
    failed: u64,
    skipped: u64,
    counts: [u64; 3],
}

impl Progress<'_> {
    fn step(&mut self) -> Result<(), AdminError> {
        self.done += 1;
        let is_word_due = self.done.is_multiple_of(PROGRESS) || self.done == self.total;
        if is_word_due && !self.context.json && self.total > PROGRESS {
            let (done, total) = (self.done, self.total);
            self.context.remark(&say!(self.context.text, "import-progress", done = done, total = total))?;
        }
        Ok(())
    }

    /// Reports a row that was refused.
    fn refused(&mut self, place: &Place, reason: &Reason) -> Result<(), AdminError> {
        self.failed += 1;
        let text = &self.context.text;
        let cause = reason.message(text);
        if self.context.json {
            let document = json!({"file": place.file, "line": place.line, "error": cause});
            return self.context.line(&document.to_string());
        }
        let (file, line) = (&place.file, place.line);
        self.context.complain(&say!(text, "error-import-row", file = file, line = line, cause = cause))
    }

    fn all_refused(&mut self, refused: &[Refused]) -> Result<(), AdminError> {
        refused.iter().try_for_each(|row| self.refused(&row.place, &row.reason))
    }
}

/// Imports the files, or only checks them.
pub(super) async fn run(context: &AdminContext<'_>, arguments: &ImportArgs) -> Result<(), AdminError> {
    let tenant = context.tenant_or_only(arguments.tenant.as_deref()).await?;
    let begun = context.directory.now();
    let mut progress = Progress { context, done: 0, total: 0, failed: 0, skipped: 0, counts: [0; 3] };
    let mut rows = Rows::default();
    let mut refused = Vec::new();
    for path in &arguments.files {
        let read = read_file(context, path, &mut rows, &mut refused);
        progress.all_refused(&std::mem::take(&mut refused))?;
        read?;
    }
    rows.refuse_doubles(&mut refused);
    progress.all_refused(&refused)?;
    let [_, people, groups] = rows.counts();
    progress.total = people + groups;
    let options = Options {
        dry_run: arguments.dry_run,
        skip_existing: arguments.skip_existing,
        department: arguments.department.clone(),
        ..Options::default()
    };
    let opening = Some(context.open_account);
    let begin = Import::begin(&context.directory, tenant.id, &rows, &options, opening);
    let import = if arguments.dry_run {
        begin.await?
    } else {
        let files: Vec<String> = arguments.files.iter().map(|path| path.display().to_string()).collect();
        let after = json!({
            "departments": rows.counts()[0], "people": people, "groups": groups,
            "skip_existing": arguments.skip_existing,
        });
        // Which rows were refused is no failure of it.
        context.recorded(tenant.id, Action::OrganisationImport, &files.join(", "), after, begin).await?
    };
    progress.counts[0] = import.added() as u64;
    progress.all_refused(&import.refused_departments())?;
    for slice in rows.slices() {
        let added = if slice.is_of_groups() { 2 } else { 1 };
        for (index, done) in import.work(&slice, None).await {
            progress.step()?;
            match done {
                Ok(Done::Added) => progress.counts[added] += 1,
                Ok(Done::Skipped) => progress.skipped += 1,
                Err(reason) => {
                    if let Some(place) = import.place(&slice, index) {
                        progress.refused(place, &reason)?;
                    }
                }
            }
        }
    }
    // All is imported by now, which is said in any case: what is missing is a line among the tasks.
    if let Err(error) = note(context, tenant.id, arguments, &progress, begun).await {
        context.remark(&say!(context.text, "warning-task-unrecorded", cause = error.to_string()))?;
    }
    finish(context, arguments.dry_run, &progress)
}

/// Writes down among the tasks what was done (LOG-08).
async fn note(
    context: &AdminContext<'_>,
    tenant: TenantId,
    arguments: &ImportArgs,
    progress: &Progress<'_>,
    begun: Timestamp,
) -> Result<(), AdminError> {
    let department = match &arguments.department {
        Some(path) => context.directory.departments(tenant).await?.find(path),
        None => None,
    };
    let name = |path: &PathBuf| {
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    let file = arguments.files.iter().map(name).collect::<Vec<_>>().join(", ");
    let kind = TaskKind::Import {
        file: cut(&file, MAX_FILE_NAMES).to_owned(),
        dry_run: arguments.dry_run,
        skip_existing: arguments.skip_existing,
        department,
    };
    let [departments, people, groups] = progress.counts;
    let counts =
        TaskCounts { departments, people, groups, skipped: progress.skipped, refused: progress.failed };
    let noted = context.administration.note_command(tenant, kind, counts, begun).await;
    noted.map(drop).map_err(unrecorded)
}

fn finish(context: &AdminContext<'_>, dry_run: bool, progress: &Progress<'_>) -> Result<(), AdminError> {
    let text = &context.text;
    let [departments, people, groups] = progress.counts;
    let (failed, skipped) = (progress.failed, progress.skipped);
    let sentence = if dry_run {
        say!(text, "import-organisation-dry", departments = departments, people = people, groups = groups)
    } else {
        say!(text, "import-organisation-done", departments = departments, people = people, groups = groups)
    };
    let document = json!({
        "departments": departments, "people": people, "groups": groups, "skipped": skipped, "failed": failed,
        "dry_run": dry_run,
    });
    context.print(&sentence, &document)?;
    if skipped > 0 && !context.json {
        context.line(&say!(text, "import-skipped", skipped = skipped))?;
    }
    if failed > 0 {
        Err(AdminError::Said(say!(text, "error-import-refused", failed = failed)))
    } else {
        Ok(())
    }
}

fn read_file(
    context: &AdminContext<'_>,
    path: &Path,
    rows: &mut Rows,
    refused: &mut Vec<Refused>,
) -> Result<(), AdminError> {
    let text = &context.text;
    let shown = path.display().to_string();
    let unreadable = |cause: std::io::Error| {
        AdminError::Said(say!(text, "error-file", path = &shown, cause = cause.to_string()))
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let name = path.file_name().map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
    let read = rows.read(&name, &bytes, MAX_UNPACKED, refused);
    read.map_err(|error| AdminError::Said(error.message(text, &shown)))
}
