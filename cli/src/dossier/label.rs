//! The label: which evidence file belongs to a delivery, for the shipping papers.

use griptrace_core::{bundle::Bundle, digest::Digest, id::NodeId};
use serde_json::{Value as Json, json};

use super::{
    facts::Facts,
    html::{Html, document},
    qr::{grouped, payload, svg},
    texts::Language,
};
use crate::error::CommandError;

/// Side of the square, in CSS pixels: 42 mm.
const SIDE: u32 = 159;
const STYLE: &str = "@page { size: A4; margin: 15mm; } \
    html { font: 9pt/1.4 \"Noto Sans\", \"DejaVu Sans\", \"Noto Sans CJK SC\", Arial, sans-serif; } body { margin: 0; } \
    table { width: 150mm; border-collapse: collapse; } td { border: 1pt solid #000; padding: 3mm; vertical-align: top; } \
    .square { width: 48mm; } h1 { font-size: 13pt; margin: 0 0 2mm; } p { margin: 1mm 0; } code { font-size: 9pt; }";

/// How a label can be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Lines of text.
    Text,
    /// The square alone.
    Svg,
    /// A page to be printed: the square with its text.
    Html,
}

impl Form {
    /// How every file of this form begins.
    pub(crate) const fn magic(self) -> &'static str {
        match self {
            Self::Text => "Griptrace evidence file\n",
            Self::Svg => "<svg id=\"griptrace-label\" ",
            Self::Html => "<!DOCTYPE html>\n<!-- griptrace label -->\n",
        }
    }
}

/// What a label names.
#[derive(Debug)]
pub(crate) struct Label {
    bundle: Digest,
    root: NodeId,
    /// Whether it is of a model that was not shipped yet.
    is_pre_check: bool,
}

impl Label {
    /// Reads what a bundle is named by, and that it can be read to its end: nobody should find out at the border that
    /// the label names a file that is damaged.
    ///
    /// # Errors
    /// A bundle of which a part can't be read.
    pub(crate) fn read(bytes: &[u8], bundle: &Bundle) -> Result<Self, CommandError> {
        let facts = Facts::read(bytes, bundle)?;
        Ok(Self { bundle: facts.digest, root: facts.root().id, is_pre_check: facts.is_pre_check() })
    }

    /// Writes it in a form.
    pub(crate) fn write(&self, form: Form, language: Language) -> String {
        let square = payload(&self.bundle, &self.root);
        // What is on the papers says that nothing was shipped, though the square is cut out.
        let caption = self.is_pre_check.then(|| language.texts().of_pre_check().label.title);
        match form {
            Form::Text => caption.map_or_else(|| square.clone(), |caption| format!("{square}{caption}\n")),
            Form::Svg => svg(&square, SIDE, caption.as_deref()).replacen("<svg ", form.magic(), 1),
            Form::Html => self.page(&square, language),
        }
    }

    /// Returns it for programs.
    pub(crate) fn to_json(&self) -> Json {
        let text = payload(&self.bundle, &self.root);
        json!({ "bundle_digest": self.bundle.to_string(), "root": self.root.to_string(), "text": text,
                "pre_check": self.is_pre_check })
    }

    fn page(&self, square: &str, language: Language) -> String {
        let texts = language.texts();
        let texts = if self.is_pre_check { texts.of_pre_check().label } else { texts.label };
        let mut body = Html::default();
        body.raw("<table><tr><td class=\"square\">")
            .svg(&svg(square, SIDE, None))
            .raw("</td><td>")
            .element("h1", &texts.title);
        for (name, digits) in [(&texts.bundle, grouped(&self.bundle)), (&texts.root, grouped(&self.root))] {
            body.raw("<p>").text(name).raw("<br><code>").text(&digits).raw("</code></p>");
        }
        body.raw("</td></tr>\n<tr><td colspan=\"2\">").text(&texts.about).raw("<br>").text(&texts.is_not);
        body.raw("</td></tr></table>\n");
        document(Form::Html.magic(), language.tag(), &texts.title, STYLE, body.as_str())
    }
}
