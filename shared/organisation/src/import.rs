//! Doing what rows say.

use std::collections::{HashMap, HashSet};

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};
use pennypost_directory::{
    Account, AccountKind, AccountState, DepartmentId, DepartmentTree, Directory, DirectoryError, MAX_ALIASES,
    MAX_GROUP_DEPTH, MailAddress, NewAccount, NewDepartment, NoSeat,
};
use pennypost_model::{AccountKey, TenantId};

use crate::reading::{Place, Refused, Rows, domain_of};
use crate::reason::Reason;
use crate::rows::{GroupRow, PersonRow};

/// People that are added at once: what waits for the disk shares a commit.
const AT_ONCE: usize = 64;
/// Groups that are added at once.
const GROUPS_AT_ONCE: usize = 16;
/// Rows of a slice at most.
const SLICE: usize = 256;

/// Opens the journal of a fresh account; the text of an error is its cause.
pub type Opening = dyn Fn(AccountKey) -> BoxFuture<'static, Result<(), String>> + Send + Sync;

/// How rows are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Check every row, change nothing.
    pub dry_run: bool,
    /// Leave out people and groups that are there already, instead of refusing their rows. Rows of whose addresses somebody
    /// else has one are refused.
    pub skip_existing: bool,
    /// People without a department are put into this one: its path, or `#` and its number.
    pub department: Option<String>,
    /// Domains in which no addresses are given for the time being.
    pub closed: HashSet<String>,
    /// The tenant's own administrators import: what belongs to others is as what is not there, and no commands of operators
    /// are named.
    pub is_tenants: bool,
}

/// What became of a row that was not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was added, or could be.
    Added,
    /// It was there.
    Skipped,
}

/// Rows that are done together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    of: Of,
    rows: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    People,
    Groups,
    /// Groups that would contain themselves.
    Rings,
    /// Groups that lie in others too deep.
    TooDeep,
}

impl Slice {
    /// How many rows are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Is it of groups?
    #[must_use]
    pub const fn is_of_groups(&self) -> bool {
        !matches!(self.of, Of::People)
    }
}

impl Rows {
    /// People, then groups: those whose members are not groups of the table first, and so on. The same for the same rows.
    #[must_use]
    pub fn slices(&self) -> Vec<Slice> {
        let mut slices = Vec::new();
        let mut add = |of: Of, rows: &[usize]| {
            slices.extend(rows.chunks(SLICE).map(|rows| Slice { of, rows: rows.to_vec() }));
        };
        add(Of::People, &(0..self.people.len()).collect::<Vec<_>>());
        let mut waiting: Vec<usize> = (0..self.groups.len()).collect();
        for _ in 0..MAX_GROUP_DEPTH {
            let (ready, later) = self.ready(&waiting);
            add(Of::Groups, &ready);
            waiting = later;
        }
        // What waits for others after so many rounds waits for itself, or lies too deep.
        let (too_deep, rings) = self.ready(&waiting);
        add(Of::TooDeep, &too_deep);
        add(Of::Rings, &rings);
        slices
    }

    /// Groups none of whose members is among those that wait, and the others.
    fn ready(&self, waiting: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let row = |index: &usize| self.groups.get(*index).map(|(_, row)| row);
        let names: HashSet<String> =
            waiting.iter().filter_map(row).map(|row| row.address.to_lowercase()).collect();
        waiting.iter().copied().partition(|index| {
            row(index)
                .is_some_and(|row| !row.members.iter().any(|member| names.contains(&member.to_lowercase())))
        })
    }
}

/// An import under way: its departments are there.
pub struct Import<'a> {
    directory: &'a Directory,
    tenant: TenantId,
    rows: &'a Rows,
    options: &'a Options,
    opening: Option<&'a Opening>,
    tree: DepartmentTree,
    /// Departments that can't be, by their paths.
    impossible: HashMap<&'a str, DirectoryError>,
    ids: HashMap<&'a str, DepartmentId>,
    /// The departments of people who name none.
    otherwise: Vec<DepartmentId>,
    /// Addresses of the tables.
    known: HashSet<String>,
    added: usize,
}

impl<'a> Import<'a> {
    /// Adds all departments that rows name, in one step. What is there already is no error: an import may be begun as often
    /// as one likes.
    ///
    /// # Errors
    /// [`DirectoryError::NoDepartment`] for that of the options; or the port's.
    pub async fn begin(
        directory: &'a Directory,
        tenant: TenantId,
        rows: &'a Rows,
        options: &'a Options,
        opening: Option<&'a Opening>,
    ) -> Result<Import<'a>, DirectoryError> {
        let mut wanted: Vec<NewDepartment> = Vec::new();
        let mut paths: Vec<&str> = Vec::new();
        for (_, row) in &rows.departments {
            wanted.push(NewDepartment { path: row.path.clone(), description: row.description.clone() });
            paths.push(&row.path);
        }
        let mut seen: HashSet<&str> = paths.iter().copied().collect();
        for (_, row) in &rows.people {
            for path in row.departments.iter().filter(|path| seen.insert(path)) {
                wanted.push(NewDepartment { path: path.clone(), description: String::new() });
                paths.push(path);
            }
        }
        let made = directory.ensure_departments(tenant, &wanted, options.dry_run).await?;
        let (mut impossible, mut ids) = (HashMap::new(), HashMap::new());
        for (path, outcome) in paths.into_iter().zip(made.outcomes) {
            match outcome {
                Ok(id) => {
                    ids.insert(path, id);
                }
                Err(error) => {
                    impossible.insert(path, error);
                }
            }
        }
        let missing = |path: &String| DirectoryError::NoDepartment(path.clone());
        let otherwise = match &options.department {
            Some(path) => vec![made.tree.find(path).ok_or_else(|| missing(path))?],
            None => Vec::new(),
        };
        let people =
            rows.people.iter().flat_map(|(_, row)| std::iter::once(&row.address).chain(&row.aliases));
        let groups = rows.groups.iter().map(|(_, row)| &row.address);
        let known = people.chain(groups).map(|address| address.to_lowercase()).collect();
        let (tree, added) = (made.tree, made.added);
        let import = Import {
            directory,
            tenant,
            rows,
            options,
            opening,
            tree,
            impossible,
            ids,
            otherwise,
            known,
            added,
        };
        Ok(import)
    }

    /// Departments that were added when it began, or could be.
    #[must_use]
    pub const fn added(&self) -> usize {
        self.added
    }

    /// Rows of departments that can't be.
    #[must_use]
    pub fn refused_departments(&self) -> Vec<Refused> {
        let refused = |(place, row): &(Place, crate::rows::DepartmentRow)| {
            let reason = self.impossible.get(row.path.as_str())?.clone().into();
            Some(Refused { place: place.clone(), reason })
        };
        self.rows.departments.iter().filter_map(refused).collect()
    }

    /// Where a row of a slice stands.
    #[must_use]
    pub fn place(&self, slice: &Slice, index: usize) -> Option<&'a Place> {
        if slice.is_of_groups() {
            self.rows.groups.get(index).map(|(place, _)| place)
        } else {
            self.rows.people.get(index).map(|(place, _)| place)
        }
    }

    /// Rows of a slice at whose addresses somebody or something is at the moment.
    ///
    /// # Errors
    /// The port's.
    pub async fn taken(&self, slice: &Slice) -> Result<HashSet<usize>, DirectoryError> {
        let looks: Vec<_> = slice
            .rows
            .iter()
            .map(|index| async move {
                match self.directory.check_new_address(self.tenant, self.address(slice, *index)).await {
                    Err(DirectoryError::AddressTaken(_)) => Ok(Some(*index)),
                    Err(error) if error.is_temporary() => Err(error),
                    Ok(()) | Err(_) => Ok(None),
                }
            })
            .collect();
        stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|index| async move { Ok(index) })
            .try_collect()
            .await
    }

    fn address(&self, slice: &Slice, index: usize) -> &'a str {
        let rows = self.rows;
        if slice.is_of_groups() {
            rows.groups.get(index).map_or("", |(_, row)| &row.address)
        } else {
            rows.people.get(index).map_or("", |(_, row)| &row.address)
        }
    }

    /// Does the rows of a slice; what became of each, by its number. `before` is for a slice that was begun before and
    /// perhaps not ended: which of its addresses were [taken](Import::taken) when it was begun first. What is there now and
    /// was not then comes from this import, and is completed.
    pub async fn work(
        &self,
        slice: &Slice,
        before: Option<&HashSet<usize>>,
    ) -> Vec<(usize, Result<Done, Reason>)> {
        let at_once = if slice.is_of_groups() { GROUPS_AT_ONCE } else { AT_ONCE };
        let doing: Vec<_> = slice
            .rows
            .iter()
            .map(|index| async move {
                let is_ours = !self.options.dry_run && before.is_some_and(|taken| !taken.contains(index));
                let done = match self.row(slice.of, *index, is_ours).await {
                    Ok(()) => Ok(Done::Added),
                    Err(reason) if self.options.skip_existing && reason.is_taken() => {
                        self.skipped(slice, *index, reason).await
                    }
                    Err(reason) => Err(reason),
                };
                (*index, done)
            })
            .collect();
        stream::iter(doing).buffer_unordered(at_once).collect().await
    }

    /// A row is left out if what it says is there: a member, or a group, at its own address. Whose alias or address is
    /// somebody else's is refused.
    async fn skipped(&self, slice: &Slice, index: usize, taken: Reason) -> Result<Done, Reason> {
        let address = self.address(slice, index);
        let is_there = if slice.is_of_groups() {
            self.directory.group(address).await?.is_some()
        } else {
            self.member_at(address).await?.is_some()
        };
        if is_there { Ok(Done::Skipped) } else { Err(taken) }
    }

    async fn row(&self, of: Of, index: usize, is_ours: bool) -> Result<(), Reason> {
        if of == Of::People {
            return match self.rows.people.get(index) {
                Some((_, row)) => self.person(row, is_ours).await,
                None => Ok(()),
            };
        }
        let Some((_, row)) = self.rows.groups.get(index) else { return Ok(()) };
        match of {
            Of::TooDeep => Err(DirectoryError::GroupDepth { limit: MAX_GROUP_DEPTH }.into()),
            Of::Rings => Err(DirectoryError::GroupCycle(row.address.clone()).into()),
            Of::People | Of::Groups => self.group(row, is_ours).await,
        }
    }

    fn departments_of(&self, row: &PersonRow) -> Result<Vec<DepartmentId>, Reason> {
        if row.departments.is_empty() {
            return Ok(self.otherwise.clone());
        }
        let id = |path: &String| match self.impossible.get(path.as_str()) {
            Some(error) => Err(error.clone()),
            None => {
                let missing = || DirectoryError::NoDepartment(path.clone());
                self.ids.get(path.as_str()).copied().ok_or_else(missing)
            }
        };
        let ids: Result<Vec<_>, DirectoryError> = row.departments.iter().map(id).collect();
        Ok(ids?)
    }

    async fn person(&self, row: &PersonRow, is_ours: bool) -> Result<(), Reason> {
        let departments = self.departments_of(row)?;
        self.must_be_open(std::iter::once(&row.address).chain(&row.aliases))?;
        let new = NewAccount {
            address: &row.address,
            password: row.password.as_deref(),
            display_name: &row.name,
            quota_bytes: row.quota,
            departments: &departments,
            profile: row.profile.clone(),
            ..NewAccount::default()
        };
        let account = match self.add_person(row, &new).await {
            Ok(Some(account)) => account,
            Ok(None) => return Ok(()),
            // Another attempt may have added it meanwhile, with the last seat.
            Err(reason) if is_ours && (reason.is_taken() || reason.is_seat()) => {
                self.member_at(&row.address).await?.ok_or(reason)?
            }
            Err(reason) => return Err(reason),
        };
        self.complete(row, &account).await
    }

    /// Adds the account of a row; `None` if it only could be.
    async fn add_person(&self, row: &PersonRow, new: &NewAccount<'_>) -> Result<Option<Account>, Reason> {
        // Looked at before anything is written, so that a row is done as a whole or not at all.
        self.directory.check_new(self.tenant, new).await.map_err(|error| self.unfit(error))?;
        let own = MailAddress::parse(&row.address).map_err(DirectoryError::from)?;
        let mut aliases = HashSet::new();
        for alias in &row.aliases {
            let free = self.directory.check_new_address(self.tenant, alias).await;
            free.map_err(|error| self.unfit(error))?;
            let alias = MailAddress::parse(alias).map_err(DirectoryError::from)?;
            if alias == own {
                return Err(DirectoryError::AddressTaken(alias.to_string()).into());
            }
            aliases.insert(alias.to_string());
        }
        if aliases.len() > MAX_ALIASES {
            let what = "an account's aliases";
            return Err(DirectoryError::TooMany { what, limit: MAX_ALIASES }.into());
        }
        if self.options.dry_run {
            return Ok(None);
        }
        let added = self.directory.add_account_with(new).await;
        Ok(Some(added.map_err(|error| self.unfit(error))?))
    }

    /// Why a row can't be taken.
    fn unfit(&self, error: DirectoryError) -> Reason {
        match error {
            DirectoryError::OtherTenant(address) if self.options.is_tenants => {
                Reason::NoDomain(domain_of(&address).unwrap_or(address))
            }
            DirectoryError::NoDomain(domain) if self.options.is_tenants => Reason::NoDomain(domain),
            DirectoryError::NoSeat(NoSeat::Members { seats }) if self.options.is_tenants => {
                Reason::NoSeat { seats }
            }
            other => other.into(),
        }
    }

    /// Are addresses given in all of their domains?
    fn must_be_open<'b>(&self, addresses: impl Iterator<Item = &'b String>) -> Result<(), Reason> {
        if self.options.closed.is_empty() {
            return Ok(());
        }
        let mut domains = addresses.filter_map(|address| domain_of(address));
        let closed = domains.find(|domain| self.options.closed.contains(domain));
        closed.map_or(Ok(()), |domain| Err(Reason::Closed(domain)))
    }

    /// The member whose own address it is.
    async fn member_at(&self, address: &str) -> Result<Option<Account>, Reason> {
        let Ok(wanted) = MailAddress::parse(address) else { return Ok(None) };
        let found = self.directory.account_at(address).await?;
        Ok(found.filter(|account| {
            account.key.tenant == self.tenant
                && account.address == wanted
                && account.kind == AccountKind::Member
        }))
    }

    /// Gives an account what else its row says. Whatever it has of that, it keeps.
    async fn complete(&self, row: &PersonRow, account: &Account) -> Result<(), Reason> {
        if let Some(opening) = self.opening {
            let failed = |cause| Reason::Opening { address: account.address.to_string(), cause };
            opening(account.key).await.map_err(failed)?;
        }
        for alias in &row.aliases {
            let added = self.directory.add_alias(alias, &[&row.address]).await;
            // An attempt before this one may have added it.
            if added.is_err() && !self.has_alias(account, alias).await? {
                added?;
            }
        }
        if row.state != AccountState::Active {
            self.directory.set_account_state(account.key, row.state).await?;
        }
        Ok(())
    }

    async fn has_alias(&self, account: &Account, alias: &str) -> Result<bool, Reason> {
        let there = self.directory.aliases_of(account.key).await?;
        Ok(MailAddress::parse(alias).is_ok_and(|alias| there.contains(&alias)))
    }

    async fn group(&self, row: &GroupRow, is_ours: bool) -> Result<(), Reason> {
        self.must_be_open(std::iter::once(&row.address))?;
        match self.add_group(row).await {
            // The address of a group comes last: one that is there is whole.
            Err(reason) if is_ours && reason.is_taken() => {
                let there = self.directory.group(&row.address).await?;
                there.map(drop).ok_or(reason)
            }
            other => other,
        }
    }

    async fn add_group(&self, row: &GroupRow) -> Result<(), Reason> {
        let free = self.directory.check_new_address(self.tenant, &row.address).await;
        free.map_err(|error| self.unfit(error))?;
        let mut rules = row.rules.clone();
        for path in &row.departments {
            let missing = || DirectoryError::NoDepartment(path.clone());
            rules.departments.insert(self.tree.find(path).ok_or_else(missing)?);
        }
        if !self.options.dry_run {
            let adding = self.directory.add_group_with(&row.address, &row.name, &row.members, &rules);
            adding.await?;
            return Ok(());
        }
        for member in row.members.iter().filter(|member| !self.known.contains(&member.to_lowercase())) {
            self.directory.check_member(self.tenant, member).await?;
        }
        Ok(())
    }
}
