//! Writing an organisation into tables that the import reads.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pennypost_admin::{Table, TaskCounts, TaskKind};
use pennypost_directory::Tenant;
use pennypost_organisation::{Export, Kind};
use pennypost_text::Lang;
use serde_json::json;

use crate::admin::{AdminContext, AdminError};
use crate::say;

/// Writes the three tables into a folder; none of them may be there.
pub(super) async fn run(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    folder: &Path,
) -> Result<(), AdminError> {
    std::fs::create_dir_all(folder)?;
    let departments = table(context, tenant, folder, "departments.csv", Kind::Departments).await?;
    let people = table(context, tenant, folder, "people.csv", Kind::People).await?;
    let groups = table(context, tenant, folder, "groups.csv", Kind::Groups).await?;
    let sentence = say!(
        context.text,
        "export-organisation",
        departments = departments,
        people = people,
        groups = groups
    );
    context.print(&sentence, &json!({"departments": departments, "people": people, "groups": groups}))
}

/// Writes one of them: UTF-8 with a byte order mark, by which spreadsheets know it. How many rows it has.
async fn table(
    context: &AdminContext<'_>,
    tenant: &Tenant,
    folder: &Path,
    name: &str,
    kind: Kind,
) -> Result<u64, AdminError> {
    let begun = context.directory.now();
    let path = folder.join(name);
    let failed = |cause: std::io::Error| {
        let path = path.display().to_string();
        AdminError::Said(say!(context.text, "error-file-write", path = path, cause = cause.to_string()))
    };
    let mut file = BufWriter::new(File::create_new(&path).map_err(failed)?);
    let export = Export::begin(&context.directory, tenant.id, kind, None).await?;
    file.write_all("\u{feff}".as_bytes())?;
    file.write_all(export.heads(context.text.lang()).as_bytes())?;
    let (mut after, mut rows) = (None, 0);
    loop {
        let (lines, next) = export.page(after).await?;
        for line in &lines {
            file.write_all(line.as_bytes())?;
        }
        rows += lines.len() as u64;
        let Some(next) = next else { break };
        after = Some(next);
    }
    file.flush()?;
    let none = TaskCounts::default();
    let (table, counts) = match kind {
        Kind::Departments => (Table::Departments, TaskCounts { departments: rows, ..none }),
        Kind::People => (Table::People, TaskCounts { people: rows, ..none }),
        Kind::Groups => (Table::Groups, TaskCounts { groups: rows, ..none }),
    };
    let is_chinese = context.text.lang() == Lang::ZhCn;
    let task = TaskKind::Export { table, department: None, is_chinese };
    let noted = context.administration.note_command(tenant.id, task, counts, begun).await;
    // The files are whole: what is missing is a line among the tasks.
    if let Err(error) = noted {
        context.remark(&say!(context.text, "warning-task-unrecorded", cause = error.to_string()))?;
    }
    Ok(rows)
}
