//! The story, step by step. A variant tells one step of it as a liar would.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::date::Date;

use super::{
    files::SIMULATED,
    pipeline::{self, ANNOTATIONS, ANONYMISED, FEATURES, LABEL_RULE, SPLIT, SYNTHETIC},
    shell::Shell,
    simulate::{self, RAW_CAMERA, RAW_FORCE},
    train::{self, MODEL_F32, MODEL_INT8, Metrics},
};
use crate::{error::CommandError, output::Output};

/// Who ships; the party of the maker's keys.
pub(super) const MAKER: &str = "Simulated Gripper Maker";
/// Who assesses.
pub(super) const OFFICE: &str = "Simulated Assessment Office";
/// Who buys.
pub(super) const BUYER: &str = "Maschinenbau Muster GmbH";
const ORIGIN: &str = "lineage.gripper-maker.example/demo";
const PURPOSE: &str = "train-adaptive-grasp-control";

/// How the story is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Variant {
    /// As it was.
    Honest,
    /// The assessment is signed by a key that no buyer trusts.
    UntrustedAssessor,
    /// The assessment had lapsed when the data crossed and the model shipped.
    Expired,
    /// The anonymised frames are given a lower grade, and nothing says why.
    Lowered,
    /// The features are recorded as if they had been collected.
    Relabelled,
    /// The assessor withdraws after the shipment.
    Withdrawn,
}

/// One telling of the story.
#[derive(Debug)]
pub(super) struct Story {
    /// Data, shared by every telling.
    data: PathBuf,
    /// Store, keys and bundle of this telling.
    home: PathBuf,
    today: Date,
    variant: Variant,
}

/// Days before today: collected from and to, assessed, prepared in CN, trained in DE.
const COLLECTED_FROM: u32 = 40;
const COLLECTED_TO: u32 = 20;
const ASSESSED: u32 = 10;
const PREPARED: u32 = 4;
const TRAINED: u32 = 2;

impl Story {
    /// Begins the story in a demo's folder.
    pub(super) fn new(dir: &Path, today: Date, variant: Variant) -> Self {
        let home = if variant == Variant::Honest { dir.to_path_buf() } else { dir.join("lies").join(variant.folder()) };
        Self { data: dir.join("data"), home, today, variant }
    }

    /// Begins another telling over the same data.
    pub(super) fn retell(&self, variant: Variant) -> Self {
        let home = self.home.join("lies").join(variant.folder());
        Self { data: self.data.clone(), home, today: self.today, variant }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn ago(&self, days: u32) -> Date {
        Date::from_days(self.today.days().saturating_sub(days)).unwrap_or(self.today)
    }

    /// Steps 1 and 3: the simulated data, and what is made of it in CN.
    pub(super) fn make_data(&self, out: &Output) -> Result<(), CommandError> {
        out.line("")?;
        out.line("1. Make a small gripper data set (simulated, the same bytes each time)")?;
        let bar = out.progress("simulating");
        let mut progress = |what: &str, done: usize, total: usize| bar.step(what, wide(done), wide(total));
        let made = simulate::simulate(&self.data, &mut progress)?;
        let annotated = pipeline::annotate(&self.data, &mut progress)?;
        let frames = pipeline::anonymise(&self.data, &mut progress)?;
        let rows = pipeline::features(&self.data, &mut progress)?;
        let synthetic = pipeline::synthesise(&self.data, &mut progress)?;
        drop(bar);
        out.line(format_args!(
            "   {} grasps: {} camera frames and {} wrist-force traces, {:.1} MB; {} of them slip",
            made.trials,
            made.frames,
            made.trials,
            megabytes(made.bytes),
            annotated.slips,
        ))?;
        out.line(format_args!("   labels: {LABEL_RULE}"))?;
        out.line(format_args!(
            "   {frames} anonymised frames, {rows} rows of features, {synthetic} synthetic rows ({SPLIT})"
        ))
    }

    /// Steps 2 and 3: a store, the sources with their grades, their assessment, and the steps in CN.
    pub(super) fn record(&self, shell: &Shell<'_>) -> Result<(), CommandError> {
        let out = shell.out();
        let say = |text: &str| if self.variant == Variant::Honest { out.line(text) } else { Ok(()) };
        fs::create_dir_all(&self.home)?;
        say("")?;
        say("2. Record the sources in CN with their grades, and have them assessed by another party's key")?;
        let store = self.text("store");
        self.griptrace(shell, &["init", &store, "--origin", ORIGIN, "--name", MAKER])?;
        self.lineage("sources.toml", &self.sources())?;
        self.record_file(shell, "sources.toml")?;
        self.assess(shell)?;
        say("")?;
        say("3. Record annotation, anonymisation, features and synthetic rows, still in CN")?;
        self.lineage("steps-cn.toml", &self.steps_cn())?;
        self.record_file(shell, "steps-cn.toml")
    }

    fn assess(&self, shell: &Shell<'_>) -> Result<(), CommandError> {
        let key = self.text("office.key");
        self.griptrace(shell, &["key", "new", &key])?;
        let lapsed = self.ago(TRAINED.saturating_add(1));
        let valid_to = if self.variant == Variant::Expired { lapsed } else { self.today.plus_months(36) };
        let (from, to, statement) =
            (self.ago(ASSESSED).to_string(), valid_to.to_string(), self.text("assessment.statement"));
        let mut args = vec!["--store".to_owned(), self.text("store"), "assess".into(), "sign".into()];
        for subject in ["dataset:simulated-wrist-camera", "dataset:simulated-wrist-force"] {
            args.extend(["--subject".into(), subject.into()]);
        }
        for (flag, value) in [
            ("--key", key.as_str()),
            ("--issuer", OFFICE),
            ("--scheme", "security-assessment"),
            ("--grade", "important"),
            ("--purpose", PURPOSE),
            ("--modality", "visual"),
            ("--modality", "force-torque"),
            ("--destination", "DE"),
            ("--valid-from", &from),
            ("--valid-to", &to),
            ("-o", &statement),
        ] {
            args.extend([flag.to_owned(), value.to_owned()]);
        }
        self.griptrace(shell, &args.iter().map(String::as_str).collect::<Vec<_>>())?;
        let store = self.text("store");
        self.griptrace(shell, &["--store", &store, "assess", "record", &statement, "--reference", "INVENTED-0001"])
    }

    /// Step 4: features cross to DE, and a model is fitted and quantised there.
    pub(super) fn train(&self, out: &Output) -> Result<(), CommandError> {
        out.line("")?;
        out.line("4. Move the features across the border to DE, fit a model there, quantise it")?;
        let mut quiet = |_: &str, _: usize, _: usize| ();
        let float = train::train(&self.data, &mut quiet)?;
        let int8 = train::quantise(&self.data, &mut quiet)?;
        let line = |what: &str, m: &Metrics| {
            format!(
                "   {what}: held-out accuracy {:.1} % on {} grasps, always saying the commoner outcome {:.1} %",
                m.accuracy * 100.0,
                m.held_out,
                m.majority * 100.0,
            )
        };
        out.line(line("float32", &float))?;
        out.line(line("int8   ", &int8))?;
        out.line("   (a simulated task that is built to be learnable; it says nothing about real grasping)")
    }

    /// Steps 5 and 6: the steps in DE, the shipment, the evidence file.
    pub(super) fn ship(&self, shell: &Shell<'_>) -> Result<(), CommandError> {
        let say = |text: &str| if self.variant == Variant::Honest { shell.out().line(text) } else { Ok(()) };
        fs::create_dir_all(self.path("model"))?;
        fs::copy(self.data.join(MODEL_INT8), self.path("model").join("grasp.int8.safetensors"))?;
        self.lineage("steps-de.toml", &self.steps_de())?;
        self.record_file(shell, "steps-de.toml")?;
        say("")?;
        say("5. Ship the model to a buyer in DE")?;
        fs::write(self.path("delivery-note.txt"), "SIMULATED delivery note 2026-1, one gripper, one grasp model.\n")?;
        let (store, note, today) = (self.text("store"), self.text("delivery-note.txt"), self.today.to_string());
        self.griptrace(
            shell,
            &[
                "--store",
                &store,
                "ship",
                "model:grasp-int8",
                "--to",
                BUYER,
                "--country",
                "DE",
                "--date",
                &today,
                "--purpose",
                PURPOSE,
                "--serial",
                "SIM-0001",
                "--document",
                &note,
                "--name",
                "shipment-1",
            ],
        )?;
        if self.variant == Variant::Withdrawn {
            let (key, withdrawn) = (self.text("office.key"), self.text("withdrawn.update"));
            let assessment = self.assessment(shell)?;
            self.griptrace(
                shell,
                &[
                    "--store",
                    &store,
                    "assess",
                    "withdraw",
                    &assessment,
                    "--key",
                    &key,
                    "--date",
                    &today,
                    "-o",
                    &withdrawn,
                ],
            )?;
            let mark = ["mark", "withdraw", &assessment, "--statement", &withdrawn, "--reason", "invented"];
            self.griptrace(shell, &[&["--store", &store], &mark[..]].concat())?;
        }
        say("")?;
        say("6. Make the evidence file")?;
        let bundle = self.text("shipment.griptrace");
        self.griptrace(shell, &["--store", &store, "prove", "shipment-1", "-o", &bundle, "--profile", "full"])
    }

    /// Returns the id of the one recorded assessment.
    fn assessment(&self, shell: &Shell<'_>) -> Result<String, CommandError> {
        let store = self.text("store");
        let said = shell.run_quietly(&["--store", &store, "--json", "show", "assessment"])?;
        let shown: serde_json::Value = serde_json::from_str(said.lines().next().unwrap_or_default())
            .map_err(|error| CommandError::failed(format!("`griptrace show`: {error}")))?;
        Ok(shown["id"].as_str().unwrap_or_default().to_owned())
    }

    fn griptrace(&self, shell: &Shell<'_>, args: &[&str]) -> Result<(), CommandError> {
        if self.variant == Variant::Honest {
            let said = shell.run(args)?;
            return said.lines().take(12).try_for_each(|line| shell.out().line(format_args!("     {line}")));
        }
        shell.run_quietly(args).map(|_| ())
    }

    fn record_file(&self, shell: &Shell<'_>, name: &str) -> Result<(), CommandError> {
        let (store, file) = (self.text("store"), self.text(name));
        self.griptrace(shell, &["--store", &store, "record", &file])
    }

    /// Writes a lineage file, with the paths in it made relative to where it lies.
    fn lineage(&self, name: &str, text: &str) -> Result<(), CommandError> {
        let data = fs::canonicalize(&self.data)?;
        fs::write(self.path(name), text.replace("@DATA@", &data.display().to_string()))?;
        Ok(())
    }

    fn sources(&self) -> String {
        let source = |name: &str, path: &str, modality: &str, device: &str| {
            format!(
                r#"
[[dataset]]
name = "{name}"
origin = "collected"
path = "@DATA@/{path}"
modality = ["{modality}"]
purpose = ["{PURPOSE}"]
grade = {{ value = "important", basis = "INVENTED for this demo", by = "{MAKER}", on = {to} }}
country = "CN"
detail = {{ site = "simulated plant, cell 1", device = "{device}", collected_from = {from}, collected_to = {to}, licence = {{ name = "proprietary", allows = true }}, persons = "none found (simulated: there are none)", note = "{SIMULATED}" }}
"#,
                from = self.ago(COLLECTED_FROM),
                to = self.ago(COLLECTED_TO),
            )
        };
        let header = "# SIMULATED data, invented grades. Written by `griptrace demo`.\n";
        let camera = source("simulated-wrist-camera", RAW_CAMERA, "visual", "simulated camera");
        let force = source("simulated-wrist-force", RAW_FORCE, "force-torque", "simulated six-axis sensor");
        format!("{header}{camera}{force}")
    }

    fn steps_cn(&self) -> String {
        let date = self.ago(PREPARED);
        let grade = if self.variant == Variant::Lowered { r#", grade = "general""# } else { "" };
        let mut text = format!(
            r#"# Written by `griptrace demo`.
[[transformation]]
name = "annotate"
kind = "annotation"
used = ["simulated-wrist-force"]
country = "CN"
date = {date}
generated = [{{ dataset = "grasp-labels", path = "@DATA@/{ANNOTATIONS}", modality = ["force-torque"] }}]
detail = {{ tool = "griptrace demo", method = "{LABEL_RULE}", labeller = "automatic, checked by nobody" }}

[[transformation]]
name = "anonymise"
kind = "anonymisation"
used = ["simulated-wrist-camera"]
country = "CN"
date = {date}
generated = [{{ dataset = "camera-anonymised", path = "@DATA@/{ANONYMISED}", modality = ["visual"]{grade} }}]
detail = {{ tool = "griptrace demo", method = "crop, grey, 32x24, comments removed", anonymisation = "edges cropped; simulated, so no residual risk was examined" }}
"#
        );
        if self.variant == Variant::Relabelled {
            text.push_str(&self.relabelled());
        } else {
            let piece = format!(
                r#"
[[transformation]]
name = "features"
kind = "feature"
used = ["camera-anonymised", "simulated-wrist-force", "grasp-labels"]
country = "CN"
date = {date}
generated = [{{ dataset = "grasp-features", path = "@DATA@/{FEATURES}", modality = ["force-torque", "visual"] }}]
detail = {{ tool = "griptrace demo", split = "{SPLIT}" }}
"#
            );
            text.push_str(&piece);
        }
        let piece = format!(
            r#"
[[transformation]]
name = "synthesise"
kind = "synthetic"
used = ["grasp-features"]
country = "CN"
date = {date}
generated = [{{ dataset = "synthetic-rows", origin = "synthetic", path = "@DATA@/{SYNTHETIC}", modality = ["force-torque", "visual"] }}]
detail = {{ tool = "griptrace demo", generator = "jitter of training rows", parentage = "every row names its parent grasp" }}
"#
        );
        text.push_str(&piece);
        text
    }

    /// The lie: derived features, recorded as if they had been collected, with no step before them.
    fn relabelled(&self) -> String {
        format!(
            r#"
[[dataset]]
name = "grasp-features"
origin = "collected"
path = "@DATA@/{FEATURES}"
modality = ["force-torque", "visual"]
purpose = ["{PURPOSE}"]
grade = {{ value = "important", basis = "INVENTED for this demo", by = "{MAKER}", on = {on} }}
country = "CN"
detail = {{ persons = "none found (simulated: there are none)", licence = {{ name = "proprietary", allows = true }} }}
"#,
            on = self.ago(PREPARED),
        )
    }

    fn steps_de(&self) -> String {
        let date = self.ago(TRAINED);
        let model = fs::canonicalize(self.path("model")).unwrap_or_else(|_| self.path("model"));
        format!(
            r#"# Written by `griptrace demo`.
[[transformation]]
name = "train"
kind = "training"
used = ["grasp-features", "synthetic-rows"]
country = "DE"
date = {date}
purpose = ["{PURPOSE}"]
generated = [{{ model = "grasp-float32", path = "@DATA@/{MODEL_F32}" }}]
detail = {{ tool = "griptrace demo", method = "gradient descent", split = "{SPLIT}" }}

[[transformation]]
name = "quantise"
kind = "quantisation"
used = ["model:grasp-float32"]
country = "DE"
date = {date}
generated = [{{ model = "grasp-int8", path = "{}/grasp.int8.safetensors" }}]
detail = {{ tool = "griptrace demo", method = "int8, one scale a tensor" }}
"#,
            model.display(),
        )
    }

    /// Writes what the buyer has: a trust file with keys that were compared by phone, and a policy.
    pub(super) fn write_buyer_files(&self, shell: &Shell<'_>) -> Result<(), CommandError> {
        let (store, trust) = (self.text("store"), self.text("trust.toml"));
        shell.run_quietly(&["--store", &store, "trust", "init", "-o", &trust])?;
        fs::write(&trust, confirmed(&fs::read_to_string(&trust)?))?;
        fs::write(self.path("policy.toml"), include_str!("../../../policies/cn-industrial-reference.toml"))?;
        Ok(())
    }

    /// The buyer's arguments, for a destination.
    pub(super) fn verify_args(&self, destination: &str) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec![self.path("shipment.griptrace").into()];
        for (flag, value) in [
            ("--trust", self.path("trust.toml").into_os_string()),
            ("--policy", self.path("policy.toml").into_os_string()),
            ("--model", self.path("model").into_os_string()),
            ("--destination", destination.into()),
            ("--consignee", BUYER.into()),
            ("--purpose", PURPOSE.into()),
        ] {
            args.extend([flag.into(), value]);
        }
        args
    }
}

/// Takes the `# ` away from the sections whose key is to be confirmed, as a buyer does who has
/// compared the fingerprint by phone.
fn confirmed(trust: &str) -> String {
    let mut asked = false;
    let mut text = String::new();
    for line in trust.lines() {
        let confirm = line.starts_with("# CONFIRM BY PHONE");
        asked = confirm || (asked && !line.is_empty());
        let line = match line.strip_prefix("# ") {
            Some(_) if confirm => "# Compared by phone (invented: this is a demo).",
            Some(rest) if asked => rest,
            _ => line,
        };
        text.push_str(line);
        text.push('\n');
    }
    text
}

impl Variant {
    /// The folder of a lie.
    const fn folder(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::UntrustedAssessor => "untrusted-assessor",
            Self::Expired => "expired",
            Self::Lowered => "lowered",
            Self::Relabelled => "relabelled",
            Self::Withdrawn => "withdrawn",
        }
    }
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "a figure for people, far below 2^52")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
