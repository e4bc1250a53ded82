//! The tree of departments as a value: what may be changed in it, and what never holds afterwards.
//!
//! A tenant's tree is one item, so that each change is one compare-and-set: names of siblings are unique, no
//! department is below itself and none too deep, whatever is changed at the same time. Ids are never given again, so a
//! reference that is left over leads to nothing.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use pennypost_model::codec::Versioned;
use serde::{Deserialize, Serialize};

use crate::DirectoryError;
use crate::store::{fold_name, name_for_people};

/// Levels of departments below the organisation (ORG-01).
pub const MAX_DEPARTMENT_LEVELS: usize = 15;
/// Departments of a tenant.
pub const MAX_DEPARTMENTS: usize = 5_000;
/// Characters of a department's name.
pub const MAX_DEPARTMENT_NAME: usize = 50;
/// Characters of a department's description.
pub const MAX_DESCRIPTION: usize = 200;
/// Bytes of names and descriptions of all departments: with what is around them the item stays below what the control
/// port takes.
const MAX_BYTES: usize = 250_000;

/// A department within its tenant. Never given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DepartmentId(pub u32);

impl DepartmentId {
    /// The organisation itself: always there, the parent of all departments.
    pub const ROOT: DepartmentId = DepartmentId(1);
}

impl fmt::Display for DepartmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A department.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Department {
    /// Its id.
    pub id: DepartmentId,
    /// What it is a part of.
    pub parent: DepartmentId,
    /// Its name, unique among its siblings whatever its case; never with a `/`.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// It is being removed: nobody can be put into it.
    pub(crate) is_closing: bool,
}

/// Where among its siblings a department is to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Behind all others.
    Last,
    /// At this position, 0 the first.
    At(usize),
}

/// What is to be changed of a department; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DepartmentChange {
    /// Another name. For the organisation itself, too.
    pub name: Option<String>,
    /// Another description.
    pub description: Option<String>,
    /// Another parent.
    pub parent: Option<DepartmentId>,
    /// Another place among its siblings.
    pub place: Option<Place>,
}

/// A department that is to be there, by its path from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDepartment {
    /// Such as `Research/Compilers`; those above it are made where they are missing.
    pub path: String,
    /// What it is for; an empty one leaves the description of one that is there.
    pub description: String,
}

/// All departments of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepartmentTree {
    /// Name of the organisation, if it is not the tenant's.
    root_name: Option<String>,
    root_description: String,
    /// The last id that was given.
    last: u32,
    /// In any order, but siblings in theirs.
    departments: Vec<Department>,
}

impl Versioned for DepartmentTree {
    const KIND: &'static str = "department tree";
}

impl Default for DepartmentTree {
    fn default() -> DepartmentTree {
        let last = DepartmentId::ROOT.0;
        DepartmentTree { root_name: None, root_description: String::new(), last, departments: Vec::new() }
    }
}

impl DepartmentTree {
    /// The organisation's name, if it was given one other than the tenant's (ORG-02).
    #[must_use]
    pub fn root_name(&self) -> Option<&str> {
        self.root_name.as_deref()
    }

    /// The organisation's description.
    #[must_use]
    pub fn root_description(&self) -> &str {
        &self.root_description
    }

    /// Departments, the organisation itself not among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.departments.len()
    }

    /// Is there no department?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.departments.is_empty()
    }

    /// Is there such a department, or is it the organisation?
    #[must_use]
    pub fn holds(&self, id: DepartmentId) -> bool {
        id == DepartmentId::ROOT || self.department(id).is_some()
    }

    /// The department.
    #[must_use]
    pub fn department(&self, id: DepartmentId) -> Option<&Department> {
        self.departments.iter().find(|department| department.id == id)
    }

    /// May somebody be put into it?
    pub(crate) fn is_open(&self, id: DepartmentId) -> bool {
        id == DepartmentId::ROOT || self.department(id).is_some_and(|department| !department.is_closing)
    }

    /// What stands directly below, in its order.
    pub fn children(&self, parent: DepartmentId) -> impl Iterator<Item = &Department> {
        self.departments.iter().filter(move |department| department.parent == parent)
    }

    /// All departments from the top, each before those below it, with its level (from 1).
    #[must_use]
    pub fn walk(&self) -> Vec<(usize, &Department)> {
        let mut below: HashMap<DepartmentId, Vec<&Department>> = HashMap::new();
        // The first at the end, from where it is taken.
        for department in self.departments.iter().rev() {
            below.entry(department.parent).or_default().push(department);
        }
        let mut walked = Vec::with_capacity(self.departments.len());
        // Taken out when they are walked, so that no damaged item can send the walk round in a circle.
        let mut waiting = vec![(1, below.remove(&DepartmentId::ROOT).unwrap_or_default())];
        while let Some((level, siblings)) = waiting.last_mut() {
            let level = *level;
            let Some(department) = siblings.pop() else {
                waiting.pop();
                continue;
            };
            walked.push((level, department));
            waiting.push((level + 1, below.remove(&department.id).unwrap_or_default()));
        }
        walked
    }

    /// The department and all above it, without the organisation.
    #[must_use]
    pub fn with_above(&self, id: DepartmentId) -> Vec<DepartmentId> {
        let (mut found, mut next) = (Vec::new(), id);
        // Bounded, so that a damaged item is no endless loop.
        for _ in 0..=MAX_DEPARTMENT_LEVELS {
            let Some(stored) = self.department(next) else { break };
            found.push(next);
            next = stored.parent;
        }
        found
    }

    /// Is the department one of these, or below one of them?
    #[must_use]
    pub fn is_within(&self, id: DepartmentId, wanted: &BTreeSet<DepartmentId>) -> bool {
        let mut next = id;
        // Bounded, so that a damaged item is no endless loop.
        for _ in 0..=MAX_DEPARTMENT_LEVELS {
            if wanted.contains(&next) {
                return true;
            }
            let Some(stored) = self.department(next) else { return false };
            next = stored.parent;
        }
        false
    }

    /// The department and all that are below it.
    #[must_use]
    pub fn within(&self, id: DepartmentId) -> Vec<DepartmentId> {
        if id == DepartmentId::ROOT {
            return std::iter::once(id).chain(self.departments.iter().map(|found| found.id)).collect();
        }
        let mut found: Vec<DepartmentId> =
            self.department(id).map(|department| department.id).into_iter().collect();
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(self.children(parent).map(|child| child.id));
            next += 1;
        }
        found
    }

    /// The names from the top down to the department, without the organisation's; empty for the organisation.
    #[must_use]
    pub fn path(&self, id: DepartmentId) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = id;
        // Bounded, so that a damaged item is no endless loop.
        for _ in 0..=MAX_DEPARTMENT_LEVELS {
            let Some(department) = self.department(at) else { break };
            path.push(department.name.as_str());
            at = department.parent;
        }
        path.reverse();
        path
    }

    /// The department that a person means: `R&D/Compilers` from the top down, or `#17` by its id. `/` alone, and
    /// nothing at all, is the organisation.
    #[must_use]
    pub fn find(&self, wanted: &str) -> Option<DepartmentId> {
        let wanted = wanted.trim();
        if let Some(number) = wanted.strip_prefix('#')
            && let Ok(id) = number.parse::<u32>().map(DepartmentId)
        {
            return self.holds(id).then_some(id);
        }
        let mut at = DepartmentId::ROOT;
        for name in wanted.split('/').map(str::trim).filter(|name| !name.is_empty()) {
            let name = fold_name(name);
            at = self.children(at).find(|child| fold_name(&child.name) == name)?.id;
        }
        Some(at)
    }

    /// The department of that name directly below another one, whatever its case. No name is read as an id.
    #[must_use]
    pub fn child(&self, parent: DepartmentId, name: &str) -> Option<DepartmentId> {
        let name = fold_name(name);
        self.children(parent).find(|child| fold_name(&child.name) == name).map(|child| child.id)
    }

    /// The names of a path such as `Research/Compilers` from the top down, if departments can be called so and be so deep;
    /// none for the organisation itself.
    ///
    /// # Errors
    /// [`DirectoryError::DepartmentName`], [`DirectoryError::DepartmentDepth`].
    pub fn names_of_path(path: &str) -> Result<Vec<String>, DirectoryError> {
        let names = path.split('/').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(department_name).collect::<Result<_, _>>()?;
        if names.len() > MAX_DEPARTMENT_LEVELS {
            return Err(DirectoryError::DepartmentDepth { limit: MAX_DEPARTMENT_LEVELS });
        }
        Ok(names)
    }

    /// Adds a department as the last of its siblings.
    pub(crate) fn add(
        &mut self,
        parent: DepartmentId,
        name: &str,
        description: &str,
    ) -> Result<Department, DirectoryError> {
        let (name, description) = (department_name(name)?, description_of(description)?);
        self.check_parent(parent)?;
        self.check_name(parent, &name, None)?;
        if self.departments.len() >= MAX_DEPARTMENTS {
            return Err(too_many());
        }
        if self.level(parent) + 1 > MAX_DEPARTMENT_LEVELS {
            return Err(DirectoryError::DepartmentDepth { limit: MAX_DEPARTMENT_LEVELS });
        }
        self.last += 1;
        let id = DepartmentId(self.last);
        let department = Department { id, parent, name, description, is_closing: false };
        self.departments.push(department.clone());
        if let Err(error) = self.check_bytes() {
            self.departments.pop();
            return Err(error);
        }
        Ok(department)
    }

    /// The department of that path, made with those above it where they are missing; and how many were made. A
    /// description that is given is what it has afterwards. What cannot be called so leaves the tree as it was.
    pub(crate) fn ensure(
        &mut self,
        path: &str,
        description: &str,
    ) -> Result<(DepartmentId, usize), DirectoryError> {
        if path.trim().starts_with('#') {
            let missing = || DirectoryError::NoDepartment(path.trim().to_owned());
            return Ok((self.find(path).ok_or_else(missing)?, 0));
        }
        let description = description_of(description)?;
        let names = path.split('/').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(department_name).collect::<Result<_, _>>()?;
        if names.len() > MAX_DEPARTMENT_LEVELS {
            return Err(DirectoryError::DepartmentDepth { limit: MAX_DEPARTMENT_LEVELS });
        }
        let (mut at, mut added) = (DepartmentId::ROOT, 0);
        for name in &names {
            let folded = fold_name(name);
            let known =
                self.children(at).find(|child| child.name == *name || fold_name(&child.name) == folded);
            at = match known.map(|known| known.id) {
                Some(known) => known,
                None => {
                    added += 1;
                    self.add(at, name, "")?.id
                }
            };
        }
        if !description.is_empty() && at != DepartmentId::ROOT {
            let change = DepartmentChange { description: Some(description), ..DepartmentChange::default() };
            self.change(at, &change)?;
        }
        Ok((at, added))
    }

    /// Changes a department. All or nothing: after an error the tree is to be thrown away.
    pub(crate) fn change(
        &mut self,
        id: DepartmentId,
        change: &DepartmentChange,
    ) -> Result<(), DirectoryError> {
        if id == DepartmentId::ROOT {
            return self.change_root(change);
        }
        let index = self.index(id)?;
        let mut changed = self.departments[index].clone();
        changed.is_closing = false;
        if let Some(description) = &change.description {
            changed.description = description_of(description)?;
        }
        if let Some(name) = &change.name {
            changed.name = department_name(name)?;
        }
        if let Some(parent) = change.parent {
            self.check_parent(parent)?;
            let below = self.within(id);
            if below.contains(&parent) {
                return Err(DirectoryError::DepartmentCycle(changed.name));
            }
            if self.level(parent) + self.height(id) > MAX_DEPARTMENT_LEVELS {
                return Err(DirectoryError::DepartmentDepth { limit: MAX_DEPARTMENT_LEVELS });
            }
            changed.parent = parent;
        }
        self.check_name(changed.parent, &changed.name, Some(id))?;
        let moves = changed.parent != self.departments[index].parent;
        let place = change.place.or(moves.then_some(Place::Last));
        match place {
            None => self.departments[index] = changed,
            Some(place) => {
                self.departments.remove(index);
                let siblings: Vec<usize> = (0..self.departments.len())
                    .filter(|index| self.departments[*index].parent == changed.parent)
                    .collect();
                let at = match place {
                    Place::Last => None,
                    Place::At(position) => siblings.get(position).copied(),
                };
                self.departments.insert(at.unwrap_or(self.departments.len()), changed);
            }
        }
        self.check_bytes()
    }

    fn change_root(&mut self, change: &DepartmentChange) -> Result<(), DirectoryError> {
        if change.parent.is_some() || change.place.is_some() {
            return Err(DirectoryError::DepartmentCycle("/".to_owned()));
        }
        if let Some(name) = &change.name {
            self.root_name = Some(department_name(name)?);
        }
        if let Some(description) = &change.description {
            self.root_description = description_of(description)?;
        }
        Ok(())
    }

    /// Closes a department without departments below it, before it is removed, or opens it again.
    pub(crate) fn set_closing(&mut self, id: DepartmentId, closing: bool) -> Result<(), DirectoryError> {
        let index = self.index(id)?;
        if closing && self.children(id).next().is_some() {
            return Err(DirectoryError::DepartmentNotEmpty(self.departments[index].name.clone()));
        }
        self.departments[index].is_closing = closing;
        Ok(())
    }

    /// Removes a department that was closed and has stayed so.
    pub(crate) fn remove_closed(&mut self, id: DepartmentId) -> Result<(), DirectoryError> {
        let index = self.index(id)?;
        let has_children = self.children(id).next().is_some();
        if has_children || !self.departments[index].is_closing {
            return Err(DirectoryError::DepartmentNotEmpty(self.departments[index].name.clone()));
        }
        self.departments.remove(index);
        Ok(())
    }

    fn index(&self, id: DepartmentId) -> Result<usize, DirectoryError> {
        let found = self.departments.iter().position(|department| department.id == id);
        found.ok_or_else(|| DirectoryError::NoDepartment(format!("#{id}")))
    }

    /// 0 for the organisation, 1 for what stands directly below it.
    fn level(&self, id: DepartmentId) -> usize {
        self.path(id).len()
    }

    /// Levels from the department down, itself counted.
    fn height(&self, id: DepartmentId) -> usize {
        let top = self.level(id);
        let within = self.within(id);
        within.into_iter().map(|below| self.level(below) + 1 - top).max().unwrap_or(1)
    }

    fn check_parent(&self, parent: DepartmentId) -> Result<(), DirectoryError> {
        if self.is_open(parent) { Ok(()) } else { Err(DirectoryError::NoDepartment(format!("#{parent}"))) }
    }

    fn check_name(
        &self,
        parent: DepartmentId,
        name: &str,
        itself: Option<DepartmentId>,
    ) -> Result<(), DirectoryError> {
        let folded = fold_name(name);
        let is_other = |child: &&Department| Some(child.id) != itself;
        let is_taken = self.children(parent).filter(is_other).any(|child| fold_name(&child.name) == folded);
        if is_taken { Err(DirectoryError::DepartmentTaken(name.to_owned())) } else { Ok(()) }
    }

    fn check_bytes(&self) -> Result<(), DirectoryError> {
        let texts = self.departments.iter().map(|found| found.name.len() + found.description.len());
        if texts.sum::<usize>() > MAX_BYTES { Err(too_many()) } else { Ok(()) }
    }
}

fn too_many() -> DirectoryError {
    DirectoryError::TooMany { what: "the organisation", limit: MAX_DEPARTMENTS }
}

fn department_name(name: &str) -> Result<String, DirectoryError> {
    let failed = DirectoryError::DepartmentName { limit: MAX_DEPARTMENT_NAME };
    match name_for_people(name, MAX_DEPARTMENT_NAME) {
        Ok(name) if !name.contains('/') && !name.starts_with('#') => Ok(name),
        _ => Err(failed),
    }
}

fn description_of(text: &str) -> Result<String, DirectoryError> {
    match text.trim() {
        "" => Ok(String::new()),
        text => name_for_people(text, MAX_DESCRIPTION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: DepartmentId = DepartmentId::ROOT;

    fn tree(paths: &[&str]) -> DepartmentTree {
        let mut tree = DepartmentTree::default();
        for path in paths {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = tree.find(parent).expect("parent");
            tree.add(parent, name, "").expect(path);
        }
        tree
    }

    fn shown(tree: &DepartmentTree) -> Vec<String> {
        tree.walk()
            .iter()
            .map(|(level, found)| format!("{level} {}", tree.path(found.id).join("/")))
            .collect()
    }

    #[test]
    fn siblings_keep_their_order_and_are_found_by_path() {
        let mut tree = tree(&["研发", "研发/后端", "Sales", "研发/前端", "Sales/East"]);
        assert_eq!(shown(&tree), ["1 研发", "2 研发/后端", "2 研发/前端", "1 Sales", "2 Sales/East"]);
        let front = tree.find("研发/前端").expect("found");
        assert_eq!(tree.find(&format!("#{front}")), Some(front));
        assert_eq!((tree.find(" sales / EAST "), tree.find("")), (Some(DepartmentId(6)), Some(ROOT)));
        assert_eq!((tree.find("Sales/West"), tree.find("#99")), (None, None));
        let first = DepartmentChange { place: Some(Place::At(0)), ..DepartmentChange::default() };
        tree.change(front, &first).expect("moved up");
        tree.change(tree.find("sales").expect("found"), &first).expect("moved up");
        assert_eq!(shown(&tree), ["1 Sales", "2 Sales/East", "1 研发", "2 研发/前端", "2 研发/后端"]);
        let to_sales = DepartmentChange { parent: tree.find("Sales"), ..DepartmentChange::default() };
        tree.change(front, &to_sales).expect("moved");
        assert_eq!(tree.path(front), ["Sales", "前端"]);
        assert_eq!(tree.within(tree.find("Sales").expect("found")).len(), 3);
    }

    #[test]
    fn no_circles_no_sixteenth_level_no_two_of_a_name() {
        let mut tree = tree(&["a", "b"]);
        let mut at = tree.find("a").expect("a");
        for level in 2..=MAX_DEPARTMENT_LEVELS {
            at = tree.add(at, &format!("l{level}"), "").expect("level").id;
        }
        let depth = Err(DirectoryError::DepartmentDepth { limit: 15 });
        assert_eq!(tree.clone().add(at, "l16", "").map(|_| ()), depth);
        let (a, b) = (tree.find("a").expect("a"), tree.find("b").expect("b"));
        let under = |parent| DepartmentChange { parent: Some(parent), ..DepartmentChange::default() };
        // 15 levels below one more.
        assert_eq!(tree.clone().change(a, &under(b)), depth);
        assert_eq!(tree.clone().change(a, &under(at)), Err(DirectoryError::DepartmentCycle("a".to_owned())));
        assert_eq!(tree.clone().change(a, &under(a)), Err(DirectoryError::DepartmentCycle("a".to_owned())));
        assert!(tree.clone().change(ROOT, &under(a)).is_err());
        assert_eq!(
            tree.clone().change(b, &under(DepartmentId(77))).map_err(|e| e.kind()),
            Err(crate::Kind::NotFound)
        );
        let taken = Err(DirectoryError::DepartmentTaken("B".to_owned()));
        assert_eq!(tree.clone().add(ROOT, "B", "").map(|_| ()), taken);
        let named = DepartmentChange { name: Some("B".to_owned()), ..DepartmentChange::default() };
        assert_eq!(tree.clone().change(a, &named), taken);
        tree.change(b, &named).expect("the same but for its case");
        for bad in ["", " ", "x/y", "#7", "a\u{7}", &"x".repeat(51), "zero\u{200b}width"] {
            assert!(tree.clone().add(ROOT, bad, "").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_are_made_whole_or_not_at_all() {
        let mut tree = tree(&["a"]);
        let (c, added) = tree.ensure(" A / b/c ", "what").expect("made");
        assert_eq!((tree.path(c), added), (vec!["a", "b", "c"], 2));
        assert_eq!(tree.ensure("a/b/c", "").expect("there"), (c, 0));
        assert_eq!(tree.department(c).expect("c").description, "what");
        assert_eq!(tree.ensure("/", "").expect("the organisation"), (ROOT, 0));
        let before = tree.clone();
        let deep = (0..16).map(|level| format!("n{level}")).collect::<Vec<_>>().join("/");
        for bad in ["x/y/\u{7}", "#99", &deep, &format!("x/{}", "y".repeat(51))] {
            assert!(tree.ensure(bad, "").is_err(), "{bad}");
        }
        assert!(tree.ensure("x/y", &"z".repeat(201)).is_err());
        assert_eq!(tree, before);
    }

    #[test]
    fn only_what_is_empty_and_closed_goes() {
        let mut tree = tree(&["a", "a/b"]);
        let (a, b) = (tree.find("a").expect("a"), tree.find("a/b").expect("b"));
        assert!(tree.set_closing(a, true).is_err());
        assert!(tree.remove_closed(b).is_err());
        tree.set_closing(b, true).expect("closing");
        assert!(!tree.is_open(b) && tree.add(b, "c", "").is_err());
        tree.remove_closed(b).expect("gone");
        let again = tree.add(a, "b", "").expect("again");
        assert!(again.id > b, "ids are never given again");
    }

    #[test]
    fn the_largest_tree_fits_an_item() {
        let mut tree = DepartmentTree::default();
        let name = |number: usize| format!("{:\u{90e8}<49}{}", number, "x");
        let mut added = 0;
        while added < MAX_DEPARTMENTS && tree.add(ROOT, &name(added), "").is_ok() {
            added += 1;
            assert!(added < MAX_DEPARTMENTS);
        }
        assert!(added > 1_000, "{added}");
        let bytes = pennypost_model::codec::encode(&tree).len();
        assert!(bytes < 350 * 1024, "{bytes}");
    }
}
