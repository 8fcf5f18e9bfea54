//! Everything that a store can be asked, and what it said before.

use core::fmt::{Debug, Display};
use std::collections::BTreeMap;

use griptrace_core::{digest::file_digest, node::Kind};
use griptrace_store::{Disclose, ProveOptions, Store};

use super::{rich::Questions, told};

/// Entries that are asked for at once.
const ENTRIES: u64 = 50;

/// An answer, hashed if it is long, or the refusal.
pub(super) type Answer = Result<String, String>;

/// Each question with its answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Answers(BTreeMap<String, Answer>);

impl Answers {
    /// Asks everything. Panics are the caller's to catch.
    pub(super) fn of(store: &Store, questions: &Questions) -> Self {
        let mut answers = Self::default();
        answers.log(store);
        answers.nodes(store, questions);
        answers.index(store, questions);
        for root in &questions.roots {
            for disclose in [Disclose::Minimal, Disclose::All] {
                let options = ProveOptions { disclose, ..ProveOptions::default() };
                answers.put(format!("prove {root} {:?}", options.disclose), store.prove(root, &options));
            }
        }
        answers
    }

    /// Asks only what is answered from what can be lost at any time, and what leans on it.
    pub(super) fn of_derived(store: &Store, questions: &Questions) -> Self {
        let mut answers = Self::default();
        answers.put("size", Ok::<_, core::fmt::Error>((store.size(), store.checkpoint())));
        answers.index(store, questions);
        for root in &questions.roots {
            answers.put(format!("ancestors of {root}"), store.ancestors(root, None));
            answers.put(format!("prove {root}"), store.prove(root, &ProveOptions::default()));
        }
        answers
    }

    /// Returns the questions that these answers, and others, do not answer alike.
    pub(super) fn differing<'a>(&'a self, others: &'a Self) -> Vec<&'a str> {
        let differs = |question: &&String| self.0.get(*question) != others.0.get(*question);
        self.0.keys().chain(others.0.keys()).filter(differs).map(String::as_str).collect()
    }

    fn log(&mut self, store: &Store) {
        let size = store.size();
        self.put("size", Ok::<_, core::fmt::Error>((size, store.checkpoint(), store.home())));
        for from in (0..size).step_by(usize::try_from(ENTRIES).expect("it is small")) {
            self.put(format!("entries from {from}"), store.entries(from..from + ENTRIES));
        }
    }

    fn nodes(&mut self, store: &Store, questions: &Questions) {
        let size = store.size();
        for (place, id) in questions.ids.iter().enumerate() {
            self.put(format!("node {id}"), store.node(id));
            if place % 8 == 0 {
                self.put(format!("ancestors of {id}"), store.ancestors(id, None));
                self.put(format!("descendants of {id}"), store.descendants(id, None));
                if place < questions.ids.len() / 2 {
                    let at = size - 20;
                    self.put(format!("descendants of {id} at {at}"), store.descendants(id, Some(at)));
                }
                let statuses = store.status_key(id).and_then(|key| store.statuses(&key));
                self.put(format!("statuses of {id}"), statuses);
            }
        }
        for kind in [Kind::Dataset, Kind::Transformation, Kind::Model, Kind::Assessment, Kind::Shipment, Kind::Status] {
            self.put(format!("all of kind {kind}"), store.of_kind(kind));
        }
    }

    fn index(&mut self, store: &Store, questions: &Questions) {
        for name in &questions.names {
            self.put(format!("by name {name}"), store.by_name(name));
        }
        for content in &questions.contents {
            self.put(format!("by content {content}"), store.by_content(content));
        }
        self.put("find recorded", store.find_recorded(&questions.unit));
    }

    fn put<T: Debug, E: core::error::Error + Display>(&mut self, question: impl Into<String>, answer: Result<T, E>) {
        let answer = answer.map(|answer| file_digest(format!("{answer:?}").as_bytes()).to_string());
        self.0.insert(question.into(), answer.map_err(|error| told(&error)));
    }

    /// Tells whether everything was answered.
    pub(super) fn is_whole(&self) -> bool {
        self.0.values().all(Result::is_ok)
    }

    /// Compares with what was said when all was well: the same, or a refusal that names `object`.
    /// Returns what is neither.
    pub(super) fn compare(&self, before: &Self, object: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (question, expected) in &before.0 {
            match self.0.get(question) {
                Some(answer) if answer == expected => {}
                Some(Err(why)) if names(why, object) => {}
                Some(Err(why)) => wrong.push(format!("{question}: the refusal does not name {object}: {why}")),
                Some(Ok(_)) => wrong.push(format!("{question}: another answer than before")),
                None => wrong.push(format!("{question}: not answered, as the log is shorter")),
            }
        }
        wrong
    }
}

/// Tells whether a message names an object in a store's folder, and not one whose name only begins
/// alike: `checkpoint` is not named by `checkpoints/4`.
pub(super) fn names(message: &str, object: &str) -> bool {
    // What is inside the index only the index knows.
    let object = if object.starts_with("index/") { "index" } else { object };
    message.match_indices(object).any(|(place, _)| {
        let after = message[place + object.len()..].chars().next();
        !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '/')
    })
}

#[test]
fn an_object_is_not_named_by_one_that_begins_alike() {
    assert!(names("checkpoint is damaged", "checkpoint") && names("cannot read a/checkpoint", "checkpoint"));
    assert!(!names("checkpoints/4 is damaged", "checkpoint"));
}
