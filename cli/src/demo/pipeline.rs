//! From raw trials to rows that a model can learn from: annotate, anonymise, extract features, make synthetic rows.
//!
//! Each step reads the files that the step before wrote, and writes only into its own folder.

use core::ops::Range;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::files::{Picture, Progress, Table, bad, cells, list, trial_of, write_readme};
use super::rng::{SplitMix64, deviation, grey, mean, real};
use super::simulate::{FRAMES, HEIGHT, LIFT_BEGINS, RATE, RAW_CAMERA, RAW_FORCE, WIDTH};

/// The folder of the labels.
pub(crate) const ANNOTATIONS: &str = "annotations";
/// The labels, one row a trial.
pub(crate) const LABELS: &str = "annotations/labels.csv";
/// The folder of the anonymised frames.
pub(crate) const ANONYMISED: &str = "anonymised/camera";
/// The folder of the features.
pub(crate) const FEATURES: &str = "features";
/// The features, one row a trial.
pub(crate) const FEATURE_ROWS: &str = "features/features.csv";
/// The folder of the synthetic rows.
pub(crate) const SYNTHETIC: &str = "synthetic";
/// The synthetic rows, each with the trial that it was made from.
pub(crate) const SYNTHETIC_ROWS: &str = "synthetic/rows.csv";

/// The first held-out trial: the model learns from the trials below it and is measured on it and those above.
pub(crate) const FIRST_HELD_OUT: usize = 121;
/// The split, in words.
pub(crate) const SPLIT: &str = "trials 1 to 120 train, trials 121 to 180 are held out";
/// The labelling rule, in words.
pub(crate) const LABEL_RULE: &str = "slip = 1 when, after 0.60 s, the mean absolute second difference of fz over 60 ms exceeds 0.8 N and some average of fz over 60 ms that begins within the next 100 ms is below 0.92 of its average over the 60 ms before; else 0";
/// The names of the features; the first six come from the camera, the others from the force trace before the lift.
pub(crate) const FEATURE_NAMES: [&str; 11] = [
    "area",
    "roundness",
    "skew",
    "offset",
    "texture",
    "brightness",
    "grip",
    "load",
    "torque",
    "ripple",
    "load_per_grip",
];

const COPIES: usize = 3;
const JITTER: f64 = 0.12;
const SEED: u64 = 0x5359_4e54_4845_5449;
const CROP_X: usize = 16;
const CROP_Y: usize = 12;
/// Grey above which an anonymised pixel is taken for the object.
const OBJECT: f64 = 100.0;

/// What annotation found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Annotated {
    /// Labelled trials.
    pub(crate) trials: usize,
    /// Those of them labelled as slips.
    pub(crate) slips: usize,
}

/// Labels every force trace by [`LABEL_RULE`] and writes [`LABELS`].
pub(crate) fn annotate(dir: &Path, progress: Progress<'_>) -> io::Result<Annotated> {
    let mut table = Table::new(dir.join(LABELS), &["trial", "slip", "slip_time"]);
    let traces = list(&dir.join(RAW_FORCE), "csv")?;
    let mut slips = 0;
    for (done, path) in traces.iter().enumerate() {
        let slip = slip_at(&Table::read(path)?.numbers("fz")?);
        let when = slip.map_or_else(|| "none".to_owned(), |at| format!("{:.2}", real(at) / real(RATE)));
        table.push(vec![trial_of(path)?.to_string(), u8::from(slip.is_some()).to_string(), when]);
        slips += usize::from(slip.is_some());
        progress("annotating force traces", done + 1, traces.len());
    }
    write_readme(
        &dir.join(ANNOTATIONS),
        &format!("Labels of the trials, made by a program from the force traces alone.\nRule: {LABEL_RULE}."),
    )?;
    table.write(&[format!("rule: {LABEL_RULE}")])?;
    Ok(Annotated { trials: table.len(), slips })
}

/// The first sample after the lift began at which the rule sees a slip.
fn slip_at(fz: &[f64]) -> Option<usize> {
    let window = |range: Range<usize>| fz.get(range).map(mean);
    let chatter = |at: usize| {
        let part = fz.get(at - 2..at + 6)?;
        let bends: Vec<f64> =
            part.windows(3).map(|w| if let [a, b, c] = w { (a - 2.0 * b + c).abs() } else { 0.0 }).collect();
        Some(mean(&bends))
    };
    (LIFT_BEGINS..fz.len()).find(|&at| {
        let before = window(at - 6..at).unwrap_or(0.0);
        let falls = (at..at + 10).filter_map(|i| window(i..i + 6)).any(|load| load < 0.92 * before);
        falls && chatter(at).is_some_and(|c| c > 0.8)
    })
}

/// Crops and shrinks every frame into [`ANONYMISED`], drops what the device wrote into it; returns the number of frames.
pub(crate) fn anonymise(dir: &Path, progress: Progress<'_>) -> io::Result<usize> {
    let out = dir.join(ANONYMISED);
    let frames = list(&dir.join(RAW_CAMERA), "pgm")?;
    write_readme(
        &out,
        "Camera frames without their edges (16 columns and 12 rows at each side, which can show persons and labels),\nhalved to 32 x 24, without the comments of the device.",
    )?;
    for (done, path) in frames.iter().enumerate() {
        let name = path.file_name().ok_or_else(|| bad(path, "has no name"))?;
        let picture = Picture::read(path)?;
        if (picture.width, picture.height) != (WIDTH, HEIGHT) {
            return Err(bad(path, "is not a frame of 96 x 72"));
        }
        without_edges(&picture)
            .write(&out.join(name), &["edges cropped, halved, device comments removed".to_owned()])?;
        progress("anonymising frames", done + 1, frames.len());
    }
    Ok(frames.len())
}

/// The middle of a frame at half its size: each pixel is the mean of four.
fn without_edges(picture: &Picture) -> Picture {
    let (width, height) = ((picture.width - 2 * CROP_X) / 2, (picture.height - 2 * CROP_Y) / 2);
    let four =
        |x: usize, y: usize| picture.at(x, y) + picture.at(x + 1, y) + picture.at(x, y + 1) + picture.at(x + 1, y + 1);
    let places = (0..height).flat_map(|row| (0..width).map(move |column| (column, row)));
    let pixels = places.map(|(x, y)| grey(four(CROP_X + 2 * x, CROP_Y + 2 * y) / 4.0)).collect();
    Picture { width, height, pixels }
}

/// Writes [`FEATURE_ROWS`] from the anonymised frames, the force before the lift and the labels; returns the number of rows.
pub(crate) fn features(dir: &Path, progress: Progress<'_>) -> io::Result<usize> {
    let columns: Vec<&str> = ["trial", "split", "slip"].into_iter().chain(FEATURE_NAMES).collect();
    let mut table = Table::new(dir.join(FEATURE_ROWS), &columns);
    let labels = Table::read(&dir.join(LABELS))?;
    let slips: BTreeMap<usize, &str> = labels.trials("trial")?.into_iter().zip(labels.text("slip")?).collect();
    for (done, (trial, slip)) in slips.iter().enumerate() {
        let mut values = camera_features(dir, *trial)?;
        values.extend(force_features(dir, *trial)?);
        let split = if *trial < FIRST_HELD_OUT { "train" } else { "held-out" };
        table.push([vec![trial.to_string(), split.to_owned(), (*slip).to_owned()], cells(&values, 5)].concat());
        progress("extracting features", done + 1, slips.len());
    }
    write_readme(
        &dir.join(FEATURES),
        &format!(
            "One row a trial: features of the anonymised frames and of the force trace before the lift, and the label.\nSplit: {SPLIT}."
        ),
    )?;
    table.write(&[format!("split: {SPLIT}")])?;
    Ok(table.len())
}

/// Size, shape, place and surface of the object, averaged over the frames with closed fingers.
fn camera_features(dir: &Path, trial: usize) -> io::Result<Vec<f64>> {
    let mut sums = vec![0.0; 6];
    for frame in 1..FRAMES {
        let path = dir.join(ANONYMISED).join(format!("trial_{trial:04}_f{frame}.pgm"));
        let seen = look(&Picture::read(&path)?).ok_or_else(|| bad(&path, "shows no object"))?;
        sums.iter_mut().zip(seen).for_each(|(sum, value)| *sum += value / real(FRAMES - 1));
    }
    Ok(sums)
}

/// The camera features of one frame, in the order of [`FEATURE_NAMES`].
fn look(picture: &Picture) -> Option<[f64; 6]> {
    let is_object = |x: usize, y: usize| picture.at(x, y) > OBJECT;
    let places = (0..picture.height).flat_map(|y| (0..picture.width).map(move |x| (x, y)));
    let object: Vec<(usize, usize)> = places.filter(|(x, y)| is_object(*x, *y)).collect();
    let xs: Vec<f64> = object.iter().map(|p| real(p.0)).collect();
    let ys: Vec<f64> = object.iter().map(|p| real(p.1)).collect();
    let inner = |x: usize, y: usize| {
        x > 0 && y > 0 && is_object(x - 1, y) && is_object(x + 1, y) && is_object(x, y - 1) && is_object(x, y + 1)
    };
    let core: Vec<f64> = object.iter().filter(|(x, y)| inner(*x, *y)).map(|(x, y)| picture.at(*x, *y)).collect();
    if core.is_empty() {
        return None;
    }
    let (middle_x, middle_y) = (mean(&xs), mean(&ys));
    let (spread_x, spread_y) = (deviation(&xs), deviation(&ys));
    let products: Vec<f64> = xs.iter().zip(&ys).map(|(x, y)| (x - middle_x) * (y - middle_y)).collect();
    let area = real(object.len());
    // An upright rectangle gives 1, an ellipse pi / 3.
    let roundness = area / (12.0 * spread_x * spread_y);
    let off = (middle_y - (real(picture.height) - 1.0) / 2.0).abs();
    Some([area, roundness, mean(&products).abs() / (spread_x * spread_y), off, deviation(&core), mean(&core)])
}

/// Closing force, load and torque over the last 0.15 s before the lift.
fn force_features(dir: &Path, trial: usize) -> io::Result<[f64; 5]> {
    let path = dir.join(RAW_FORCE).join(format!("trial_{trial:04}.csv"));
    let table = Table::read(&path)?;
    let steady = |column: &str| {
        let values = table.numbers(column)?;
        values.get(LIFT_BEGINS - 15..LIFT_BEGINS).map(<[f64]>::to_vec).ok_or_else(|| bad(&path, "ends before the lift"))
    };
    let (grip, load, torque) = (mean(&steady("grip")?), mean(&steady("fz")?), mean(&steady("tx")?));
    Ok([grip, load, torque.abs(), deviation(&steady("fz")?), load / grip.max(0.1)])
}

/// Writes [`SYNTHETIC_ROWS`], jittered copies of training rows only; returns the number of rows.
pub(crate) fn synthesise(dir: &Path, progress: Progress<'_>) -> io::Result<usize> {
    let source = Table::read(&dir.join(FEATURE_ROWS))?;
    let (trials, splits, slips) = (source.trials("trial")?, source.text("split")?, source.text("slip")?);
    let rows = source.matrix(&FEATURE_NAMES)?;
    let parents: Vec<usize> = (0..rows.len()).filter(|i| splits.get(*i) == Some(&"train")).collect();
    let spread: Vec<f64> = (0..FEATURE_NAMES.len())
        .map(|column| deviation(&parents.iter().filter_map(|i| rows.get(*i)?.get(column).copied()).collect::<Vec<_>>()))
        .collect();
    let columns: Vec<&str> = ["row", "parent_trial", "slip"].into_iter().chain(FEATURE_NAMES).collect();
    let mut table = Table::new(dir.join(SYNTHETIC_ROWS), &columns);
    for (done, parent) in parents.iter().enumerate() {
        let (Some(trial), Some(slip), Some(row)) = (trials.get(*parent), slips.get(*parent), rows.get(*parent)) else {
            continue;
        };
        let mut rng = SplitMix64::new(SEED, *trial);
        for _ in 0..COPIES {
            let jittered: Vec<f64> =
                row.iter().zip(&spread).map(|(value, s)| value + JITTER * s * rng.normal()).collect();
            let name = format!("syn_{:04}", table.len() + 1);
            table.push([vec![name, trial.to_string(), (*slip).to_owned()], cells(&jittered, 5)].concat());
        }
        progress("making synthetic rows", done + 1, parents.len());
    }
    let how = format!(
        "{COPIES} copies of each training row, each feature moved by a normal deviate of {JITTER} of its spread; the label is the parent's"
    );
    write_readme(
        &dir.join(SYNTHETIC),
        &format!(
            "Synthetic rows, made from training rows only: {how}.\nparent_trial names the trial that a row was made from. Split: {SPLIT}."
        ),
    )?;
    table.write(&[format!("synthetic: {how}"), format!("split: {SPLIT}")])?;
    Ok(table.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_fall_is_no_slip_and_a_chattering_one_is() {
        let smooth: Vec<f64> = (0..120).map(|i| if i < 60 { 3.0 } else { 9.0 - 0.05 * real(i - 60) }).collect();
        assert_eq!(slip_at(&smooth), None);
        let chattering: Vec<f64> = (0..120)
            .map(|i| if i < 80 { 9.0 } else { 6.0 - 0.1 * real(i - 80) + if i % 2 == 0 { 1.0 } else { -1.0 } })
            .collect();
        assert!(slip_at(&chattering).is_some_and(|at| (74..=86).contains(&at)));
        assert_eq!(slip_at(&[1.0; 3]), None);
    }

    #[test]
    fn nothing_of_the_edges_is_left() {
        let mut picture = Picture { width: WIDTH, height: HEIGHT, pixels: vec![100; WIDTH * HEIGHT] };
        let before = without_edges(&picture);
        assert_eq!((before.width, before.height), (32, 24));
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                if !(CROP_X..WIDTH - CROP_X).contains(&x) || !(CROP_Y..HEIGHT - CROP_Y).contains(&y) {
                    picture.pixels[y * WIDTH + x] = 255;
                }
            }
        }
        assert_eq!(without_edges(&picture), before);
    }
}
