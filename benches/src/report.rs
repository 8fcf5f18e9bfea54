//! Prints figures as they come, and all of them once more as a table.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints figures, and tells how far it is"
)]

use std::{fs, path::PathBuf, sync::OnceLock, time::Instant};

use crate::{
    Failure,
    figure::{Figure, Outcome, shown},
    svg::Curve,
};

/// What a run has measured so far.
#[derive(Debug)]
pub(crate) struct Report {
    /// Sizes are small: nothing is judged.
    smoke: bool,
    /// Where curves are drawn.
    svg: Option<PathBuf>,
    topic: &'static str,
    rows: Vec<(&'static str, Figure)>,
    curves: Vec<Curve>,
}

impl Report {
    pub(crate) fn new(smoke: bool, svg: Option<PathBuf>) -> Self {
        Self { smoke, svg, topic: "", rows: Vec::new(), curves: Vec::new() }
    }

    /// Begins a topic.
    pub(crate) fn topic(&mut self, topic: &'static str) {
        println!("\n{topic}");
        self.topic = topic;
    }

    /// Prints a figure and keeps it for the table.
    pub(crate) fn add(&mut self, figure: Figure) {
        let [name, ours, beside, ratio, floor, goal] = figure.columns();
        let mut line = format!("  {name:<62} {ours}");
        let mut more = |before: &str, text: &str| {
            if !text.is_empty() {
                line.push_str(before);
                line.push_str(text);
            }
        };
        more("  beside ", &beside);
        more(", ratio ", &ratio);
        more("; floor ", &floor);
        more(", goal ", &goal);
        more(": ", &self.outcome(&figure));
        println!("{line}");
        self.rows.push((self.topic, figure));
    }

    fn outcome(&self, figure: &Figure) -> String {
        match figure.outcome() {
            Outcome::Holds { .. } | Outcome::Short if self.smoke => "small sizes, not judged".to_owned(),
            outcome @ (Outcome::Told | Outcome::Holds { .. } | Outcome::Short | Outcome::Skipped(_)) => {
                outcome.to_string()
            }
        }
    }

    /// Prints a curve, and draws it if drawings are wanted.
    pub(crate) fn curve(&mut self, mut curve: Curve) -> Result<(), Failure> {
        curve.series.iter_mut().for_each(|(_, points)| points.sort_by(|(a, _), (b, _)| a.total_cmp(b)));
        for (name, points) in &curve.series {
            println!("  curve {name}, {} by {}: {}", curve.y, curve.x, listed(points));
        }
        if let Some(folder) = &self.svg {
            fs::create_dir_all(folder)?;
            fs::write(folder.join(format!("{}.svg", curve.file)), curve.drawn(self.smoke))?;
        }
        self.curves.push(curve);
        Ok(())
    }

    /// Prints the tables. Returns whether everything holds.
    pub(crate) fn finish(&self) -> bool {
        println!("\n| topic | figure | median (least to greatest) | beside it | ratio | floor | goal | outcome |");
        println!("|---|---|---|---|---|---|---|---|");
        for (topic, figure) in &self.rows {
            // A bar inside a cell would end it.
            let columns = figure.columns().map(|column| column.replace('|', "\\|")).join(" | ");
            println!("| {topic} | {columns} | {} |", self.outcome(figure));
        }
        if !self.curves.is_empty() {
            println!("\n| curve | by | points |\n|---|---|---|");
        }
        for curve in &self.curves {
            for (name, points) in &curve.series {
                println!("| {name}, {} | {} | {} |", curve.y, curve.x, listed(points));
            }
        }
        let count = |wanted: fn(&Outcome) -> bool| self.rows.iter().filter(|(_, f)| wanted(&f.outcome())).count();
        let holds = count(|outcome| matches!(outcome, Outcome::Holds { .. }));
        let goals = count(|outcome| matches!(outcome, Outcome::Holds { goal: true }));
        let short = count(|outcome| *outcome == Outcome::Short);
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        if self.smoke {
            println!(
                "\nsmall sizes: this shows that the figures can be made, and is no measurement; {skipped} skipped"
            );
        } else {
            println!("\n{holds} hold, {goals} of these meet the goal too; {short} short, {skipped} skipped");
        }
        short == 0 && skipped == 0
    }
}

fn listed(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{}: {}", shown(*x), shown(*y))).collect::<Vec<_>>().join(", ")
}

/// Prints a line for who reads the figures.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Tells why nothing was measured.
pub(crate) fn wrong(why: &str) {
    eprintln!("{why}");
}

/// When this process began.
static BEGUN: OnceLock<Instant> = OnceLock::new();

/// Begins to count the seconds that [`progress`] tells.
pub(crate) fn begin() {
    BEGUN.get_or_init(Instant::now);
}

/// Tells whoever waits what is being done, and how long this process has been at work.
pub(crate) fn progress(text: &str) {
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("    {seconds:>4} s: {text}");
}
