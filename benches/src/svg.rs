//! Curves, drawn on two logarithmic axes.

use core::fmt::Write as _;

/// How a figure grows.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// The name of its file, without an end.
    pub(crate) file: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// Each with its name and its points.
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 56.0;
const BOTTOM: f64 = 64.0;
/// Told apart by who does not see red and green, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// One logarithmic axis: powers of ten from `least` to `greatest`, onto pixels.
struct Axis {
    least: f64,
    greatest: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Takes in all values, from one power of ten to another.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs = values.filter(|value| *value > 0.0 && value.is_finite()).map(f64::log10);
        let (least, greatest) = logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), log| (a.min(log), b.max(log)));
        if !least.is_finite() {
            return Self { least: 0.0, greatest: 1.0, from, to };
        }
        // A little below a whole power is that power: 64 committers must not end at 10.
        let (least, greatest) = ((least + 1e-9).floor(), (greatest - 1e-9).ceil());
        Self { least, greatest: greatest.max(least + 1.0), from, to }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.least) / (self.greatest - self.least);
        self.from + share * (self.to - self.from)
    }

    /// The powers of ten, and between them, where there are few, 2 and 5 times these.
    fn ticks(&self) -> Vec<(f64, bool)> {
        let decades = self.greatest - self.least;
        let mut ticks = Vec::new();
        let mut power = self.least;
        while power <= self.greatest + 0.5 {
            for factor in [1.0, 2.0, 5.0] {
                let value = 10_f64.powf(power) * factor;
                if value.log10() <= self.greatest + 1e-6 {
                    ticks.push((value, factor < 1.5 || decades < 2.5));
                }
            }
            power += 1.0;
        }
        ticks
    }
}

impl Curve {
    /// Returns the drawing.
    pub(crate) fn drawn(&self, smoke: bool) -> String {
        let points = || self.series.iter().flat_map(|(_, points)| points);
        let x = Axis::over(points().map(|(x, _)| *x), LEFT, WIDTH - RIGHT);
        let y = Axis::over(points().map(|(_, y)| *y), HEIGHT - BOTTOM, TOP);
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
        );
        let title = if smoke { format!("{} (small sizes: no measurement)", self.title) } else { self.title.to_owned() };
        text(&mut out, LEFT, 22.0, "start", &format!("<tspan font-size=\"15\" font-weight=\"bold\">{title}</tspan>"));
        grid(&mut out, &x, &y);
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        text(&mut out, middle, HEIGHT - 18.0, "middle", self.x);
        let height = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let turned = format!(
            "<text x=\"18\" y=\"{height}\" text-anchor=\"middle\" fill=\"#222222\" transform=\"rotate(-90 18 {height})\">{}</text>\n",
            self.y
        );
        out.push_str(&turned);
        self.lines(&mut out, &x, &y);
        out.push_str("</svg>\n");
        out
    }

    fn lines(&self, out: &mut String, x: &Axis, y: &Axis) {
        let mut legend = LEFT;
        for ((name, points), colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let places: Vec<(f64, f64)> = points.iter().map(|(px, py)| (x.at(*px), y.at(*py))).collect();
            let line: Vec<String> = places.iter().map(|(px, py)| format!("{px:.1},{py:.1}")).collect();
            put(
                out,
                format_args!(
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
                    line.join(" ")
                ),
            );
            for (px, py) in places {
                put(out, format_args!("<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3.5\" fill=\"{colour}\"/>\n"));
            }
            put(out, format_args!("<rect x=\"{legend}\" y=\"33\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n"));
            text(out, legend + 17.0, 43.5, "start", name);
            legend += 36.0 + 6.7 * crate::measure::number(name.chars().count());
        }
    }
}

fn grid(out: &mut String, x: &Axis, y: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, is_labelled) in x.ticks() {
        let at = x.at(value);
        let colour = if is_labelled { "#d0d0d0" } else { "#eeeeee" };
        put(
            out,
            format_args!("<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" stroke=\"{colour}\"/>\n"),
        );
        if is_labelled {
            text(out, at, bottom + 18.0, "middle", &label(value));
        }
    }
    for (value, is_labelled) in y.ticks() {
        let at = y.at(value);
        let colour = if is_labelled { "#d0d0d0" } else { "#eeeeee" };
        put(
            out,
            format_args!("<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"{colour}\"/>\n"),
        );
        if is_labelled {
            text(out, LEFT - 8.0, at + 4.0, "end", &label(value));
        }
    }
    let (width, height) = (right - LEFT, bottom - TOP);
    put(
        out,
        format_args!(
            "<rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#555555\"/>\n"
        ),
    );
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    put(out, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\">{text}</text>\n"));
}

fn put(out: &mut String, what: core::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    out.write_fmt(what).unwrap_or_default();
}

/// Writes a value of an axis: whole from 1 on, thousands as k, millions as M.
fn label(value: f64) -> String {
    match value {
        value if value >= 0.999e6 => format!("{:.0} M", value / 1e6),
        value if value >= 0.999e3 => format!("{:.0} k", value / 1e3),
        value if value >= 0.999 => format!("{value:.0}"),
        value => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_drawn_inside_its_frame() {
        let points = vec![(1.0, 900.0), (8.0, 5_000.0), (64.0, 12_345.0)];
        let curve =
            Curve { file: "c", title: "t", x: "committers", y: "commits/s", series: vec![("s".into(), points)] };
        let drawn = curve.drawn(false);
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert!(drawn.contains(">100 k<") && drawn.contains(">100<"), "axes end at powers of ten");
        let x = Axis::over([1.0, 64.0].into_iter(), LEFT, WIDTH - RIGHT);
        assert!((x.at(1.0) - LEFT).abs() < 1e-6 && (x.at(100.0) - (WIDTH - RIGHT)).abs() < 1e-6);
    }
}
