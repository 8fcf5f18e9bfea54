//! The front: which file this is about, what the paper is, what was shipped, and how it was made.

use griptrace_core::manifest::FileRecord;

use super::{ENTRIES_MAX, Page, anchor, fill, section};
use crate::{
    dossier::{
        facts::{Item, LogFact},
        html::Html,
        picture::draw,
        qr,
    },
    view,
};

/// Details of a model that its card does not repeat: they stand in the list of files and in the index.
const OF_THE_FILES: [&str; 3] = ["name", "content", "manifest"];
/// Width of the square, in CSS pixels; the style sheet has it in millimetres.
const QR_SIZE: u32 = 150;

impl Page<'_> {
    pub(super) fn front(&self, html: &mut Html) {
        if self.is_broken() {
            return self.front_of_broken(html);
        }
        let (facts, texts) = (&self.dossier.facts, &self.texts.page);
        html.raw("<section class=\"front\">\n<div>\n").element("h1", &texts.title).raw("\n<p>");
        for (place, model) in facts.shipped().iter().enumerate() {
            if place > 0 {
                html.raw("<br>");
            }
            anchor(html, facts.item(*model).label);
            self.name(html, facts.item(*model));
        }
        html.raw("</p>\n<table class=\"facts\">\n");
        self.file(html);
        html.row(&texts.root, |html| {
            anchor(html, facts.root().label);
            html.raw("<code id=\"root-id\">").text(&qr::grouped(&facts.root().id)).raw("</code>");
        });
        for log in &facts.logs {
            html.row(&texts.log, |html| self.log(html, log));
        }
        self.program(html);
        html.raw("</table>\n</div>\n<div>\n");
        html.svg(&qr::svg(&qr::payload(&self.dossier.given.digest, &facts.root().id), QR_SIZE, None));
        html.raw("<p class=\"compare\">").text(&texts.compare).raw("</p>\n</div>\n</section>\n");
    }

    /// Names a file that does not hold together by what was computed of it, and by nothing that it says.
    fn front_of_broken(&self, html: &mut Html) {
        let texts = &self.texts.page;
        html.raw("<section>\n").element("h1", &texts.title).raw("\n<table class=\"facts\">\n");
        self.file(html);
        self.program(html);
        html.raw("</table>\n</section>\n");
    }

    fn file(&self, html: &mut Html) {
        let (facts, given, texts) = (&self.dossier.facts, &self.dossier.given, &self.texts.page);
        let is_updated = !given.updates.is_empty();
        let size = |bytes: usize| fill(&texts.bytes, &[("n", &bytes.to_string())]);
        html.row(if is_updated { &texts.given } else { &texts.made_from }, |html| {
            html.raw("<code id=\"bundle-digest\">").text(&qr::grouped(&given.digest)).raw("</code>");
        });
        html.row(&texts.size, |html| {
            html.text(&size(given.bytes));
        });
        if is_updated {
            html.row(&texts.update, |html| {
                given.updates.iter().take(ENTRIES_MAX).for_each(|digest| super::question::sha256(html, digest));
                self.more(html, given.updates.len().saturating_sub(ENTRIES_MAX));
            });
            html.row(&texts.updated, |html| {
                html.raw("<code id=\"updated-digest\">").text(&qr::grouped(&facts.digest)).raw("</code>");
                html.raw("<div>").text(&size(facts.bytes)).raw("</div>");
            });
        }
    }

    fn program(&self, html: &mut Html) {
        html.row(&self.texts.page.program, |html| {
            html.text(concat!("griptrace ", env!("CARGO_PKG_VERSION")));
        });
    }

    fn log(&self, html: &mut Html, log: &LogFact) {
        let size = log.size.to_string();
        html.foreign(&log.origin).text(&self.texts.page.colon);
        match log.time.map(view::time) {
            Some(time) => html.text(&fill(&self.texts.page.log_at, &[("n", &size), ("time", &time)])),
            None => html.text(&fill(&self.texts.page.log_untimed, &[("n", &size)])),
        };
    }

    pub(super) fn about(&self, html: &mut Html) {
        section(html, &self.texts.about.heading, "");
        html.raw("<ul class=\"limits\">\n");
        self.texts.about.items.iter().for_each(|item| {
            html.element("li", item).raw("\n");
        });
        html.raw("</ul>\n</section>\n");
    }

    pub(super) fn shipped(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, self.texts);
        section(html, &texts.shipped.heading, "");
        let shipped = facts.shipped();
        if shipped.contains(&facts.root) {
            html.raw("<p>").text(&texts.shipped.pre_check).raw("</p>\n");
        } else {
            self.card(html, facts.root(), &[]);
        }
        for model in shipped {
            let model = facts.item(model);
            html.raw("<h3>");
            anchor(html, model.label);
            html.text(&texts.shipped.model).text(&self.texts.page.colon);
            self.name(html, model);
            html.raw("</h3>\n");
            self.body(html, model, &OF_THE_FILES);
            self.files(html, model);
        }
        html.raw("</section>\n");
    }

    fn files(&self, html: &mut Html, model: &Item) {
        let texts = &self.texts.shipped;
        let Some(files) = &model.files else {
            html.raw("<p class=\"absent\">").text(&texts.files_hidden).raw("</p>\n");
            return;
        };
        html.raw("<table class=\"files\">\n<thead><tr>");
        [&texts.file, &texts.bytes, &texts.digest].iter().for_each(|heading| {
            html.element("th", heading);
        });
        html.raw("</tr></thead>\n<tbody>\n");
        files.iter().take(ENTRIES_MAX).for_each(|file| one_file(html, file));
        html.raw("</tbody></table>\n");
        self.more(html, files.len().saturating_sub(ENTRIES_MAX));
    }

    pub(super) fn picture(&self, html: &mut Html) {
        let texts = &self.texts.picture;
        let picture = draw(self.dossier, self.texts);
        let grouped = texts.grouped.get(picture.grouping).map_or("", String::as_str);
        html.raw("<section class=\"picture\">\n").element("h2", &texts.heading).raw("\n<p class=\"about\">");
        html.text(&texts.about);
        if !grouped.is_empty() {
            html.raw("<br>").text(grouped);
        }
        html.raw("</p>\n");
        html.svg(&picture.svg);
        html.raw("</section>\n");
    }
}

fn one_file(html: &mut Html, file: &FileRecord) {
    html.raw("<tr><td>").foreign(&String::from_utf8_lossy(&file.path)).raw("</td><td>").show(file.size);
    html.raw("</td><td><code>BLAKE3 ").show(file.blake3);
    if let Some(sha256) = &file.sha256 {
        html.raw("<br>SHA-256 ").show(sha256);
    }
    html.raw("</code></td></tr>\n");
}
