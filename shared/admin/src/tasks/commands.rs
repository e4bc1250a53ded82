//! What operators import and export by commands, among the tasks (LOG-08). A command does its work itself: its record is written
//! when it has ended, and has no files. A command that is cut off is in the log of operations alone.

use pennypost_model::{TaskId, TenantId, Timestamp};
use pennypost_ports::Expected;

use super::{Item, READING, Table, TaskCounts, TaskKind, TaskState, fresh_id, task_key};
use crate::operations::{By, Origin};
use crate::{AdminError, Administration};

impl Administration {
    /// Writes down what a command has imported or exported since `begun`.
    ///
    /// # Errors
    /// [`AdminError`].
    #[pennypost_ports::compiled_here]
    pub async fn note_command(
        &self,
        tenant: TenantId,
        kind: TaskKind,
        counts: TaskCounts,
        begun: Timestamp,
    ) -> Result<TaskId, AdminError> {
        let now = self.clock.now();
        let TaskCounts { departments, people, groups, skipped, refused } = counts;
        let rows = departments + people + groups + skipped + refused;
        let id = fresh_id(now, self.ids.random());
        let has_groups = groups > 0 || matches!(kind, TaskKind::Export { table: Table::Groups, .. });
        let item = Item {
            kind,
            has_groups,
            by: By::Operator,
            origin: Origin::Command,
            book: None,
            order: 0,
            once: None,
            file: [0; 32],
            reading: READING,
            state: TaskState::Done,
            cancel: false,
            done: rows,
            total: Some(rows),
            counts,
            problem: None,
            created: begun,
            begun: Some(begun),
            ended: Some(now),
            touched: now,
            step: 0,
            attempt: 0,
            taken: Vec::new(),
            after: None,
            parts: Vec::new(),
            is_swept: true,
        };
        if self.write(&task_key(tenant, id), &item, Expected::Absent).await? {
            Ok(id)
        } else {
            Err(AdminError::Changed)
        }
    }
}
