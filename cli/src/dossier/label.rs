//! The label: which evidence file belongs to a delivery, for the shipping papers.

use griptrace_core::{
    bundle::{Bundle, bundle_digest},
    digest::Digest,
    id::NodeId,
    node::node_id,
};
use serde_json::{Value as Json, json};

use super::{
    html::escaped,
    qr::{grouped, payload, svg},
    texts::Language,
};
use crate::error::CommandError;

/// Side of the square, in CSS pixels: 42 mm.
const SIDE: u32 = 159;

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
    pub(crate) const fn magic(self) -> &'static [u8] {
        match self {
            Self::Text => b"Griptrace evidence file\n",
            Self::Svg => b"<svg xmlns=",
            Self::Html => b"<!DOCTYPE html>\n<!-- griptrace label -->\n",
        }
    }
}

/// What a label names.
#[derive(Debug)]
pub(crate) struct Label {
    bundle: Digest,
    root: NodeId,
}

impl Label {
    /// Reads what a bundle is named by.
    ///
    /// # Errors
    /// A bundle whose root is none of its nodes.
    pub(crate) fn read(bytes: &[u8], bundle: &Bundle) -> Result<Self, CommandError> {
        let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
        let root = usize::try_from(bundle.root).ok().and_then(|ordinal| cores.into_iter().nth(ordinal));
        let root =
            root.ok_or_else(|| CommandError::failed("the bundle is malformed: its root is none of its nodes"))?;
        Ok(Self { bundle: bundle_digest(bytes), root: node_id(root) })
    }

    /// Writes it in a form.
    pub(crate) fn write(&self, form: Form, language: Language) -> String {
        let square = payload(&self.bundle, &self.root);
        match form {
            Form::Text => square,
            Form::Svg => svg(&square, SIDE),
            Form::Html => self.page(&square, language),
        }
    }

    /// Returns it for programs.
    pub(crate) fn to_json(&self) -> Json {
        let text = payload(&self.bundle, &self.root);
        json!({ "bundle_digest": self.bundle.to_string(), "root": self.root.to_string(), "text": text })
    }

    fn page(&self, square: &str, language: Language) -> String {
        let texts = language.texts().label;
        format!(
            "{}<html lang=\"{}\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'\">\n<title>{title}</title></head>\n\
             <body>\n<table width=\"640\" border=\"1\" cellpadding=\"8\" cellspacing=\"0\"><tr><td width=\"160\">{}</td><td>\n\
             <h3>{title}</h3>\n<p>{}<br><code>{}</code></p>\n<p>{}<br><code>{}</code></p>\n</td></tr>\n\
             <tr><td colspan=\"2\"><small>{} {}</small></td></tr></table>\n</body></html>\n",
            String::from_utf8_lossy(Form::Html.magic()),
            language.tag(),
            svg(square, SIDE),
            escaped(&texts.bundle),
            grouped(&self.bundle),
            escaped(&texts.root),
            grouped(&self.root),
            escaped(&texts.about),
            escaped(&texts.is_not),
            title = escaped(&texts.title),
        )
    }
}
