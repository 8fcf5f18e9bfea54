//! Tables in plain text.

use alloc::{string::String, vec::Vec};

use super::safe::width;

/// Returns the lines of a table: a head, and rows with as many cells, each column as wide as its
/// widest cell.
pub(super) fn lines(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = head.iter().map(|cell| width(cell)).collect();
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(cell));
        }
    }
    let head: Vec<String> = head.iter().map(|cell| String::from(*cell)).collect();
    let rule: Vec<String> = widths.iter().map(|wide| "-".repeat(*wide)).collect();
    [&head, &rule].into_iter().chain(rows).map(|row| line(row, &widths)).collect()
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, wide) in row.iter().zip(widths) {
        line.push_str(cell);
        line.push_str(&" ".repeat(wide.saturating_sub(width(cell)).saturating_add(2)));
    }
    line.trim_end().into()
}
