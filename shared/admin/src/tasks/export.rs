//! An export, step by step: a page of accounts or groups each.

use pennypost_model::{TaskId, TenantId, Timestamp};
use pennypost_organisation::Export;
use pennypost_text::Lang;

use super::work::{StepDone, Worked};
use super::{Item, Table, TaskCounts, TaskKind};
use crate::{AdminError, Administration};

impl Administration {
    pub(super) async fn export(
        &self,
        tenant: TenantId,
        id: TaskId,
        item: &Item,
        until: Timestamp,
    ) -> Result<Worked, AdminError> {
        let TaskKind::Export { table, department, is_chinese } = item.kind else { return Ok(Worked::Over) };
        let export = Export::begin(&self.directory, tenant, table.kind(), department).await?;
        let mut item = item.clone();
        loop {
            if self.clock.now() >= until {
                return Ok(Worked::More);
            }
            let Some(claim) = self.claim_step(tenant, id, &item, &[]).await? else {
                return Ok(Worked::Over);
            };
            let mut lines = Vec::new();
            if item.step == 0 {
                let lang = if is_chinese { Lang::ZhCn } else { Lang::En };
                lines.push(format!("\u{feff}{}", export.heads(lang)));
            }
            let (page, after) = export.page(item.after.clone()).await?;
            let count = page.len() as u64;
            lines.extend(page);
            let counts = match table {
                Table::Departments => TaskCounts { departments: count, ..TaskCounts::default() },
                Table::People => TaskCounts { people: count, ..TaskCounts::default() },
                Table::Groups => TaskCounts { groups: count, ..TaskCounts::default() },
            };
            let is_last = after.is_none();
            let done = StepDone { rows: count, total: None, counts, lines, after, is_last };
            match self.finish_step(&claim, &done).await? {
                Some(advanced) if !advanced.state.is_over() => item = advanced,
                _ => return Ok(Worked::Over),
            }
        }
    }
}
