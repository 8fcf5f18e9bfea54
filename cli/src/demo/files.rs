//! The demo's files: greymaps and comma-separated tables, each marked as simulated, and errors that name the path.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The mark that every file of the demo carries.
pub(crate) const SIMULATED: &str = "SIMULATED by griptrace demo, not a recording";

/// What a step tells while it runs: what it does, how many are done, of how many.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// An error about what a file holds.
pub(crate) fn bad(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", path.display()))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|e| at(path, &e))
}

/// Writes a whole file, with the folders above it, and returns its size.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<usize> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| at(folder, &e))?;
    }
    fs::write(path, bytes).map_err(|e| at(path, &e))?;
    Ok(bytes.len())
}

/// Writes the `README.txt` that says what a folder holds, and that it is simulated.
pub(crate) fn write_readme(folder: &Path, text: &str) -> io::Result<usize> {
    write(&folder.join("README.txt"), format!("{SIMULATED}.\n\n{text}\n").as_bytes())
}

/// The files of a folder with this extension, in the order of their names.
pub(crate) fn list(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| at(folder, &e))? {
        let path = entry.map_err(|e| at(folder, &e))?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() { Err(bad(folder, &format!("holds no .{extension} file"))) } else { Ok(found) }
}

/// The trial in a name such as `trial_0012.csv` or `trial_0012_f1.pgm`.
pub(crate) fn trial_of(path: &Path) -> io::Result<usize> {
    let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    let number = stem.strip_prefix("trial_").and_then(|rest| rest.split('_').next());
    number.and_then(|n| n.parse().ok()).ok_or_else(|| bad(path, "the name holds no trial number"))
}

/// An 8-bit grey picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Columns.
    pub(crate) width: usize,
    /// Rows.
    pub(crate) height: usize,
    /// Grey values, row by row.
    pub(crate) pixels: Vec<u8>,
}

impl Picture {
    /// The grey value at a column and a row; black outside.
    pub(crate) fn at(&self, x: usize, y: usize) -> f64 {
        let inside = x < self.width && y < self.height;
        let value = if inside { self.pixels.get(y * self.width + x) } else { None };
        value.map_or(0.0, |v| f64::from(*v))
    }

    /// Writes a binary PGM with the simulated mark and more comment lines.
    pub(crate) fn write(&self, path: &Path, comments: &[String]) -> io::Result<usize> {
        let mut header = format!("P5\n# {SIMULATED}\n");
        for comment in comments {
            header.push_str("# ");
            header.push_str(comment);
            header.push('\n');
        }
        let size = format!("{} {}\n255\n", self.width, self.height);
        write(path, &[header.as_bytes(), size.as_bytes(), self.pixels.as_slice()].concat())
    }

    /// Reads a binary PGM with 8-bit values and forgets its comments.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let bytes = read(path)?;
        Self::parse(&bytes).ok_or_else(|| bad(path, "is not a whole 8-bit binary PGM"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(b"P5")?;
        let mut numbers = [0_usize; 3];
        for number in &mut numbers {
            *number = next_number(&mut rest)?;
        }
        let [width, height, depth] = numbers;
        let (first, pixels) = rest.split_first()?;
        let whole = first.is_ascii_whitespace() && depth == 255 && Some(pixels.len()) == width.checked_mul(height);
        whole.then(|| Self { width, height, pixels: pixels.to_vec() })
    }
}

/// Takes white space and comments, then one decimal number, off the front of a PGM header.
fn next_number(rest: &mut &[u8]) -> Option<usize> {
    loop {
        *rest = rest.trim_ascii_start();
        let Some(comment) = rest.strip_prefix(b"#") else {
            break;
        };
        let end = comment.iter().position(|b| *b == b'\n')?;
        *rest = comment.get(end..)?;
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    core::str::from_utf8(number).ok()?.parse().ok()
}

/// A comma-separated table with one line of column names, and comment lines before it.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table for this path.
    pub(crate) fn new(path: PathBuf, columns: &[&str]) -> Self {
        Self { path, columns: columns.iter().map(|c| (*c).to_owned()).collect(), rows: Vec::new() }
    }

    /// Reads a table; every row must have as many cells as there are columns.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = String::from_utf8(read(path)?).map_err(|_| bad(path, "is not UTF-8"))?;
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let cells = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let columns = lines.next().map(cells).ok_or_else(|| bad(path, "has no line of column names"))?;
        let rows: Vec<_> = lines.map(cells).collect();
        if rows.iter().any(|row| row.len() != columns.len()) {
            return Err(bad(path, "has a row whose length is not that of the column names"));
        }
        Ok(Self { path: path.to_owned(), columns, rows })
    }

    /// Writes the table with the simulated mark and more comment lines.
    pub(crate) fn write(&self, comments: &[String]) -> io::Result<usize> {
        let mut text = format!("# {SIMULATED}\n");
        for comment in comments {
            text.push_str("# ");
            text.push_str(comment);
            text.push('\n');
        }
        for row in core::iter::once(&self.columns).chain(&self.rows) {
            text.push_str(&row.join(","));
            text.push('\n');
        }
        write(&self.path, text.as_bytes())
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The cells of a named column.
    pub(crate) fn text(&self, column: &str) -> io::Result<Vec<&str>> {
        let place = self.columns.iter().position(|c| c == column);
        let place = place.ok_or_else(|| bad(&self.path, &format!("has no column {column}")))?;
        Ok(self.rows.iter().filter_map(|row| row.get(place).map(String::as_str)).collect())
    }

    /// The cells of a named column as finite numbers.
    pub(crate) fn numbers(&self, column: &str) -> io::Result<Vec<f64>> {
        let number = |cell: &str| cell.parse::<f64>().ok().filter(|n| n.is_finite());
        let not = |cell: &str| bad(&self.path, &format!("column {column}: {cell:?} is not a number"));
        self.text(column)?.into_iter().map(|cell| number(cell).ok_or_else(|| not(cell))).collect()
    }

    /// The cells of a named column as trial numbers.
    pub(crate) fn trials(&self, column: &str) -> io::Result<Vec<usize>> {
        let not = |cell: &str| bad(&self.path, &format!("column {column}: {cell:?} is not a trial number"));
        self.text(column)?.into_iter().map(|cell| cell.parse().map_err(|_| not(cell))).collect()
    }

    /// The named columns as rows of numbers.
    pub(crate) fn matrix(&self, columns: &[&str]) -> io::Result<Vec<Vec<f64>>> {
        let taken: Vec<Vec<f64>> = columns.iter().map(|c| self.numbers(c)).collect::<io::Result<_>>()?;
        Ok((0..self.len()).map(|row| taken.iter().filter_map(|c| c.get(row).copied()).collect()).collect())
    }
}

/// Numbers as cells with this many decimals; a negative zero is written as zero.
pub(crate) fn cells(values: &[f64], decimals: usize) -> Vec<String> {
    let cell = |value: &f64| {
        let mut text = format!("{value:.decimals$}");
        if text.starts_with('-') && !text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
            text.split_off(1)
        } else {
            text
        }
    };
    values.iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_needs_every_pixel() {
        let whole = b"P5\n# a comment\n2 1\n# another\n255\n\x23\x0a";
        let picture = Picture::parse(whole).expect("a PGM");
        assert_eq!(picture, Picture { width: 2, height: 1, pixels: vec![0x23, 0x0a] });
        assert_eq!(Picture::parse(&whole[..whole.len() - 1]), None);
        assert_eq!(Picture::parse(b"P5\n2 1\n65535\n\0\0\0\0"), None);
        assert_eq!(Picture::parse(b"P5\n# no end"), None);
    }

    #[test]
    fn errors_name_the_path() {
        let error = Table::read(Path::new("/nowhere/labels.csv")).expect_err("no such file");
        assert!(error.to_string().contains("/nowhere/labels.csv"), "{error}");
        let error = trial_of(Path::new("camera/other.pgm")).expect_err("no number");
        assert!(error.to_string().contains("other.pgm"), "{error}");
    }

    #[test]
    fn cells_have_no_negative_zero() {
        assert_eq!(cells(&[-0.001, -0.01, 2.0], 2), ["0.00", "-0.01", "2.00"]);
    }
}
