//! CSV, TSV and the like.

use super::entry::{CERTAIN, EntryFields, either};
use super::records::{Records, texts_in_cell};
use super::{Format, ReadOptions};
use crate::DataError;
use crate::input::Input;
use crate::keys::Role;
use crate::rows::{Rows, split};

/// The columns of a table.
pub(super) struct Header {
    delimiter: char,
    columns: Vec<(String, Role)>,
    /// Whether the first line names the columns.
    is_line: bool,
}

impl Header {
    /// The header of a file that begins with `head`; `None` where its first line is none.
    ///
    /// # Errors
    /// Columns that were asked for and are not there.
    pub fn of(head: &str, options: &ReadOptions) -> Result<Option<Self>, String> {
        let first = head.lines().next().unwrap_or_default();
        let said = &options.columns;
        if said.are_numbers() {
            return Self::numbered(first, options).map(Some);
        }
        let headers = [',', '\t', '|', ';'].map(|delimiter| {
            let cells = split(first, delimiter).unwrap_or_default();
            let role = |cell: String| (cell.trim().to_string(), Role::of(&cell, said));
            Self { delimiter, columns: cells.into_iter().map(role).collect(), is_line: true }
        });
        if !said.is_empty() {
            let names = |header: &Self| -> Vec<String> {
                header.columns.iter().map(|(name, _)| name.clone()).collect()
            };
            let found = headers.iter().position(|header| said.missing(&names(header)).is_none());
            let Some(found) = found else {
                let missing =
                    headers.iter().filter_map(|header| said.missing(&names(header))).next();
                return Err(format!(
                    "the first line names no column `{}`, which --columns asks for",
                    missing.map_or("", String::as_str)
                ));
            };
            return Ok(headers.into_iter().nth(found));
        }
        Ok(headers.into_iter().find(|header| header.is_plain(options.captions_only)))
    }

    /// Whether the first line can only be a header.
    fn is_plain(&self, captions_only: bool) -> bool {
        let has = |is: &dyn Fn(Role) -> bool| self.columns.iter().any(|(_, role)| is(*role));
        let image = has(&|role| matches!(role, Role::Image(_) | Role::Counter(_)));
        let certain = has(&|role| matches!(role, Role::Caption(rank) if rank < CERTAIN));
        let caption = has(&|role| matches!(role, Role::Caption(_)));
        let one_word = self.columns.iter().all(|(name, _)| !name.contains(char::is_whitespace));
        (image && caption) || (captions_only && certain && one_word)
    }

    /// Columns by number, in a table that has no header.
    fn numbered(first: &str, options: &ReadOptions) -> Result<Self, String> {
        let number =
            |column: &Option<String>| column.as_ref().and_then(|c| c.parse::<usize>().ok());
        let said = &options.columns;
        let roles = [
            (number(&said.image), Role::Image(0)),
            (number(&said.caption), Role::Caption(0)),
            (number(&said.split), Role::Split),
        ];
        let last = roles.iter().filter_map(|(number, _)| *number).max().unwrap_or(1);
        for delimiter in ['\t', '|', ',', ';'] {
            let cells = split(first, delimiter).unwrap_or_default().len();
            if cells >= last.max(2) {
                let role = |n: usize| roles.iter().find(|(number, _)| *number == Some(n));
                let role = |n: usize| role(n).map_or(Role::Other, |(_, role)| *role);
                let columns = (1..=cells).map(|n| (n.to_string(), role(n))).collect();
                return Ok(Self { delimiter, columns, is_line: false });
            }
        }
        Err(format!("the first line has no column {last}, which --columns asks for"))
    }

    /// The file is about captions, and two columns cannot both be theirs.
    fn check(&self, captions_only: bool) -> Result<(), String> {
        let is_name = |role: &Role| matches!(role, Role::Image(_) | Role::Counter(_));
        let named = self.columns.iter().any(|(_, role)| is_name(role));
        if !named && !captions_only {
            return Err(
                "no column names the images: say which does with --columns image=NAME".into()
            );
        }
        if !self.columns.iter().any(|(_, role)| matches!(role, Role::Caption(_))) {
            return Err(
                "no column holds captions: say which does with --columns caption=NAME".into()
            );
        }
        let mut ranks: Vec<(bool, &String)> = Vec::new();
        for (name, role) in &self.columns {
            if let Role::Caption(rank) = role {
                ranks.push((*rank >= CERTAIN, name));
            }
        }
        ranks.sort_by_key(|(uncertain, _)| *uncertain);
        if let [(one, first), (other, second), ..] = ranks[..]
            && one == other
            && first != second
        {
            return Err(either(first, second));
        }
        let twice = (self.columns.iter().enumerate()).find(|(i, (name, role))| {
            *role != Role::Other && self.columns[..*i].iter().any(|(other, _)| other == name)
        });
        match twice {
            Some((_, (name, _))) => Err(format!("two columns are called `{name}`: rename one")),
            None => Ok(()),
        }
    }
}

pub(super) fn read(
    input: Input,
    header: Header,
    options: &ReadOptions,
    records: &mut Records,
) -> Result<Format, DataError> {
    let path = input.path.clone();
    header.check(options.captions_only).map_err(|problem| DataError::file(&path, problem))?;
    let mut rows = Rows::new(input, header.delimiter);
    if header.is_line {
        rows.next()?;
    }
    while let Some((line, cells)) = rows.next()? {
        let place = || format!("line {line}");
        if cells.len() != header.columns.len() {
            let problem = format!(
                "has {} cells and must have {}: quote captions that hold `{}`",
                cells.len(),
                header.columns.len(),
                header.delimiter.escape_debug()
            );
            records.add(Err(problem), place)?;
            continue;
        }
        let mut fields = EntryFields::default();
        for ((key, role), cell) in header.columns.iter().zip(cells) {
            let cell = cell.trim();
            match role {
                Role::Image(_) | Role::Counter(_) if !cell.is_empty() => {
                    fields.put_name(*role, key, cell.to_string());
                }
                Role::Caption(rank) => fields.put_captions(*rank, key, texts_in_cell(cell)),
                Role::Split if !cell.is_empty() => fields.split = Some(cell.to_string()),
                _ => {}
            }
        }
        let unnamed = options.captions_only.then(|| format!("line {line}"));
        records.add(fields.record(unnamed), place)?;
    }
    Ok(Format::Table { delimiter: header.delimiter })
}
