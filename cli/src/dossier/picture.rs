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
    facts::Facts,
    html::{escaped, harmless},
    texts::Texts,
};

/// Size of a box, and half of what is free between boxes, in CSS pixels.
const BOX: (f64, f64) = (142.0, 50.0);
const FREE: (f64, f64) = (9.0, 30.0);
/// The room on a page between its margins, below a heading, in CSS pixels.
const ROOM: (f64, f64) = (674.0, 800.0);
/// No picture is made smaller than this: its letters would be below 6 points.
const SCALE_MIN: f64 = 0.78;
/// Columns of text that a box has room for.
const COLUMNS: usize = 22;

/// A picture, and how much of it is grouped.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The SVG.
    pub(crate) svg: String,
    /// Its place in the texts on grouping.
    pub(crate) grouping: usize,
}

/// Draws the ancestry.
pub(crate) fn draw(facts: &Facts, texts: &Texts) -> Picture {
    let mut last = None;
    for (place, grouping) in Grouping::ALL.into_iter().enumerate() {
        let graph = graph(facts, texts, grouping);
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
    let add = |_: &Cell| {
        let mut element = Element::create(
            ShapeKind::new_box(""),
            StyleAttr::simple(),
            Orientation::TopToBottom,
            Point::new(BOX.0, BOX.1),
        );
        let free = Point::new(FREE.0 * 2.0, FREE.1 * 2.0);
        element.pos = Position::new(Point::zero(), Point::new(BOX.0, BOX.1), Point::zero(), free);
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

/// Draws a box. An inner `svg` cuts off what is wider than its box, whatever letters it is made of.
fn draw_cell(out: &mut String, cell: &Cell, at: Point) {
    let (width, height) = BOX;
    write!(
        out,
        "<svg x=\"{:.1}\" y=\"{:.1}\" width=\"{width}\" height=\"{height}\"><rect class=\"{}\" x=\"0.5\" y=\"0.5\" \
         width=\"{}\" height=\"{}\" rx=\"3\"/>",
        at.x,
        at.y,
        cell.class,
        width - 1.0,
        height - 1.0,
    )
    .ok();
    for (line, y) in cell.lines.iter().zip(["14", "28", "42"]) {
        let class = if y == "14" { "head" } else { "line" };
        write!(out, "<text class=\"{class}\" x=\"6\" y=\"{y}\">{}</text>", escaped(&cut(line))).ok();
    }
    out.push_str("</svg>\n");
}

/// Cuts a text to the columns of a box: wide letters take two.
fn cut(text: &str) -> String {
    let text = harmless(text, COLUMNS.saturating_mul(4));
    let width = |c: char| if c >= '\u{1100}' { 2 } else { 1 };
    let all: usize = text.chars().map(width).sum();
    if all <= COLUMNS {
        return text;
    }
    let mut room = COLUMNS.saturating_sub(1);
    let mut out = String::new();
    for c in text.chars() {
        let Some(left) = room.checked_sub(width(c)) else { break };
        room = left;
        out.push(c);
    }
    out.push('…');
    out
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
                graph.cells.push(Cell { class: "source", lines: vec!["x".into()] });
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
                for other in &placed.boxes[..i] {
                    let apart = (one.x - other.x).abs() >= BOX.0 || (one.y - other.y).abs() >= BOX.1;
                    assert!(apart, "round {round}: {one:?} {other:?}");
                }
            }
        }
    }

    #[test]
    fn a_text_is_cut_to_its_box() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(200)).chars().count(), COLUMNS);
        assert_eq!(cut(&"夹".repeat(200)).chars().count(), COLUMNS / 2);
    }
}
