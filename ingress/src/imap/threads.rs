//! Threads of messages: ORDEREDSUBJECT and REFERENCES of RFC 5256 section 3, without I/O.
//!
//! Invariants: every message is in one thread, once; nothing recurses with the depth of a thread; time is that of
//! sorting but for the looks for loops, which are bounded.

use std::collections::HashMap;

/// What threads are made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Letter {
    /// How the client names it.
    pub name: u32,
    /// Its place in the mailbox, for those sent at the same time.
    pub position: u32,
    /// When it was sent, in milliseconds.
    pub date: i64,
    /// Hash of its Message-ID; 0 if it has none.
    pub id: u64,
    /// Hashes of the ids that it refers to, the oldest first.
    pub references: Vec<u64>,
    /// Its base subject, as it is compared.
    pub subject: String,
    /// The subject says that it is a reply or a forward.
    pub is_reply: bool,
}

/// Levels that are climbed to see whether a link would close a loop; beyond it is taken for one.
const MAX_CLIMB: usize = 1_000;

/// A message, or a dummy for one that is not there.
#[derive(Debug, Default)]
struct Node {
    letter: Option<u32>,
    children: Vec<u32>,
}

/// Threads.
#[derive(Debug, Default)]
pub(super) struct Threads {
    nodes: Vec<Node>,
    roots: Vec<u32>,
}

impl Threads {
    /// ORDEREDSUBJECT: one thread for each base subject, the first message on top.
    pub fn by_subject(letters: &[Letter]) -> Threads {
        let mut order: Vec<u32> = (0..letters.len() as u32).collect();
        order.sort_by_key(|index| when(letters, *index));
        let mut threads = Threads::default();
        let mut tops: HashMap<&str, u32> = HashMap::new();
        for index in order {
            let node = threads.add(Some(index));
            match tops.get(&*letters[index as usize].subject) {
                Some(top) => threads.nodes[*top as usize].children.push(node),
                None => {
                    tops.insert(&letters[index as usize].subject, node);
                    threads.roots.push(node);
                }
            }
        }
        threads
    }

    /// REFERENCES.
    pub fn by_references(letters: &[Letter]) -> Threads {
        let (mut threads, parents) = Threads::linked(letters);
        threads.prune(&parents);
        threads.sort_roots(letters);
        threads.gather_subjects(letters);
        for node in 0..threads.nodes.len() {
            threads.sort_children(letters, node);
        }
        threads.sort_roots(letters);
        threads
    }

    fn add(&mut self, letter: Option<u32>) -> u32 {
        self.nodes.push(Node { letter, children: Vec::new() });
        self.nodes.len() as u32 - 1
    }

    /// Step 1: who is whose parent. Parents stand beside the nodes; children are made of them later.
    fn linked(letters: &[Letter]) -> (Threads, Vec<Option<u32>>) {
        let mut threads = Threads::default();
        let mut links = Links::default();
        let mut by_id: HashMap<u64, u32> = HashMap::new();
        for (index, letter) in letters.iter().enumerate() {
            let known = by_id.get(&letter.id).copied().filter(|_| letter.id != 0);
            let node = match known {
                Some(node) if threads.nodes[node as usize].letter.is_none() => {
                    threads.nodes[node as usize].letter = Some(index as u32);
                    node
                }
                // A second message under one id counts as one without.
                Some(_) => threads.add(Some(index as u32)),
                None => {
                    let node = threads.add(Some(index as u32));
                    if letter.id != 0 {
                        by_id.insert(letter.id, node);
                    }
                    node
                }
            };
            let mut above: Option<u32> = None;
            for reference in &letter.references {
                let referred = *by_id.entry(*reference).or_insert_with(|| threads.add(None));
                if let Some(above) = above
                    && links.parent(referred).is_none()
                {
                    links.link(referred, above);
                }
                above = Some(referred);
            }
            // A parent that another message's references gave it was a guess (step 1.B).
            links.unlink(node);
            if let Some(above) = above {
                links.link(node, above);
            }
        }
        links.parents.resize(threads.nodes.len(), None);
        (threads, links.parents)
    }

    /// Steps 2 and 3: children, and no dummies but those that hold several threads together.
    fn prune(&mut self, parents: &[Option<u32>]) {
        let mut roots = Vec::new();
        for (node, parent) in parents.iter().enumerate() {
            match parent {
                Some(parent) => self.nodes[*parent as usize].children.push(node as u32),
                None => roots.push(node as u32),
            }
        }
        // Children before their parents: the order in which they are met from above, backwards.
        let mut order = roots.clone();
        let mut next = 0;
        while next < order.len() {
            order.extend_from_slice(&self.nodes[order[next] as usize].children);
            next += 1;
        }
        for node in order.into_iter().rev() {
            let children = std::mem::take(&mut self.nodes[node as usize].children);
            let mut kept = Vec::with_capacity(children.len());
            for child in children {
                if self.nodes[child as usize].letter.is_some() {
                    kept.push(child);
                } else {
                    kept.append(&mut self.nodes[child as usize].children);
                }
            }
            self.nodes[node as usize].children = kept;
        }
        for root in roots {
            let node = &self.nodes[root as usize];
            match (node.letter, node.children.as_slice()) {
                (None, []) => {}
                (None, [only]) => self.roots.push(*only),
                _ => self.roots.push(root),
            }
        }
    }

    /// Step 5: threads of one subject become one.
    fn gather_subjects(&mut self, letters: &[Letter]) {
        let mut table: HashMap<&str, u32> = HashMap::new();
        for root in &self.roots {
            let Some(first) = self.first(*root) else { continue };
            let subject = &*letters[first as usize].subject;
            if subject.is_empty() {
                continue;
            }
            let replaces = |other: u32| {
                let (ours, theirs) = (self.letter(*root), self.letter(other));
                theirs.is_some_and(|theirs| match ours {
                    None => true,
                    Some(ours) => letters[theirs as usize].is_reply && !letters[ours as usize].is_reply,
                })
            };
            match table.get(subject) {
                Some(other) if !replaces(*other) => {}
                _ => {
                    table.insert(subject, *root);
                }
            }
        }
        let mut kept = Vec::with_capacity(self.roots.len());
        for root in std::mem::take(&mut self.roots) {
            let subject = self.first(root).map(|first| &*letters[first as usize].subject);
            let Some(place) = subject.and_then(|subject| table.get_mut(subject)) else {
                kept.push(root);
                continue;
            };
            let other = *place;
            if other == root {
                kept.push(root);
                continue;
            }
            match (self.letter(other), self.letter(root)) {
                (None, None) => {
                    let mut children = std::mem::take(&mut self.nodes[root as usize].children);
                    self.nodes[other as usize].children.append(&mut children);
                }
                (None, Some(_)) => self.nodes[other as usize].children.push(root),
                (Some(theirs), ours) => {
                    let is_reply = |letter: u32| letters[letter as usize].is_reply;
                    if ours.is_some_and(is_reply) && !is_reply(theirs) {
                        self.nodes[other as usize].children.push(root);
                    } else {
                        // A dummy for both, in the place of the one that was found first: its node goes on
                        // standing for what is in the list of roots already.
                        let moved = self.add(Some(theirs));
                        let children = std::mem::take(&mut self.nodes[other as usize].children);
                        self.nodes[moved as usize].children = children;
                        self.nodes[other as usize] = Node { letter: None, children: vec![moved, root] };
                    }
                }
            }
        }
        self.roots = kept;
    }

    fn letter(&self, node: u32) -> Option<u32> {
        self.nodes[node as usize].letter
    }

    /// The message of a node, or the first below a dummy.
    fn first(&self, node: u32) -> Option<u32> {
        let node = &self.nodes[node as usize];
        node.letter.or_else(|| self.letter(*node.children.first()?))
    }

    fn sort_children(&mut self, letters: &[Letter], node: usize) {
        let mut children = std::mem::take(&mut self.nodes[node].children);
        children.sort_by_key(|child| self.first(*child).map(|letter| when(letters, letter)));
        self.nodes[node].children = children;
    }

    fn sort_roots(&mut self, letters: &[Letter]) {
        for index in 0..self.roots.len() {
            let root = self.roots[index];
            if self.letter(root).is_none() {
                self.sort_children(letters, root as usize);
            }
        }
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_by_key(|root| self.first(*root).map(|letter| when(letters, letter)));
        self.roots = roots;
    }

    /// The text of the answer (RFC 5256 section 4), in pieces of about this many octets.
    pub fn pieces<'a>(&'a self, letters: &'a [Letter], octets: usize) -> impl Iterator<Item = Vec<u8>> + 'a {
        let mut steps: Vec<Step> = self.roots.iter().rev().map(|root| Step::Thread(*root)).collect();
        std::iter::from_fn(move || {
            let mut out = Vec::new();
            while out.len() < octets {
                match steps.pop() {
                    None => break,
                    Some(Step::Close) => out.push(b')'),
                    Some(Step::Thread(root)) => {
                        out.push(b'(');
                        steps.push(Step::Close);
                        steps.push(Step::Chain(root));
                    }
                    Some(Step::Chain(node)) => {
                        let node = &self.nodes[node as usize];
                        if let Some(letter) = node.letter {
                            super::print::number(&mut out, u64::from(letters[letter as usize].name));
                            if !node.children.is_empty() {
                                out.push(b' ');
                            }
                        }
                        match node.children.as_slice() {
                            [only] => steps.push(Step::Chain(*only)),
                            several => steps.extend(several.iter().rev().map(|child| Step::Thread(*child))),
                        }
                    }
                }
            }
            (!out.is_empty()).then_some(out)
        })
    }
}

enum Step {
    Thread(u32),
    Chain(u32),
    Close,
}

fn when(letters: &[Letter], index: u32) -> (i64, u32) {
    let letter = &letters[index as usize];
    (letter.date, letter.position)
}

/// Parents, and which nodes are somebody's.
#[derive(Default)]
struct Links {
    parents: Vec<Option<u32>>,
    has_children: Vec<bool>,
}

impl Links {
    fn parent(&self, node: u32) -> Option<u32> {
        self.parents.get(node as usize).copied().flatten()
    }

    fn unlink(&mut self, node: u32) {
        if let Some(parent) = self.parents.get_mut(node as usize) {
            *parent = None;
        }
    }

    /// Puts a node below another one, unless that would close a loop.
    fn link(&mut self, node: u32, above: u32) {
        if node == above || self.is_above(node, above) {
            return;
        }
        let len = (node.max(above) as usize + 1).max(self.parents.len());
        self.parents.resize(len, None);
        self.has_children.resize(len, false);
        self.parents[node as usize] = Some(above);
        self.has_children[above as usize] = true;
    }

    fn is_above(&self, node: u32, below: u32) -> bool {
        if !self.has_children.get(node as usize).copied().unwrap_or(false) {
            return false;
        }
        let mut at = below;
        for _ in 0..MAX_CLIMB {
            match self.parent(at) {
                None => return false,
                Some(parent) if parent == node => return true,
                Some(parent) => at = parent,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `(id, references, subject, is_reply)`, sent one after the other.
    fn letters(list: &[(u64, &[u64], &str, bool)]) -> Vec<Letter> {
        let letter =
            |(index, (id, references, subject, is_reply)): (usize, &(u64, &[u64], &str, bool))| Letter {
                name: index as u32 + 1,
                position: index as u32,
                date: index as i64,
                id: *id,
                references: references.to_vec(),
                subject: (*subject).to_owned(),
                is_reply: *is_reply,
            };
        list.iter().enumerate().map(letter).collect()
    }

    fn text(threads: &Threads, letters: &[Letter]) -> String {
        let text: Vec<u8> = threads.pieces(letters, 3).flatten().collect();
        String::from_utf8(text).expect("ASCII")
    }

    #[test]
    fn threads_by_references() {
        for (list, expected) in [
            (&[][..], ""),
            (&[(1, &[][..], "a", false), (2, &[1], "a", true), (3, &[1, 2], "a", true)], "(1 2 3)"),
            // Two answers to one letter.
            (&[(1, &[], "a", false), (2, &[1], "b", true), (3, &[1], "c", true)], "(1 (2)(3))"),
            // The letter that both answer is not there.
            (&[(2, &[1], "b", true), (3, &[1], "c", true), (4, &[], "d", false)], "((1)(2))(3)"),
            // One answer alone stands for itself; a dummy between is left out.
            (&[(2, &[1], "b", true)], "(1)"),
            (&[(1, &[], "b", true), (3, &[1, 2], "b", true)], "(1 2)"),
            // The answer came first.
            (&[(2, &[1], "a", true), (1, &[], "a", false)], "(2 1)"),
            // One id twice: the second is somebody else.
            (&[(1, &[], "a", false), (1, &[], "b", false), (2, &[1], "c", true)], "(1 3)(2)"),
            // Loops are not closed.
            (&[(1, &[2], "a", true), (2, &[1], "b", true)], "(2 1)"),
            (&[(1, &[1], "a", false)], "(1)"),
            // What a message itself refers to counts, not where others have put it.
            (&[(1, &[], "a", false), (2, &[1, 3], "b", true), (3, &[2], "c", true)], "(1)(3 2)"),
            (&[(2, &[1, 3], "b", true), (3, &[], "c", false)], "(2 1)"),
            // By subject: an answer without references, two letters of one subject, two answers.
            (&[(1, &[], "a", false), (2, &[], "a", true)], "(1 2)"),
            (&[(1, &[], "a", true), (2, &[], "a", false)], "(2 1)"),
            (&[(1, &[], "a", false), (2, &[], "a", false)], "((1)(2))"),
            (&[(1, &[], "a", true), (2, &[], "a", true), (3, &[], "a", true)], "((1)(2)(3))"),
            (&[(0, &[], "", false), (0, &[], "", false)], "(1)(2)"),
            // Dummies of one subject.
            (
                &[(2, &[1], "a", true), (3, &[1], "a", true), (5, &[4], "a", true), (6, &[4], "a", true)],
                "((1)(2)(3)(4))",
            ),
        ] {
            let letters = letters(list);
            assert_eq!(text(&Threads::by_references(&letters), &letters), expected, "{list:?}");
        }
    }

    #[test]
    fn threads_by_subject() {
        let list = letters(&[
            (0, &[], "b", false),
            (0, &[], "a", false),
            (0, &[], "a", true),
            (0, &[], "c", false),
            (0, &[], "b", true),
            (0, &[], "b", true),
        ]);
        assert_eq!(text(&Threads::by_subject(&list), &list), "(1 (5)(6))(2 3)(4)");
    }

    #[test]
    fn a_chain_of_100_000_answers_is_one_thread() {
        let list: Vec<Letter> = (0..100_000_u32)
            .map(|index| Letter {
                name: index + 1,
                position: index,
                date: i64::from(index),
                id: u64::from(index) + 1,
                references: if index == 0 { Vec::new() } else { vec![u64::from(index)] },
                ..Letter::default()
            })
            .collect();
        let text = text(&Threads::by_references(&list), &list);
        assert!(text.starts_with("(1 2 3 ") && text.ends_with(" 100000)"));
        assert_eq!(text.matches('(').count(), 1);
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_thread(
            list in proptest::collection::vec((0..12_u64, proptest::collection::vec(1..12_u64, 0..5), "[ab]{0,1}", any::<bool>()), 0..25)
        ) {
            let list: Vec<(u64, &[u64], &str, bool)> =
                list.iter().map(|(id, references, subject, reply)| (*id, references.as_slice(), subject.as_str(), *reply)).collect();
            let letters = letters(&list);
            for threads in [Threads::by_references(&letters), Threads::by_subject(&letters)] {
                let text = text(&threads, &letters);
                let mut names: Vec<u32> = text
                    .split(|c: char| !c.is_ascii_digit())
                    .filter_map(|number| number.parse().ok())
                    .collect();
                names.sort_unstable();
                prop_assert_eq!(names, (1..=letters.len() as u32).collect::<Vec<_>>());
                let mut depth = 0_i64;
                for character in text.chars() {
                    depth += match character { '(' => 1, ')' => -1, _ => 0 };
                    prop_assert!(depth >= 0);
                }
                prop_assert_eq!(depth, 0);
            }
        }
    }
}
