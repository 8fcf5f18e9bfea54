//! The page: its frame, and its sections in order.

mod cards;
mod checklist;
mod front;
mod question;
mod rest;
mod sources;
mod standing;
mod verdict;

use griptrace_core::value::Value;

use super::{
    Dossier,
    facts::{Item, Label},
    fill,
    html::{FOREIGN_MAX, Html, document, harmless},
    judged::Judged,
    texts::Texts,
};

/// How every dossier begins.
pub(crate) const MAGIC: &str = "<!DOCTYPE html>\n<!-- griptrace dossier -->\n";
const STYLE: &str = include_str!("page/style.css");
/// Entries of one value, or of a list of records.
const ENTRIES_MAX: usize = 40;
/// Cards of one section. Of more, only how many there are.
const CARDS_MAX: usize = 200;

/// Writes a dossier as HTML.
pub(super) fn write(dossier: &Dossier) -> String {
    let texts = dossier.language.texts();
    let texts = if dossier.facts.is_pre_check() { texts.of_pre_check() } else { texts };
    let page = Page { dossier, texts: &texts };
    let mut body = Html::default();
    page.front(&mut body);
    // Of what does not hold together nothing is repeated, and nothing is said of what it would show.
    if !page.is_broken() {
        page.about(&mut body);
    }
    page.verdict(&mut body);
    if !page.is_broken() {
        page.shipped(&mut body);
        page.picture(&mut body);
        page.checklist(&mut body);
        page.not_disclosed(&mut body);
        page.sources(&mut body);
        page.steps(&mut body);
        page.derived(&mut body);
        page.models(&mut body);
        page.assessments(&mut body);
        page.marks(&mut body);
        page.index(&mut body);
    }
    page.frame(&body)
}

/// A dossier in a language.
struct Page<'a> {
    dossier: &'a Dossier,
    texts: &'a Texts,
}

impl Page<'_> {
    fn is_broken(&self) -> bool {
        self.dossier.judged.as_ref().is_some_and(Judged::is_broken)
    }

    /// Puts the frame around the body.
    fn frame(&self, body: &Html) -> String {
        let texts = &self.texts.page;
        let css = |text: &str| text.replace(['\\', '"', '\n'], "");
        let [page, of, all] = &texts.page_of;
        let given = &self.dossier.given;
        let mut foot = css(&format!("{} {}", texts.foot, given.digest));
        if !given.updates.is_empty() {
            let digest = self.dossier.facts.digest.to_string();
            foot.push_str("\\a ");
            foot.push_str(&css(&fill(&texts.foot_updated, &[("digest", &digest)])));
        }
        let style = fill_style(&[
            ("STATE", &css(&self.state())),
            ("FOOT", &foot),
            ("PAGE", &css(page)),
            ("OF", &css(of)),
            ("ALL", &css(all)),
        ]);
        let title = format!("{} {}", texts.title, given.digest);
        document(MAGIC, self.dossier.language.tag(), &title, &style, body.as_str())
    }

    /// Says for the foot of every page what its words are worth: pages come apart.
    fn state(&self) -> String {
        let texts = &self.texts.page;
        let Some(judged) = &self.dossier.judged else { return texts.foot_unverified.clone() };
        let text = match (judged.is_broken(), judged.report.policy_met) {
            (true, _) => &texts.foot_broken,
            (false, true) => &texts.foot_met,
            (false, false) => &texts.foot_not_met,
        };
        fill(text, &[("verdict", judged.report.verdict.as_str()), ("date", &judged.asked.now.to_string())])
    }

    /// Writes the labels of some nodes.
    fn labels(&self, places: &[usize]) -> String {
        self.texts.listed(places.iter().map(|place| self.dossier.facts.item(*place).label))
    }

    fn labels_of<'i>(&self, items: impl IntoIterator<Item = &'i Item>) -> String {
        self.texts.listed(items.into_iter().map(|item| item.label))
    }

    /// Says what a mark does.
    fn mark(&self, mark: &Item) -> &str {
        self.texts.word(mark.core.mark.map_or("", griptrace_core::node::Mark::word))
    }

    /// Writes a node's name, or that it is not disclosed.
    fn name(&self, html: &mut Html, item: &Item) {
        match item.name() {
            Some(name) => html.foreign(name),
            None => html.raw("<i>").text(&self.texts.page.not_disclosed).raw("</i>"),
        };
    }

    /// Writes a detail's value. Entries of a map or list stand on lines of their own.
    fn value(&self, html: &mut Html, value: &Value) {
        let entries: Vec<String> = match value {
            Value::Map(pairs) => {
                let colon = &self.texts.page.colon;
                pairs.iter().map(|(key, value)| format!("{key}{colon}{value}")).collect()
            }
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            Value::Text(text) => {
                html.foreign(text);
                return;
            }
            Value::Int(_) | Value::Bytes(_) | Value::Bool(_) => {
                html.foreign(&value.to_string());
                return;
            }
        };
        self.entries(html, entries.iter().map(String::as_str));
    }

    /// Writes texts on lines of their own, and how many more there are.
    fn entries<'t>(&self, html: &mut Html, entries: impl ExactSizeIterator<Item = &'t str>) {
        let more = entries.len().saturating_sub(ENTRIES_MAX);
        for entry in entries.take(ENTRIES_MAX) {
            html.raw("<div>").foreign(entry).raw("</div>");
        }
        self.more(html, more);
    }

    /// Says that there are more.
    fn more(&self, html: &mut Html, more: usize) {
        if more > 0 {
            let text = fill(&self.texts.page.and_more, &[("n", &more.to_string())]);
            html.raw("<p class=\"more\">").text(&text).raw("</p>\n");
        }
    }
}

/// Begins a section.
fn section(html: &mut Html, heading: &str, about: &str) {
    html.raw("<section>\n").element("h2", heading).raw("\n");
    if !about.is_empty() {
        html.raw("<p class=\"about\">").text(about).raw("</p>\n");
    }
}

fn fill_style(values: &[(&str, &str)]) -> String {
    values.iter().fold(STYLE.to_owned(), |style, (name, value)| style.replace(&format!("@{name}@"), value))
}

/// Returns a text on one line, cut, without what steers or hides.
fn one_line(text: &str) -> String {
    harmless(text, FOREIGN_MAX)
}

/// Writes the label of a card, which links lead to.
fn anchor(html: &mut Html, label: Label) {
    html.raw("<span class=\"label\">").show(label).raw("</span> ");
}
