//! Cards: what is stated of one record, or of several that say the same.

use std::collections::BTreeMap;

use griptrace_core::{
    digest::{Digest, file_digest},
    value::Value,
};

use super::{CARDS_MAX, Page, anchor};
use crate::{
    dossier::{facts::Item, html::Html},
    view,
};

/// Details by which records of one kind differ, and which the index has.
pub(super) const IDENTITY: [&str; 4] = ["name", "content", "manifest", "weak-digests"];

/// Records that say the same, and what that is.
pub(super) struct Alike<'i> {
    pub(super) items: Vec<&'i Item>,
    pub(super) body: Html,
}

impl Page<'_> {
    /// Puts together records of which `body` writes the same. At most [`CARDS_MAX`] come back, and how many records are
    /// left out.
    pub(super) fn alike<'i>(
        items: impl Iterator<Item = &'i Item>,
        body: impl Fn(&'i Item) -> Html,
    ) -> (Vec<Alike<'i>>, usize) {
        let mut groups: Vec<Alike<'i>> = Vec::new();
        let mut known: BTreeMap<Digest, usize> = BTreeMap::new();
        let mut left_out = 0_usize;
        for item in items {
            let body = body(item);
            let key = file_digest(body.as_str().as_bytes());
            if let Some(group) = known.get(&key).and_then(|place| groups.get_mut(*place)) {
                group.items.push(item);
            } else if groups.len() < CARDS_MAX {
                known.insert(key, groups.len());
                groups.push(Alike { items: vec![item], body });
            } else {
                left_out = left_out.saturating_add(1);
            }
        }
        (groups, left_out)
    }

    /// Writes a card's heading: of one record its label and name, of several their labels and how many they are.
    pub(super) fn heading(&self, html: &mut Html, items: &[&Item], alike: &str, unnamed: &str) {
        html.raw("<h3>");
        match items {
            [item] => {
                anchor(html, item.label);
                match item.name() {
                    Some(name) => html.foreign(name),
                    None => html.raw("<i>").text(unnamed).raw("</i>"),
                };
            }
            several => {
                html.raw("<span class=\"label\">").text(&self.labels_of(several.iter().copied()));
                html.text(&self.texts.page.colon).raw("</span>");
                html.text(&super::fill(alike, &[("n", &several.len().to_string())]));
            }
        }
        html.raw("</h3>\n");
    }

    /// Writes a card of one record: its heading, and all that is stated of it but `skip`.
    pub(super) fn card(&self, html: &mut Html, item: &Item, skip: &[&str]) {
        self.heading(html, &[item], "", &self.texts.page.not_disclosed);
        self.body(html, item, skip);
    }

    /// Writes all that is stated of a record, but `skip` and its name.
    pub(super) fn body(&self, html: &mut Html, item: &Item, skip: &[&str]) {
        html.raw("<table class=\"facts\">\n");
        for (name, value) in view::core_fields(&item.core) {
            html.row(self.texts.field(name), |html| self.core_value(html, name, &value));
        }
        for (name, value) in &item.details {
            if name != "name" && !skip.contains(&name.as_str()) {
                html.row(self.texts.field(name), |html| self.value(html, value));
            }
        }
        self.remarks(html, item);
        html.raw("</table>\n");
    }

    /// Writes a value of the core: a word of a closed list in the reader's language, others as they stand in the file.
    pub(super) fn core_value(&self, html: &mut Html, name: &str, value: &str) {
        match (name, value) {
            ("use-allowed" | "in-scope", "yes") => html.text(&self.texts.page.yes),
            ("use-allowed" | "in-scope", _) => html.text(&self.texts.page.no),
            ("modality" | "purpose" | "grade" | "basis", _) => html.foreign(value),
            (_, closed) => html.text(self.texts.word(closed)),
        };
    }

    /// Writes marks and erasures.
    pub(super) fn remarks(&self, html: &mut Html, item: &Item) {
        let texts = &self.texts.sources;
        if !item.marks.is_empty() {
            html.row(&texts.marks, |html| {
                for place in &item.marks {
                    let mark = self.dossier.facts.item(*place);
                    anchor(html, mark.label);
                    html.raw("<b>").text(self.mark(mark)).raw("</b> ");
                }
            });
        }
        if !item.erased.is_empty() {
            let names: Vec<&str> = item.erased.iter().map(|name| self.texts.field(name)).collect();
            html.row(&texts.erased, |html| {
                html.text(&names.join(&self.texts.page.comma));
            });
        }
    }

    /// Writes some details of a record in one cell, and which of them are not disclosed.
    pub(super) fn some_details(&self, html: &mut Html, item: &Item, names: &[&str]) {
        for name in names {
            if let Some(value) = item.detail(name) {
                self.detail(html, name, value);
            }
        }
        let missing = names.iter().filter(|name| item.detail(name).is_none());
        let missing: Vec<&str> = missing.map(|name| self.texts.field(name)).collect();
        if !missing.is_empty() {
            html.raw("<div class=\"absent\">").text(&self.texts.page.not_disclosed).text(&self.texts.page.colon);
            html.text(&missing.join(&self.texts.page.comma)).raw("</div>");
        }
    }

    /// Writes a detail with its name before it.
    pub(super) fn detail(&self, html: &mut Html, name: &str, value: &Value) {
        html.raw("<div><span class=\"field\">")
            .text(self.texts.field(name))
            .text(&self.texts.page.colon)
            .raw("</span>");
        self.value(html, value);
        html.raw("</div>");
    }
}
