//! The ancestry as a picture: drawn by us, placed by `layout-rs`.
//!
//! The layout gets nothing but sizes and edges, so that no text of a bundle reaches it. A picture has to be readable on
//! A4: what would be too wide, too tall or too dense is drawn again with more of it grouped.

mod graph;

use core::fmt::Write as _;

use layout::{
    core::{
        base::Orientation,
        format::{ClipHandle, RenderBackend},
        geometry::{Point, Position},
        style::StyleAttr,
    },
    std_shapes::shapes::{Arrow, Element, ShapeKind},
    topo::layout::VisualGraph,
};

use self::graph::{Cell, Graph, Grouping, graph};
use super::{
    Dossier,
    html::{escaped, harmless},
    texts::Texts,
};

/// Width of a box, height of a row of its text, what is free above and below them, and half of what is free between boxes,
/// in CSS pixels.
const WIDTH: f64 = 142.0;
const ROW: f64 = 14.0;
const PADDING: f64 = 4.0;
const FREE: (f64, f64) = (9.0, 14.0);
/// The room on a page between its margins, below a heading, in CSS pixels.
const ROOM: (f64, f64) = (674.0, 800.0);
/// No picture is made smaller than this: its letters would be below 6 points.
const SCALE_MIN: f64 = 0.78;
/// Columns of text that a box has room for.
const COLUMNS: usize = 22;
/// Rows for a head or a name, and for what is known besides: a kind of data and a grade as long as they may be.
const ROWS_NAME: usize = 2;
const ROWS_FOOT: usize = 8;

/// A picture, and how much of it is grouped.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The SVG.
    pub(crate) svg: String,
    /// Its place in the texts on grouping.
    pub(crate) grouping: usize,
}

/// Draws the ancestry.
pub(crate) fn draw(dossier: &Dossier, texts: &Texts) -> Picture {
    let mut last = None;
    for (place, grouping) in Grouping::ALL.into_iter().enumerate() {
        let graph = graph(dossier, texts, grouping);
        if grouping != Grouping::Everything && !graph.is_small() {
            continue;
        }
        let placed = place_boxes(&graph);
        let fits = placed.scale() >= SCALE_MIN;
        last = Some(Picture { svg: svg(&graph, &placed, &texts.picture.alt), grouping: place });
        if fits {
            break;
        }
    }
    last.expect("the last grouping is always drawn")
}

/// What the layout made of the boxes and arrows.
#[derive(Debug, Default)]
struct Placed {
    boxes: Vec<Point>,
    arrows: Vec<Vec<(Point, Point)>>,
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Placed {
    fn width(&self) -> f64 {
        self.right - self.left
    }

    fn height(&self) -> f64 {
        self.bottom - self.top
    }

    /// Returns how much smaller it has to be drawn to fit a page.
    fn scale(&self) -> f64 {
        (ROOM.0 / self.width()).min(ROOM.1 / self.height()).min(1.0)
    }

    fn grow(&mut self, point: Point) {
        self.left = self.left.min(point.x);
        self.top = self.top.min(point.y);
        self.right = self.right.max(point.x);
        self.bottom = self.bottom.max(point.y);
    }
}

fn place_boxes(graph: &Graph) -> Placed {
    let mut visual = VisualGraph::new(Orientation::TopToBottom);
    let add = |cell: &Cell| {
        let size = Point::new(WIDTH, height(cell));
        let mut element = Element::create(ShapeKind::new_box(""), StyleAttr::simple(), Orientation::TopToBottom, size);
        let free = Point::new(FREE.0 * 2.0, FREE.1 * 2.0);
        element.pos = Position::new(Point::zero(), size, Point::zero(), free);
        visual.add_node(element)
    };
    let handles: Vec<_> = graph.cells.iter().map(add).collect();
    for (from, to) in &graph.edges {
        if let (Some(from), Some(to)) = (handles.get(*from), handles.get(*to)) {
            visual.add_edge(Arrow::simple(""), *from, *to);
        }
    }
    let mut placed = Placed { left: f64::MAX, top: f64::MAX, right: f64::MIN, bottom: f64::MIN, ..Placed::default() };
    visual.do_it(false, false, false, &mut placed);
    placed
}

/// Keeps where things are put; draws nothing.
impl RenderBackend for Placed {
    fn draw_rect(&mut self, xy: Point, size: Point, _: &StyleAttr, _: Option<String>, _: Option<ClipHandle>) {
        self.grow(xy);
        self.grow(xy.add(size));
        self.boxes.push(xy);
    }

    fn draw_line(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_circle(&mut self, _: Point, _: Point, _: &StyleAttr, _: Option<String>) {}

    fn draw_text(&mut self, _: Point, _: &str, _: &StyleAttr) {}

    fn draw_arrow(
        &mut self,
        path: &[(Point, Point)],
        _: bool,
        _: (bool, bool),
        _: &StyleAttr,
        _: Option<String>,
        _: &str,
    ) {
        path.iter().for_each(|(one, other)| {
            self.grow(*one);
            self.grow(*other);
        });
        self.arrows.push(path.to_vec());
    }

    fn create_clip(&mut self, _: Point, _: Point, _: usize) -> ClipHandle {
        0
    }
}

fn svg(graph: &Graph, placed: &Placed, alt: &str) -> String {
    let (width, height) = (placed.width() + 4.0, placed.height() + 4.0);
    let scale = placed.scale();
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ancestry\" role=\"img\" aria-label=\"{}\" width=\"{:.0}\" height=\"{:.0}\" \
         viewBox=\"{:.1} {:.1} {width:.1} {height:.1}\">",
        escaped(alt),
        width * scale,
        height * scale,
        placed.left - 2.0,
        placed.top - 2.0,
    )
    .ok();
    out.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\">\
         <path d=\"M0 0 8 4 0 8z\" fill=\"#555\"/></marker></defs>\n",
    );
    placed.arrows.iter().for_each(|path| arrow(&mut out, path));
    graph.cells.iter().zip(&placed.boxes).for_each(|(cell, at)| draw_cell(&mut out, cell, *at));
    out.push_str("</svg>\n");
    out
}

/// Draws an arrow as the layout's own writer would: the way out of the first box, then the ways in.
fn arrow(out: &mut String, path: &[(Point, Point)]) {
    let [first, second, rest @ ..] = path else { return };
    write!(
        out,
        "<path class=\"arrow\" marker-end=\"url(#arrow)\" d=\"M{:.1} {:.1} C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}",
        first.0.x, first.0.y, first.1.x, first.1.y, second.0.x, second.0.y, second.1.x, second.1.y
    )
    .ok();
    for (one, other) in rest {
        write!(out, " S{:.1} {:.1} {:.1} {:.1}", one.x, one.y, other.x, other.y).ok();
    }
    out.push_str("\"/>\n");
}

/// A row of text in a box, and its class.
type Row = (&'static str, String);

/// Breaks the texts of a box into rows.
fn rows(cell: &Cell) -> Vec<Row> {
    let mut rows = Vec::new();
    for (place, line) in cell.lines.iter().enumerate() {
        let (class, most) = match place {
            0 => ("head", ROWS_NAME),
            1 => ("line", ROWS_NAME),
            _ => ("line", ROWS_FOOT),
        };
        rows.extend(broken(line, most).into_iter().map(|row| (class, row)));
    }
    rows.extend(cell.marks.iter().flat_map(|mark| broken(mark, ROWS_NAME)).map(|row| ("mark", row)));
    rows
}

fn height(cell: &Cell) -> f64 {
    rows(cell).iter().fold(2.0 * PADDING, |height, _| height + ROW)
}

/// Draws a box. An inner `svg` cuts off what is wider than its box, whatever letters it is made of.
fn draw_cell(out: &mut String, cell: &Cell, at: Point) {
    let height = height(cell);
    write!(
        out,
        "<svg x=\"{:.1}\" y=\"{:.1}\" width=\"{WIDTH}\" height=\"{height}\"><rect class=\"{}{}\" x=\"1\" y=\"1\" \
         width=\"{}\" height=\"{}\" rx=\"3\"/>",
        at.x,
        at.y,
        cell.class,
        if cell.marks.is_empty() { "" } else { " marked" },
        WIDTH - 2.0,
        height - 2.0,
    )
    .ok();
    let mut y = PADDING - 4.0;
    for (class, row) in rows(cell) {
        y += ROW;
        write!(out, "<text class=\"{class}\" x=\"6\" y=\"{y}\">{}</text>", escaped(&row)).ok();
    }
    out.push_str("</svg>\n");
}

/// Returns the columns that a letter takes: wide ones two.
const fn columns(c: char) -> usize {
    if c >= '\u{1100}' { 2 } else { 1 }
}

/// Breaks a text into rows of a box, at most so many: after a space, a comma, a hyphen or what parts a path if one is near, and anywhere if not.
/// What is cut ends in `…`.
fn broken(text: &str, most: usize) -> Vec<String> {
    let text = harmless(text, COLUMNS.saturating_mul(most.saturating_mul(2)));
    let mut rows = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && rows.len() < most {
        let (row, after) = first_row(rest);
        rows.push(row.to_owned());
        rest = after;
    }
    if let Some(last) = rows.last_mut().filter(|_| !rest.is_empty()) {
        while last.chars().map(columns).sum::<usize>() >= COLUMNS {
            last.pop();
        }
        last.push('…');
    }
    rows
}

/// Splits off what fits into a row.
fn first_row(text: &str) -> (&str, &str) {
    let mut used = 0_usize;
    let mut good = None;
    for (place, c) in text.char_indices() {
        let end = place.saturating_add(c.len_utf8());
        used = used.saturating_add(columns(c));
        if used > COLUMNS {
            let at = good.filter(|_| c != ' ').unwrap_or(place);
            let (row, rest) = text.split_at_checked(at).unwrap_or((text, ""));
            return (row.trim_end(), rest.trim_start());
        }
        // A row that would be nearly empty is worse than a broken word.
        if matches!(c, ' ' | '-' | ',' | '、' | '·' | '/' | '_' | '.') && used > COLUMNS / 3 {
            good = Some(end);
        }
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A xorshift generator: the same pictures in each run.
    struct Drawn(u64);

    impl Drawn {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 1).unwrap() % limit
        }
    }

    /// The layout holds assertions of its own: no graph that is given to it may meet one.
    #[test]
    fn any_small_graph_is_placed_without_overlap() {
        let mut drawn = Drawn(0x9e37_79b9_7f4a_7c15);
        for round in 0..400 {
            let count = 1 + drawn.below(graph::CELLS_MAX);
            let mut graph = Graph::default();
            for _ in 0..count {
                graph.cells.push(Cell {
                    class: "source",
                    lines: vec!["x".into(), "y".repeat(30)],
                    marks: vec!["withdrawn".into(); drawn.below(3)],
                });
            }
            for _ in 0..drawn.below(2 * count + 1) {
                let (from, to) = (drawn.below(count), drawn.below(count));
                if from < to {
                    graph.edges.insert((from, to));
                }
            }
            if !graph.is_small() {
                continue;
            }
            let placed = place_boxes(&graph);
            assert_eq!((placed.boxes.len(), placed.arrows.len()), (count, graph.edges.len()), "round {round}");
            for (i, one) in placed.boxes.iter().enumerate() {
                assert!(one.x.is_finite() && one.y.is_finite());
                for (j, other) in placed.boxes[..i].iter().enumerate() {
                    let (above, upper) = if one.y < other.y { (i, one) } else { (j, other) };
                    let below = if one.y < other.y { other } else { one };
                    let apart = (one.x - other.x).abs() >= WIDTH || below.y - upper.y >= height(&graph.cells[above]);
                    assert!(apart, "round {round}: {one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_broken_into_rows_and_cut_to_its_box() {
        assert_eq!(broken("short", 2), ["short"]);
        assert_eq!(broken("", 2), [""; 0]);
        assert_eq!(broken("CN · force-torque · important", 8), ["CN · force-torque ·", "important"]);
        assert_eq!(broken(&"x".repeat(200), 2), ["x".repeat(COLUMNS), format!("{}…", "x".repeat(COLUMNS - 1))]);
        let wide = broken(&"夹".repeat(200), 1);
        assert_eq!(wide, [format!("{}…", "夹".repeat(COLUMNS / 2 - 1))]);
        // A kind of data and a grade of any length that a word may have.
        let longest = griptrace_core::limits::WORD_BYTES_MAX;
        let foot = format!("CN · {} · {}", "m".repeat(longest), "g".repeat(longest));
        assert!(!broken(&foot, ROWS_FOOT).concat().contains('…'));
    }
}
