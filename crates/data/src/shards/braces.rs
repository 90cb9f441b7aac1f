//! Shell's braces in names of shards: `{000..123}.tar`, `{a,b}.tar`.

use std::path::{Path, PathBuf};

use crate::DataError;

/// More shards than this are a slip of the pen.
const MAX: u64 = 1_000_000;

/// The files that a name with braces stands for; a name without stands for itself.
///
/// # Errors
/// [`DataError::File`] for braces that are not closed, are empty or stand for too many files.
pub fn expand(pattern: &Path) -> Result<Vec<PathBuf>, DataError> {
    let wrong = |problem: String| DataError::file(pattern, problem);
    // A file may be called so.
    if pattern.exists() {
        return Ok(vec![pattern.to_path_buf()]);
    }
    let text = pattern.to_str().ok_or_else(|| wrong("is no UTF-8".into()))?;
    let names = names(text).map_err(wrong)?;
    Ok(names.into_iter().map(PathBuf::from).collect())
}

fn names(pattern: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = pattern.split_once('{') else { return Ok(vec![pattern.into()]) };
    let (inside, after) =
        rest.split_once('}').ok_or("has a brace that is not closed, as in {000..123}.tar")?;
    let parts = match inside.split_once("..") {
        Some((first, last)) => range(first, last)?,
        None => inside.split(',').map(str::to_string).collect(),
    };
    let ends = names(after)?;
    if parts.len() as u64 * ends.len() as u64 > MAX {
        return Err(format!("stands for more than {MAX} files"));
    }
    let all = parts.iter().flat_map(|part| ends.iter().map(move |end| format!("{part}{end}")));
    Ok(all.map(|end| format!("{before}{end}")).collect())
}

/// Numbers from `first` to `last`, as wide as `first` is written.
fn range(first: &str, last: &str) -> Result<Vec<String>, String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parse = |text: &str| text.parse::<u64>().ok().filter(|_| is_number(text));
    match (parse(first), parse(last)) {
        (Some(from), Some(to)) if from <= to && to - from < MAX => {
            Ok((from..=to).map(|n| format!("{n:0width$}", width = first.len())).collect())
        }
        _ => Err(format!("has {{{first}..{last}}}, which must count up, as {{000..123}} does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_are_those_of_the_shell() {
        let all = |pattern: &str| names(pattern).unwrap().join(" ");
        assert_eq!(all("a.tar"), "a.tar");
        assert_eq!(all("{8..11}.tar"), "8.tar 9.tar 10.tar 11.tar");
        assert_eq!(all("d/{008..011}.tar"), "d/008.tar d/009.tar d/010.tar d/011.tar");
        assert_eq!(all("{a,b}-{0..1}.tar"), "a-0.tar a-1.tar b-0.tar b-1.tar");
        for wrong in ["{0..", "{3..1}.tar", "{a..c}.tar", "{0..99999999999}.tar", "{..}.tar"] {
            names(wrong).unwrap_err();
        }
        let many = "{0..99999}{0..99999}.tar";
        assert!(names(many).unwrap_err().contains("more than"));
    }
}
