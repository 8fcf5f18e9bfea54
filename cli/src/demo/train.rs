//! A small real model: a network with one hidden layer, fitted by gradient descent to the training and synthetic rows,
//! measured on the held-out trials, and made smaller by quantising its weights to eight bits.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::files::{Progress, SIMULATED, Table, bad, write};
use super::pipeline::{FEATURE_NAMES, FEATURE_ROWS, FIRST_HELD_OUT, SPLIT, SYNTHETIC_ROWS};
use super::rng::{SplitMix64, deviation, exp, mean, real, signed_byte, single};
use super::safetensors::{Tensor, Values, load, store};

/// The model in single precision.
pub(crate) const MODEL_F32: &str = "model/grasp.safetensors";
/// What was measured of it.
pub(crate) const METRICS_F32: &str = "model/metrics.json";
/// The model with weights of eight bits.
pub(crate) const MODEL_INT8: &str = "model/grasp.int8.safetensors";
/// What was measured of it, in a file of its own: a recorded file is never rewritten.
pub(crate) const METRICS_INT8: &str = "model/metrics.int8.json";

const HIDDEN: usize = 6;
const EPOCHS: usize = 600;
const STEP: f64 = 0.3;
const DECAY: f64 = 0.002;
const SEED: u64 = 0x5452_4149_4e00_0001;

/// How well a model does on trials that it never saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Metrics {
    /// Held-out trials.
    pub(crate) held_out: usize,
    /// The part of them that the model gets right.
    pub(crate) accuracy: f64,
    /// The part that always saying the commoner outcome of the training trials gets right.
    pub(crate) majority: f64,
}

/// Rows to learn from or to be measured on; `slips` holds 0 or 1.
#[derive(Debug, Clone, Default)]
struct Rows {
    trials: Vec<usize>,
    features: Vec<Vec<f64>>,
    slips: Vec<f64>,
}

impl Rows {
    fn read(path: &Path, trial_column: &str) -> io::Result<Self> {
        let table = Table::read(path)?;
        let label = |cell: &str| match cell {
            "0" => Ok(0.0),
            "1" => Ok(1.0),
            _ => Err(bad(path, "has a label that is neither 0 nor 1")),
        };
        let slips = table.text("slip")?.into_iter().map(label).collect::<io::Result<_>>()?;
        Ok(Self { trials: table.trials(trial_column)?, features: table.matrix(&FEATURE_NAMES)?, slips })
    }

    /// The rows before the first held-out trial, and the others.
    fn split(self) -> (Self, Self) {
        let (mut below, mut above) = (Self::default(), Self::default());
        for ((trial, row), slip) in self.trials.into_iter().zip(self.features).zip(self.slips) {
            let part = if trial < FIRST_HELD_OUT { &mut below } else { &mut above };
            part.trials.push(trial);
            part.features.push(row);
            part.slips.push(slip);
        }
        (below, above)
    }

    fn append(&mut self, other: Self) {
        self.trials.extend(other.trials);
        self.features.extend(other.features);
        self.slips.extend(other.slips);
    }
}

/// Fits the model to training and synthetic rows, writes [`MODEL_F32`] and [`METRICS_F32`], and measures the written file.
pub(crate) fn train(dir: &Path, progress: Progress<'_>) -> io::Result<Metrics> {
    let (mut rows, _) = Rows::read(&dir.join(FEATURE_ROWS), "trial")?.split();
    let path = dir.join(SYNTHETIC_ROWS);
    let (synthetic, leaked) = Rows::read(&path, "parent_trial")?.split();
    if !leaked.trials.is_empty() {
        return Err(bad(&path, "has rows made from held-out trials"));
    }
    rows.append(synthetic);
    if rows.trials.is_empty() {
        return Err(bad(&dir.join(FEATURE_ROWS), "has no training rows"));
    }
    let network = Network::fit(&rows, progress);
    let how = format!(
        "{EPOCHS} epochs of gradient descent, step {STEP}, weight decay {DECAY}, on {} rows, synthetic ones included",
        rows.trials.len()
    );
    store(&dir.join(MODEL_F32), &metadata("F32", &how), &network.tensors())?;
    measure(dir, MODEL_F32, METRICS_F32)
}

/// Quantises the weights of [`MODEL_F32`], writes [`MODEL_INT8`] and [`METRICS_INT8`], and measures the written file.
pub(crate) fn quantise(dir: &Path, progress: Progress<'_>) -> io::Result<Metrics> {
    let (_, tensors) = load(&dir.join(MODEL_F32))?;
    let (mut kept, mut quantised) = (Vec::new(), Vec::new());
    let total = tensors.len();
    for (done, tensor) in tensors.into_values().enumerate() {
        match &tensor.values {
            Values::F32(weights) if tensor.name.ends_with(".weight") => {
                let (scale, bytes) = to_bytes(weights);
                kept.push(Tensor {
                    name: format!("{}.scale", tensor.name),
                    shape: vec![],
                    values: Values::F32(vec![scale]),
                });
                quantised.push(Tensor { values: Values::I8(bytes), ..tensor });
            }
            Values::F32(_) | Values::I8(_) => kept.push(tensor),
        }
        progress("quantising tensors", done + 1, total);
    }
    // The bytes come last, so that every F32 stays aligned.
    kept.append(&mut quantised);
    let how = "weights of grasp.safetensors as bytes, one scale a tensor: weight = byte * scale";
    store(&dir.join(MODEL_INT8), &metadata("I8 weights, F32 biases and scales", how), &kept)?;
    measure(dir, MODEL_INT8, METRICS_INT8)
}

/// The symmetric scale of a tensor and its bytes.
fn to_bytes(weights: &[f32]) -> (f32, Vec<i8>) {
    let largest = weights.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    (scale, weights.iter().map(|w| signed_byte(f64::from(*w) / f64::from(scale))).collect())
}

fn metadata(numbers: &str, how: &str) -> Vec<(&'static str, String)> {
    vec![
        ("note", format!("trained on data {SIMULATED}")),
        ("task", "does a grasp slip during the lift: p > 0.5".to_owned()),
        ("form", "sigmoid(output(tanh(hidden((features - mean) / spread))))".to_owned()),
        ("features", FEATURE_NAMES.join(",")),
        ("numbers", numbers.to_owned()),
        ("how", how.to_owned()),
        ("split", SPLIT.to_owned()),
    ]
}

/// Reads a model file back, tries it on the held-out trials and writes what it found.
fn measure(dir: &Path, model: &str, report: &str) -> io::Result<Metrics> {
    let path = dir.join(model);
    let (_, tensors) = load(&path)?;
    let network = Network::from_tensors(&tensors).ok_or_else(|| bad(&path, "lacks a tensor of the grasp model"))?;
    let (seen, held_out) = Rows::read(&dir.join(FEATURE_ROWS), "trial")?.split();
    if held_out.trials.is_empty() {
        return Err(bad(&dir.join(FEATURE_ROWS), "has no held-out rows"));
    }
    let commoner = mean(&seen.slips) > 0.5;
    let right = |says: &dyn Fn(&[f64]) -> bool| {
        let pairs = held_out.features.iter().zip(&held_out.slips);
        pairs.filter(|(row, slip)| says(row) == (**slip > 0.5)).count()
    };
    let (correct, by_majority) = (right(&|row| network.probability(row) > 0.5), right(&|_| commoner));
    let count = held_out.trials.len();
    let metrics =
        Metrics { held_out: count, accuracy: real(correct) / real(count), majority: real(by_majority) / real(count) };
    let text = format!(
        "{{\n  \"note\": \"measured on data {SIMULATED}\",\n  \"model\": \"{model}\",\n  \"split\": \"{SPLIT}\",\n  \"held_out\": {count},\n  \"correct\": {correct},\n  \"accuracy\": {:.4},\n  \"majority\": {:.4}\n}}\n",
        metrics.accuracy, metrics.majority
    );
    write(&dir.join(report), text.as_bytes())?;
    Ok(metrics)
}

/// `sigmoid(output(tanh(hidden(x))))` over standardised features.
#[derive(Debug, Clone, PartialEq)]
struct Network {
    mean: Vec<f64>,
    spread: Vec<f64>,
    hidden: Vec<Vec<f64>>,
    hidden_bias: Vec<f64>,
    output: Vec<f64>,
    output_bias: f64,
}

impl Network {
    /// Small random weights over the rows' own mean and spread.
    fn new(rows: &Rows) -> Self {
        let width = FEATURE_NAMES.len();
        let columns: Vec<Vec<f64>> =
            (0..width).map(|c| rows.features.iter().filter_map(|row| row.get(c).copied()).collect()).collect();
        let mut rng = SplitMix64::new(SEED, HIDDEN);
        Self {
            mean: columns.iter().map(|c| mean(c)).collect(),
            spread: columns.iter().map(|c| deviation(c).max(1e-6)).collect(),
            hidden: (0..HIDDEN).map(|_| (0..width).map(|_| 0.3 * rng.normal()).collect()).collect(),
            hidden_bias: vec![0.0; HIDDEN],
            output: (0..HIDDEN).map(|_| 0.4 * rng.normal()).collect(),
            output_bias: 0.0,
        }
    }

    fn fit(rows: &Rows, progress: Progress<'_>) -> Self {
        let mut network = Self::new(rows);
        let inputs: Vec<Vec<f64>> = rows.features.iter().map(|row| network.standardise(row)).collect();
        for epoch in 1..=EPOCHS {
            network.descend(&inputs, &rows.slips);
            if epoch.is_multiple_of(20) {
                progress("training the grasp model", epoch, EPOCHS);
            }
        }
        network
    }

    fn standardise(&self, row: &[f64]) -> Vec<f64> {
        row.iter().zip(&self.mean).zip(&self.spread).map(|((value, mean), spread)| (value - mean) / spread).collect()
    }

    /// The hidden layer's activations and the probability of a slip, for a standardised row.
    fn forward(&self, input: &[f64]) -> (Vec<f64>, f64) {
        let active: Vec<f64> =
            self.hidden.iter().zip(&self.hidden_bias).map(|(weights, bias)| tanh(dot(weights, input) + bias)).collect();
        let slip = sigmoid(dot(&self.output, &active) + self.output_bias);
        (active, slip)
    }

    fn probability(&self, row: &[f64]) -> f64 {
        self.forward(&self.standardise(row)).1
    }

    /// One step down the mean gradient of the cross-entropy over all rows.
    fn descend(&mut self, inputs: &[Vec<f64>], slips: &[f64]) {
        let before = self.clone();
        let rate = STEP / real(inputs.len().max(1));
        for (input, slip) in inputs.iter().zip(slips) {
            let (active, guess) = before.forward(input);
            let error = rate * (guess - slip);
            self.output_bias -= error;
            add_scaled(&mut self.output, -error, &active);
            let layer = self.hidden.iter_mut().zip(&mut self.hidden_bias);
            for ((weights, bias), (out, a)) in layer.zip(before.output.iter().zip(&active)) {
                let back = error * out * (1.0 - a * a);
                *bias -= back;
                add_scaled(weights, -back, input);
            }
        }
        let fade = STEP * DECAY;
        add_scaled(&mut self.output, -fade, &before.output);
        self.hidden.iter_mut().zip(&before.hidden).for_each(|(weights, old)| add_scaled(weights, -fade, old));
    }

    fn tensors(&self) -> Vec<Tensor> {
        let tensor = |name: &str, shape: &[usize], values: &[f64]| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: Values::F32(values.iter().map(|v| single(*v)).collect()),
        };
        let width = self.mean.len();
        vec![
            tensor("features.mean", &[width], &self.mean),
            tensor("features.spread", &[width], &self.spread),
            tensor("hidden.weight", &[self.hidden.len(), width], &self.hidden.concat()),
            tensor("hidden.bias", &[self.hidden.len()], &self.hidden_bias),
            tensor("output.weight", &[1, self.output.len()], &self.output),
            tensor("output.bias", &[1], &[self.output_bias]),
        ]
    }

    /// The network in a file, quantised or not; none where a tensor is missing or of another size.
    fn from_tensors(tensors: &BTreeMap<String, Tensor>) -> Option<Self> {
        let values = |name: &str, count: usize| numbers(tensors, name).filter(|v| v.len() == count);
        let width = FEATURE_NAMES.len();
        Some(Self {
            mean: values("features.mean", width)?,
            spread: values("features.spread", width)?,
            hidden: values("hidden.weight", HIDDEN * width)?.chunks(width).map(<[f64]>::to_vec).collect(),
            hidden_bias: values("hidden.bias", HIDDEN)?,
            output: values("output.weight", HIDDEN)?,
            output_bias: values("output.bias", 1)?.first().copied()?,
        })
    }
}

/// A tensor's values, its scale applied where it holds bytes.
fn numbers(tensors: &BTreeMap<String, Tensor>, name: &str) -> Option<Vec<f64>> {
    match &tensors.get(name)?.values {
        Values::F32(values) => Some(values.iter().map(|v| f64::from(*v)).collect()),
        Values::I8(bytes) => {
            let Values::F32(scale) = &tensors.get(&format!("{name}.scale"))?.values else {
                return None;
            };
            let scale = f64::from(*scale.first()?);
            Some(bytes.iter().map(|b| f64::from(*b) * scale).collect())
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

fn tanh(x: f64) -> f64 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn add_scaled(to: &mut [f64], factor: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t += factor * f);
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::OnceLock;

    use super::super::files::write_readme;
    use super::super::pipeline::{Annotated, LABELS, annotate, anonymise, features, synthesise};
    use super::super::simulate::{Simulated, TRIALS, simulate, truly_slips};
    use super::*;

    type Files = BTreeMap<PathBuf, Vec<u8>>;

    struct Run {
        files: Files,
        simulated: Simulated,
        annotated: Annotated,
        f32: Metrics,
        int8: Metrics,
    }

    /// A folder of its own that goes away with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("griptrace-demo-{name}-{}", std::process::id()));
            drop(fs::remove_dir_all(&path));
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn collect(top: &Path, folder: &Path, into: &mut Files) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(top, &path, into);
            } else {
                into.insert(path.strip_prefix(top).expect("below").to_owned(), fs::read(&path).expect("a file"));
            }
        }
    }

    fn run(name: &str) -> Run {
        let folder = Folder::new(name);
        let dir = folder.0.as_path();
        let quiet: Progress<'_> = &mut |_, done, total| assert!(done <= total);
        let simulated = simulate(dir, quiet).expect("simulated");
        let annotated = annotate(dir, quiet).expect("annotated");
        assert_eq!(anonymise(dir, quiet).expect("anonymised"), simulated.frames);
        assert_eq!(features(dir, quiet).expect("features"), TRIALS);
        assert_eq!(synthesise(dir, quiet).expect("synthetic"), 3 * (FIRST_HELD_OUT - 1));
        let (f32, int8) = (train(dir, quiet).expect("trained"), quantise(dir, quiet).expect("quantised"));
        let mut files = Files::new();
        collect(dir, dir, &mut files);
        Run { files, simulated, annotated, f32, int8 }
    }

    fn once() -> &'static Run {
        static RUN: OnceLock<Run> = OnceLock::new();
        RUN.get_or_init(|| run("once"))
    }

    fn rows(file: &str) -> Vec<Vec<&'static str>> {
        let text = core::str::from_utf8(&once().files[Path::new(file)]).expect("text");
        text.lines().filter(|l| !l.starts_with('#')).skip(1).map(|l| l.split(',').collect()).collect()
    }

    #[test]
    fn two_runs_write_the_same_bytes() {
        let again = run("again");
        assert_eq!(once().files.len(), again.files.len());
        for (path, bytes) in &once().files {
            assert!(again.files.get(path) == Some(bytes), "{} differs", path.display());
        }
    }

    #[test]
    fn every_file_says_simulated_and_all_are_small() {
        for (path, bytes) in &once().files {
            assert!(bytes.windows(9).any(|w| w == b"SIMULATED"), "{}", path.display());
        }
        let raw: usize = once().files.iter().filter(|(p, _)| p.starts_with("raw")).map(|(_, b)| b.len()).sum();
        assert_eq!(raw, once().simulated.bytes);
        assert!(once().files.values().map(Vec::len).sum::<usize>() < 6_000_000);
    }

    #[test]
    fn what_the_device_wrote_stays_behind() {
        let holds = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
        for (path, bytes) in once().files.iter().filter(|(p, _)| !p.ends_with("README.txt")) {
            let device = holds(bytes, b"SIM-CAM") || holds(bytes, b"SIM-FT") || holds(bytes, b"operator OP-");
            assert_eq!(device, path.starts_with("raw"), "{}", path.display());
        }
    }

    #[test]
    fn held_out_trials_are_in_nothing_that_trains() {
        let parents: Vec<usize> = rows(SYNTHETIC_ROWS).iter().map(|r| r[1].parse().expect("a trial")).collect();
        assert!(!parents.is_empty() && parents.iter().all(|p| (1..FIRST_HELD_OUT).contains(p)));
        for row in rows(FEATURE_ROWS) {
            let trial: usize = row[0].parse().expect("a trial");
            assert_eq!(row[1], if trial < FIRST_HELD_OUT { "train" } else { "held-out" });
        }
        assert_eq!(once().f32.held_out, TRIALS + 1 - FIRST_HELD_OUT);
    }

    #[test]
    fn a_synthetic_row_of_a_held_out_trial_stops_training() {
        let folder = Folder::new("leak");
        let header = format!("slip,{}\n", FEATURE_NAMES.join(","));
        let cells = ",1".repeat(FEATURE_NAMES.len());
        write_readme(&folder.0.join("features"), "A test.").expect("written");
        write(&folder.0.join(FEATURE_ROWS), format!("trial,{header}1,0{cells}\n").as_bytes()).expect("written");
        write(&folder.0.join(SYNTHETIC_ROWS), format!("parent_trial,{header}{FIRST_HELD_OUT},0{cells}\n").as_bytes())
            .expect("written");
        let error = train(&folder.0, &mut |_, _, _| ()).expect_err("a leak");
        assert!(error.to_string().contains("held-out"), "{error}");
    }

    #[test]
    fn the_labels_mostly_are_what_happened() {
        let labels = rows(LABELS);
        let agree = labels.iter().filter(|r| truly_slips(r[0].parse().expect("a trial")) == (r[1] == "1")).count();
        assert!(agree * 100 >= TRIALS * 96, "{agree} of {TRIALS}");
        assert_eq!(
            (once().annotated.trials, once().annotated.slips),
            (TRIALS, labels.iter().filter(|r| r[1] == "1").count())
        );
    }

    #[test]
    fn the_model_beats_the_majority_and_is_not_perfect() {
        let Metrics { accuracy, majority, .. } = once().f32;
        assert!(accuracy >= majority + 0.15, "{accuracy} against {majority}");
        assert!(accuracy <= 0.97, "{accuracy}: too easy to be believed");
    }

    #[test]
    fn eight_bits_cost_little() {
        let (whole, small) = (once().f32, once().int8);
        assert!((whole.accuracy - small.accuracy).abs() <= 0.05, "{whole:?} {small:?}");
        let size = |file: &str| once().files[Path::new(file)].len();
        assert!(size(MODEL_INT8) > 0 && once().files[Path::new(MODEL_F32)] != once().files[Path::new(MODEL_INT8)]);
    }
}
