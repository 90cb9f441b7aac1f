//! What a file is, seen from how it begins.

use std::fmt;

use super::ReadOptions;
use super::table::Header;
use crate::DataError;
use crate::input::Input;
use crate::names::without_picture_ending;

/// Formats of captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// `{"images": [{"filename": "7.jpg", "split": "train", "sentences": [{"raw": "..."}]}]}`
    Karpathy,
    /// `{"images": [{"id": 7, "file_name": "7.jpg"}], "annotations": [{"image_id": 7, "caption": "..."}]}`
    CocoAnnotations,
    /// `[{"image_id": 7, "caption": "..."}]`, as COCO's results.
    JsonList,
    /// `{"7.jpg": "..."}` or `{"7.jpg": ["...", "..."]}`, as clipscore's.
    JsonByName,
    /// One object in each line.
    JsonLines,
    /// `["...", "..."]`: captions without images.
    JsonTexts,
    /// CSV, TSV and the like, with a header that names the columns.
    Table {
        /// What stands between cells: `,`, tab, `|` or `;`.
        delimiter: char,
    },
    /// `7.jpg#0`, tab, caption: Flickr30k's `.token`.
    Token,
    /// Picture, tab, caption: what `finecap caption` prints.
    Pairs,
    /// Captions without images, one a line.
    Lines,
    /// A folder of pictures with a `.txt` beside each.
    Folder,
    /// Webdataset's tar files: `7.jpg` with `7.txt` or `7.json`.
    Shards,
}

/// What the reader says it can read, in every refusal.
const READABLE: &str = "captions are read from Karpathy's and COCO's JSON, COCO results, JSON of \
    captions by name, JSON lines, CSV and TSV with a header, Flickr's .token, lines of picture, tab, \
    caption, folders of pictures with .txt files, and tar shards";

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Karpathy => "Karpathy's JSON",
            Self::CocoAnnotations => "COCO annotations",
            Self::JsonList => "a JSON list of objects (COCO results)",
            Self::JsonByName => "JSON of captions by name",
            Self::JsonLines => "JSON lines",
            Self::JsonTexts => "a JSON list of captions",
            Self::Table { delimiter: '\t' } => "TSV with a header",
            Self::Table { delimiter: ',' } => "CSV with a header",
            Self::Table { delimiter } => {
                return write!(f, "a table with a header, separated by `{delimiter}`");
            }
            Self::Token => "Flickr's .token (picture#number, tab, caption)",
            Self::Pairs => "lines of picture, tab, caption",
            Self::Lines => "plain text, one caption a line",
            Self::Folder => "a folder of pictures with .txt files",
            Self::Shards => "tar shards of pictures with .txt or .json files",
        })
    }
}

/// How a file has to be read.
pub(super) enum Reading {
    Json,
    Table(Header),
    Token,
    Pairs,
    Lines,
}

impl Reading {
    /// Looks at the beginning of a file.
    ///
    /// # Errors
    /// For a file that is none of the formats.
    pub fn of(input: &Input, options: &ReadOptions) -> Result<Self, DataError> {
        let refuse = |problem: String| DataError::file(&input.path, problem);
        let head = whole_characters(input.head());
        let Ok(head) = std::str::from_utf8(head) else {
            return Err(refuse(crate::input::NOT_UTF8.into()));
        };
        // A tab may follow an empty name.
        let head = head.trim_start_matches([' ', '\r', '\n']);
        if head.trim().is_empty() {
            return Err(refuse("is empty".into()));
        }
        if head.trim_start().starts_with(['{', '[']) {
            return Ok(Self::Json);
        }
        if let Some(header) = Header::of(head, options).map_err(refuse)? {
            return Ok(Self::Table(header));
        }
        let lines: Vec<&str> = first_lines(head, input.head().len() < (1 << 16));
        if lines.iter().all(|line| super::lines::token(line).is_some()) {
            return Ok(Self::Token);
        }
        let most = |is: &dyn Fn(&&&str) -> bool| 2 * lines.iter().filter(is).count() > lines.len();
        if lines[0].contains('\t') {
            let (first, second): (Vec<&str>, Vec<&str>) =
                lines.iter().filter_map(|line| line.split_once('\t')).unzip();
            let pictures = |cells: &[&str]| {
                2 * cells.iter().filter(|cell| is_picture(cell)).count() > cells.len()
            };
            if pictures(&second) && !pictures(&first) {
                return Err(refuse(
                    "seems to have captions before the pictures: say so with --columns image=2,caption=1".into(),
                ));
            }
            return Ok(Self::Pairs);
        }
        if !options.captions_only {
            return Err(refuse(format!("is no file of captions that finecap knows: {READABLE}")));
        }
        let looks_like = if most(&|line| {
            is_picture(line.split([',', ';', '|', ' ', '\t']).next().unwrap_or_default())
        }) {
            "names of pictures"
        } else if most(&|line| starts_with_number_cell(line)) {
            "a table without a header"
        } else if most(&|line| {
            line.contains("\": ") || (line.starts_with('"') && line.ends_with("\","))
        }) {
            "pieces of JSON"
        } else {
            return Ok(Self::Lines);
        };
        Err(refuse(format!(
            "is not plain text with one caption a line, but {looks_like}: {READABLE}; for a table \
             without a header, say --columns image=1,caption=2"
        )))
    }
}

/// All but a last character that was cut through.
fn whole_characters(head: &[u8]) -> &[u8] {
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        _ => head,
    }
}

/// Lines that are not blank; the last one, which may be cut, only where it is all there is.
fn first_lines(head: &str, whole: bool) -> Vec<&str> {
    let mut lines: Vec<&str> =
        head.lines().filter(|line| !line.trim().is_empty()).take(100).collect();
    if !whole && lines.len() > 1 && lines.len() < 100 {
        lines.pop();
    }
    lines
}

fn is_picture(cell: &str) -> bool {
    let cell = cell.trim().trim_matches('"');
    without_picture_ending(cell).len() < cell.len()
        || cell.starts_with("http://")
        || cell.starts_with("https://")
}

fn starts_with_number_cell(line: &str) -> bool {
    let rest = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
    rest.len() < line.trim_start().len() && rest.starts_with([',', ';', '|'])
}
