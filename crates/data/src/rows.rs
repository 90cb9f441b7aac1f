//! Rows of a table, read more strictly than by the usual readers: a quote that is never closed, or
//! closed in the middle of a cell, would swallow rows in silence.

use crate::DataError;
use crate::input::Input;

pub(crate) struct Rows {
    input: Input,
    delimiter: char,
}

impl Rows {
    pub fn new(input: Input, delimiter: char) -> Self {
        Self { input, delimiter }
    }

    /// The line on which the next row begins, and its cells; blank lines are passed over.
    pub fn next(&mut self) -> Result<Option<(usize, Vec<String>)>, DataError> {
        let (mut line, mut row) = (Vec::new(), String::new());
        let mut start = 0;
        while self.input.line(&mut line)? {
            let text = self.input.text(&line)?;
            if row.is_empty() {
                if text.trim().is_empty() {
                    continue;
                }
                start = self.input.lines;
            } else {
                row.push('\n');
            }
            row.push_str(text);
            self.input.check_length(row.len())?;
            // A line without quotes can neither open nor close a cell.
            if row.len() > text.len() && !text.contains('"') {
                continue;
            }
            match split(&row, self.delimiter) {
                Ok(cells) => return Ok(Some((start, cells))),
                Err(Broken::Open) => {}
                Err(Broken::Text) => {
                    let problem =
                        "text follows a closing quote: double the quotes inside of quoted cells";
                    return Err(self.input.error(start, problem));
                }
            }
        }
        match row.is_empty() {
            true => Ok(None),
            false => Err(self.input.error(start, "a quoted cell that begins here is never closed")),
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) enum Broken {
    /// A quoted cell goes on in the next line.
    Open,
    /// Text behind a closing quote.
    Text,
}

/// The cells of a row. In CSV a cell that begins with a quote ends with one, and quotes inside are
/// doubled; where tabs or bars separate cells, only what is quoted as a whole is unquoted.
pub(crate) fn split(row: &str, delimiter: char) -> Result<Vec<String>, Broken> {
    if matches!(delimiter, '\t' | '|') {
        return Ok(row.split(delimiter).map(unquoted).collect());
    }
    let (mut cells, mut rest) = (Vec::new(), row);
    loop {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            let Some((cell, more)) = rest.split_once(delimiter) else {
                cells.push(rest.to_string());
                return Ok(cells);
            };
            cells.push(cell.to_string());
            rest = more;
            continue;
        };
        let mut cell = String::new();
        loop {
            let (text, more) = quoted.split_once('"').ok_or(Broken::Open)?;
            cell.push_str(text);
            match more.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    quoted = more;
                }
                None => {
                    quoted = more;
                    break;
                }
            }
        }
        cells.push(cell);
        let after = quoted.trim_start_matches(' ');
        match after.strip_prefix(delimiter) {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(cells),
            None => return Err(Broken::Text),
        }
    }
}

fn unquoted(cell: &str) -> String {
    let inside = cell.trim().strip_prefix('"').and_then(|cell| cell.strip_suffix('"'));
    match inside {
        Some(inside) if !inside.replace("\"\"", "").contains('"') => inside.replace("\"\"", "\""),
        _ => cell.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str, delimiter: char) -> Result<Vec<Vec<String>>, DataError> {
        let bytes = std::io::Cursor::new(text.to_string().into_bytes());
        let mut rows = Rows::new(Input::new(Path::new("t"), bytes)?, delimiter);
        let mut found = Vec::new();
        while let Some((_, cells)) = rows.next()? {
            found.push(cells);
        }
        Ok(found)
    }

    #[test]
    fn quotes_are_read_strictly() {
        let text = "a,\"b, \"\"c\"\"\nd\"\r\n\n5\" nail,\"\"\n";
        assert_eq!(rows(text, ',').unwrap(), [["a", "b, \"c\"\nd"], ["5\" nail", ""]]);
        for (text, expected) in [
            ("a,\"b\nc,d\n", "line 1: a quoted cell that begins here is never closed"),
            ("x,y\na,\"b\nc,\"d\n", "line 2: text follows a closing quote"),
            ("a,\"b\"c\n", "line 1: text follows"),
        ] {
            let error = rows(text, ',').unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let text = "a\t\"b\" and \"c\"\t\"d \"\"e\"\"\"\n";
        assert_eq!(rows(text, '\t').unwrap(), [["a", "\"b\" and \"c\"", "d \"e\""]]);
    }

    proptest! {
        #[test]
        fn what_a_csv_writer_writes_is_read(
            table in prop::collection::vec(prop::collection::vec("[a \",\n;é]{0,6}", 2), 1..5),
            delimiter in prop_oneof![Just(','), Just(';')],
        ) {
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter as u8).from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            // A line of spaces alone is no row.
            prop_assume!(!text.lines().any(|line| line.trim().is_empty()));
            prop_assert_eq!(rows(&text, delimiter).unwrap(), table);
        }
    }
}
