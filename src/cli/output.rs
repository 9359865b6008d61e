//! What commands print for people: tables, and colours where somebody sees them.
//!
//! Programs get JSON instead, and never a colour: those are for a terminal alone, and
//! for none whose owner has set `NO_COLOR` (<https://no-color.org>).

use std::io::{self, IsTerminal as _, Write};

/// How a text is to be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    /// As it is.
    Plain,
    /// A title.
    Title,
    /// As it should be.
    Good,
    /// On its way, or worth a look.
    Fair,
    /// Not as it should be.
    Bad,
}

impl Tone {
    /// The attribute of a terminal (ECMA-48 §8.3.117).
    fn attribute(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Title => Some(1),
            Self::Good => Some(32),
            Self::Fair => Some(33),
            Self::Bad => Some(31),
        }
    }
}

/// Whether texts are coloured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    /// Colours if stdout is a terminal that takes them and nobody has asked for none.
    pub(super) fn of_stdout() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_on = io::stdout().is_terminal() && !is_dumb && !is_set("NO_COLOR");
        Self { is_on }
    }

    /// The text in its colour.
    pub(super) fn text(self, tone: Tone, text: &str) -> String {
        match tone.attribute().filter(|_| self.is_on) {
            Some(attribute) => format!("\x1b[{attribute}m{text}\x1b[0m"),
            None => text.to_owned(),
        }
    }
}

/// One place of a table.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text with a tone.
    pub(super) fn toned(tone: Tone, text: impl ToString) -> Self {
        let text = text.to_string();
        Self { text, tone }
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::toned(Tone::Plain, text)
    }
}

/// Rows with the same columns, the first one their titles.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these columns, without a row yet.
    pub(super) fn new(titles: &[&str]) -> Self {
        let title = |title: &&str| Cell::toned(Tone::Title, title);
        Self {
            rows: vec![titles.iter().map(title).collect()],
        }
    }

    /// Appends a row.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Prints it, each column as wide as its widest text, with two spaces between.
    pub(super) fn print(&self, paint: Paint, out: &mut impl Write) -> io::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(move |row| row.get(column));
            cells.map(|cell| width(&cell.text)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            // What is empty at the end of a line leaves no spaces there.
            let last = row.iter().rposition(|cell| !cell.text.is_empty());
            for (column, cell) in row.iter().enumerate().take(last.map_or(0, |last| last + 1)) {
                write!(out, "{}", paint.text(cell.tone, &cell.text))?;
                if Some(column) != last {
                    let spaces = widths[column] - self::width(&cell.text) + 2;
                    write!(out, "{:spaces$}", "")?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Columns that a text takes: characters, for names of the registry are ASCII.
fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text that somebody else wrote, made harmless for a terminal: control characters are escaped.
pub(super) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => harmless.extend(character.escape_default()),
            false => harmless.push(character),
        }
    }
    harmless
}

/// Prints a value as JSON on one line.
pub(super) fn json(value: &impl serde::Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value).map_err(io::Error::from)?;
    // Whoever closes the pipe has read enough.
    let _ = writeln!(io::stdout().lock(), "{text}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(is_on: bool) -> String {
        let mut table = Table::new(&["ID", "STATE", "WHY"]);
        table.row(["web-1".into(), Cell::toned(Tone::Good, "listed"), "".into()]);
        table.row([
            "é".into(),
            Cell::toned(Tone::Bad, "failing"),
            "HTTP 500".into(),
        ]);
        let mut out = Vec::new();
        table.print(Paint { is_on }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_stand_below_each_other() {
        let expected = "\
ID     STATE    WHY
web-1  listed
é      failing  HTTP 500
";
        assert_eq!(printed(false), expected);
    }

    #[test]
    fn colours_take_no_room() {
        let plain = printed(true);
        assert!(plain.contains("\x1b[32mlisted\x1b[0m\n"), "{plain:?}");
        let stripped = plain
            .replace("\x1b[0m", "")
            .replace("\x1b[1m", "")
            .replace("\x1b[31m", "")
            .replace("\x1b[32m", "");
        assert_eq!(stripped, printed(false));
    }

    #[test]
    fn texts_of_others_steer_no_terminal() {
        assert_eq!(harmless("a\x1b[2Jb\nc\u{9b}é"), "a\\u{1b}[2Jb\\nc\\u{9b}é");
    }
}
