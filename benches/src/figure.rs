//! A figure: what was measured, what stands beside it, and the bar that it is held to.

use core::fmt::Write as _;

/// The values of several runs of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Runs(Vec<f64>);

impl Runs {
    pub(crate) fn new(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Returns one value, that was not measured several times: a count of bytes.
    pub(crate) fn one(value: f64) -> Self {
        Self(vec![value])
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        let upper = self.0.get(middle).copied().unwrap_or(f64::NAN);
        if self.0.len() % 2 == 1 {
            return upper;
        }
        middle.checked_sub(1).and_then(|below| self.0.get(below)).map_or(upper, |lower| f64::midpoint(*lower, upper))
    }

    pub(crate) fn least(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn greatest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// Turns every run into another unit.
    pub(crate) fn map(&self, unit: impl Fn(f64) -> f64) -> Self {
        Self::new(self.0.iter().copied().map(unit).collect())
    }

    /// Turns seconds for so many things into things a second.
    pub(crate) fn rate(&self, things: f64) -> Self {
        self.map(|seconds| things / seconds)
    }

    /// Writes the median, and the spread where there was more than one run.
    fn text(&self, unit: &str) -> String {
        let mut text = format!("{} {unit}", shown(self.median()));
        if self.0.len() > 1 {
            // Writing to a `String` does not fail.
            write!(text, " ({} to {})", shown(self.least()), shown(self.greatest())).unwrap_or_default();
        }
        text
    }
}

/// What a bar is about.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// The figure itself.
    Value,
    /// The figure over what stands beside it.
    Ratio,
}

/// Which side of the bar is the good one.
#[derive(Clone, Copy, Debug)]
enum Side {
    AtMost,
    AtLeast,
}

/// What a figure has to reach, and what it should.
#[derive(Clone, Copy, Debug)]
struct Bar {
    of: Of,
    side: Side,
    floor: f64,
    goal: Option<f64>,
}

/// How a figure stands to its bar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// There is no bar.
    Told,
    /// The floor is met, and whether the goal is.
    Holds { goal: bool },
    /// The floor is not met.
    Short,
    /// It was not measured: why.
    Skipped(String),
}

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    unit: &'static str,
    ours: Result<Runs, String>,
    beside: Option<(String, Runs)>,
    bar: Option<Bar>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, ours: Runs, unit: &'static str) -> Self {
        Self { name: name.into(), unit, ours: Ok(ours), beside: None, bar: None }
    }

    /// A figure that could not be measured counts as one that does not hold.
    pub(crate) fn skipped(name: impl Into<String>, why: &dyn ToString) -> Self {
        Self { name: name.into(), unit: "", ours: Err(why.to_string()), beside: None, bar: None }
    }

    /// Puts a rival or a limit beside the figure, in the same unit.
    pub(crate) fn beside(self, name: impl Into<String>, runs: Runs) -> Self {
        Self { beside: Some((name.into(), runs)), ..self }
    }

    pub(crate) fn at_most(self, floor: f64, goal: impl Into<Option<f64>>) -> Self {
        self.held_to(Of::Value, Side::AtMost, floor, goal.into())
    }

    pub(crate) fn at_least(self, floor: f64, goal: impl Into<Option<f64>>) -> Self {
        self.held_to(Of::Value, Side::AtLeast, floor, goal.into())
    }

    /// Holds the ratio to a bar: the figure over what stands beside it.
    pub(crate) fn ratio_at_most(self, floor: f64, goal: impl Into<Option<f64>>) -> Self {
        self.held_to(Of::Ratio, Side::AtMost, floor, goal.into())
    }

    pub(crate) fn ratio_at_least(self, floor: f64, goal: impl Into<Option<f64>>) -> Self {
        self.held_to(Of::Ratio, Side::AtLeast, floor, goal.into())
    }

    fn held_to(self, of: Of, side: Side, floor: f64, goal: Option<f64>) -> Self {
        Self { bar: Some(Bar { of, side, floor, goal }), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        let (_, beside) = self.beside.as_ref()?;
        Some(self.ours.as_ref().ok()?.median() / beside.median())
    }

    pub(crate) fn outcome(&self) -> Outcome {
        let ours = match &self.ours {
            Ok(ours) => ours,
            Err(why) => return Outcome::Skipped(why.clone()),
        };
        let Some(bar) = self.bar else { return Outcome::Told };
        let value = match bar.of {
            Of::Value => Some(ours.median()),
            Of::Ratio => self.ratio(),
        };
        let Some(value) = value else { return Outcome::Skipped("nothing stands beside it".to_owned()) };
        let meets = |wanted: f64| match bar.side {
            Side::AtMost => value <= wanted,
            Side::AtLeast => value >= wanted,
        };
        if !meets(bar.floor) {
            return Outcome::Short;
        }
        Outcome::Holds { goal: bar.goal.is_some_and(meets) }
    }

    /// Returns the columns of a row: name, figure, what is beside it, ratio, floor, goal.
    pub(crate) fn columns(&self) -> [String; 6] {
        let ours = self.ours.as_ref().map_or_else(|_| String::new(), |ours| ours.text(self.unit));
        let beside = self.beside.as_ref();
        let beside = beside.map_or_else(String::new, |(name, runs)| format!("{name}: {}", runs.text(self.unit)));
        let ratio = self.ratio().map_or_else(String::new, shown);
        let wanted = |value: Option<f64>| {
            let Some((bar, value)) = self.bar.zip(value) else { return String::new() };
            let sign = match bar.side {
                Side::AtMost => "<=",
                Side::AtLeast => ">=",
            };
            match bar.of {
                Of::Value => format!("{sign} {} {}", shown(value), self.unit),
                Of::Ratio => format!("ratio {sign} {}", shown(value)),
            }
        };
        let floor = wanted(self.bar.map(|bar| bar.floor));
        let goal = wanted(self.bar.and_then(|bar| bar.goal));
        [self.name.clone(), ours, beside, ratio, floor, goal]
    }
}

impl core::fmt::Display for Outcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Told => f.write_str("for information"),
            Self::Holds { goal: true } => f.write_str("holds (goal too)"),
            Self::Holds { goal: false } => f.write_str("holds"),
            Self::Short => f.write_str("short"),
            Self::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// Writes a number with three digits that mean something, and thousands apart.
pub(crate) fn shown(value: f64) -> String {
    let decimals = match value.abs() {
        size if !size.is_finite() => return "none".to_owned(),
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 || size == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let digits = whole.len();
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (digits - place).is_multiple_of(3) && !out.ends_with('-') {
            out.push(' ');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_three_digits() {
        for (value, text) in [
            (0.123_45, "0.123"),
            (1.0, "1.00"),
            (12.345, "12.3"),
            (123.4, "123"),
            (12_345.6, "12 346"),
            (-1_234.0, "-1 234"),
        ] {
            assert_eq!(shown(value), text);
        }
    }

    #[test]
    fn a_bar_is_judged_on_its_own_side() {
        let runs = |value| Runs::new(vec![value, value * 2.0, value / 2.0]);
        let outcome = |figure: Figure| figure.outcome();
        assert_eq!(outcome(Figure::new("a", runs(3.0), "s")), Outcome::Told);
        assert_eq!(outcome(Figure::new("a", runs(3.0), "s").at_most(3.0, 2.0)), Outcome::Holds { goal: false });
        assert_eq!(outcome(Figure::new("a", runs(2.0), "s").at_most(3.0, 2.0)), Outcome::Holds { goal: true });
        assert_eq!(outcome(Figure::new("a", runs(3.1), "s").at_most(3.0, None)), Outcome::Short);
        assert_eq!(outcome(Figure::new("a", runs(3.0), "/s").at_least(4.0, 5.0)), Outcome::Short);
        let beside = Figure::new("a", runs(3.0), "s").beside("b", runs(6.0));
        assert_eq!(outcome(beside.clone().ratio_at_most(0.6, 0.5)), Outcome::Holds { goal: true });
        assert_eq!(outcome(beside.ratio_at_least(1.0, None)), Outcome::Short);
        assert!(matches!(outcome(Figure::new("a", runs(3.0), "s").ratio_at_most(1.0, None)), Outcome::Skipped(_)));
        assert!(matches!(outcome(Figure::skipped("a", &"why")), Outcome::Skipped(_)));
    }

    #[test]
    fn the_median_is_the_middle_of_the_runs() {
        assert!((Runs::new(vec![3.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((Runs::new(vec![4.0, 1.0, 2.0, 3.0]).median() - 2.5).abs() < 1e-9);
        assert!(Runs::new(Vec::new()).median().is_nan());
    }
}
