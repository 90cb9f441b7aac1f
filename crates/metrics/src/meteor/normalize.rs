//! How METEOR cuts English text into words (its option `-norm`).
//!
//! Most rules look at one character and its two neighbours. As in a search with a regular
//! expression, a neighbour that one replacement has used is not looked at again by the same rule.

use rustc_hash::FxHashMap;

/// Words after which a full stop ends no sentence.
#[derive(Debug, Default)]
pub(crate) struct Normalizer {
    prefixes: FxHashMap<String, Prefix>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Prefix {
    Always,
    BeforeNumbers,
}

impl Normalizer {
    /// Reads a list of prefixes, one a line, `#` starting a comment.
    pub(crate) fn new(list: &str) -> Self {
        let prefix = |line: &str| {
            let mut fields = line.split_ascii_whitespace();
            let word = fields.next().filter(|word| !word.starts_with('#'))?;
            let numeric = fields.next() == Some("#NUMERIC_ONLY#");
            let kind = if numeric { Prefix::BeforeNumbers } else { Prefix::Always };
            Some((word.to_string(), kind))
        };
        Self { prefixes: list.lines().filter_map(prefix).collect() }
    }

    /// The text in lower case with spaces between its words.
    pub(crate) fn normalize(&self, text: &str) -> String {
        let mut line = separate_symbols(text.trim_matches(is_control));
        line = hide_dots(line);
        line = between(line, is_not_digit, ',', is_not_digit, [" ", " "]);
        line = between(line, is_digit, ',', is_not_digit, [" ", " "]);
        line = between(line, is_not_digit, ',', is_digit, [" ", " "]);
        line = line.replace(['`', '‘', '’'], "'");
        line = line.replace(['“', '”'], " \" ").replace("''", " \" ");
        line = line.replace('–', "-").replace("--", "-");
        line = rejoin(line, |c| is_alphanumeric(c) || c == '.', '-', is_alphanumeric, " ");
        let (letter, other) = (is_letter, |c| !is_letter(c));
        line = between(line, other, '\'', other, [" ", " "]);
        line = between(line, |c| !is_letter(c) && !is_digit(c), '\'', letter, [" ", " "]);
        line = between(line, letter, '\'', other, [" ", " "]);
        line = between(line, letter, '\'', letter, [" ", ""]);
        line = between(line, is_digit, '\'', |c| c == 's', [" ", ""]);
        line = show_dots(self.full_stops(&line));
        line.replace(is_space, " ").trim_matches(is_control).to_lowercase()
    }

    /// Cuts the full stop off a word that ends in one, unless the word is an abbreviation.
    fn full_stops(&self, line: &str) -> String {
        let mut found = String::with_capacity(line.len() + 8);
        let mut tokens = line.split_ascii_whitespace().peekable();
        while let Some(token) = tokens.next() {
            let mut before = |allowed: fn(char) -> bool| {
                tokens.peek().is_some_and(|next: &&str| next.starts_with(allowed))
            };
            match token.strip_suffix('.').filter(|prefix| !prefix.is_empty()) {
                None => found += token,
                Some(prefix) => {
                    let kind = self.prefixes.get(prefix);
                    if prefix.contains('.') && prefix.contains(is_letter) {
                        found.extend(token.split('.'));
                    } else if kind == Some(&Prefix::Always)
                        || before(|c| c.is_ascii_lowercase())
                        || (kind == Some(&Prefix::BeforeNumbers) && before(is_digit))
                    {
                        found += token;
                    } else {
                        found += prefix;
                        found += " .";
                    }
                }
            }
            found.push(' ');
        }
        found
    }
}

/// Puts spaces around whatever is no letter, digit, space, or one of `. ' \` , - ‘ ’`.
fn separate_symbols(text: &str) -> String {
    let mut line = String::with_capacity(text.len() + 8);
    line.push(' ');
    for c in text.chars() {
        let stays = is_alphanumeric(c)
            || matches!(c, ' ' | '\t' | '\n' | '\x0B' | '\x0C' | '\r')
            || matches!(c, '.' | '\'' | '`' | ',' | '-' | '‘' | '’');
        if stays {
            line.push(c);
        } else {
            line.extend([' ', c, ' ']);
        }
    }
    line.push(' ');
    line
}

/// What stands for two dots, so that they aren't taken for a full stop; `DOT` before it for each
/// further one.
const DOTS: &str = "DOTMULTI";

fn hide_dots(line: String) -> String {
    if !line.contains("..") && !line.contains(DOTS) {
        return line;
    }
    let mut found = String::with_capacity(line.len() + 32);
    let mut rest = line.as_str();
    while let Some(start) = rest.find("..") {
        let dots = rest[start..].bytes().take_while(|&byte| byte == b'.').count();
        found += &rest[..start];
        found += " ";
        found += DOTS;
        found += &rest[start + 1..start + dots];
        rest = &rest[start + dots..];
    }
    found += rest;
    let (last, more) = (format!("{DOTS}."), format!("DOT{DOTS}"));
    while found.contains(&last) {
        let mut next = String::with_capacity(found.len() + 32);
        let mut rest = found.as_str();
        while let Some(start) = rest.find(&last) {
            let end = start + last.len();
            next += &rest[..start];
            match rest[end..].chars().next() {
                Some(c) if c != '.' => {
                    next += &more;
                    next.push(' ');
                    next.push(c);
                    rest = &rest[end + c.len_utf8()..];
                }
                _ => {
                    next += &last;
                    rest = &rest[end..];
                }
            }
        }
        next += rest;
        found = next.replace(&last, &more);
    }
    found
}

fn show_dots(mut line: String) -> String {
    let (last, more) = (format!("{DOTS}."), format!("DOT{DOTS}"));
    while line.contains(&more) {
        line = line.replace(&more, &last);
    }
    line.replace(DOTS, ".")
}

/// Puts something before and after `middle` where it has such neighbours.
fn between(
    line: String,
    left: impl Fn(char) -> bool,
    middle: char,
    right: impl Fn(char) -> bool,
    around: [&str; 2],
) -> String {
    rejoin(line, left, middle, right, &format!("{}{middle}{}", around[0], around[1]))
}

/// Replaces `middle` where it has such neighbours.
fn rejoin(
    line: String,
    left: impl Fn(char) -> bool,
    middle: char,
    right: impl Fn(char) -> bool,
    replacement: &str,
) -> String {
    if !line.contains(middle) {
        return line;
    }
    let mut found = String::with_capacity(line.len() + 8);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        found.push(c);
        let mut ahead = chars.clone();
        if left(c)
            && ahead.next() == Some(middle)
            && let Some(after) = ahead.next().filter(|&after| right(after))
        {
            found += replacement;
            found.push(after);
            chars = ahead;
        }
    }
    found
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_not_digit(c: char) -> bool {
    !c.is_ascii_digit()
}

fn is_alphanumeric(c: char) -> bool {
    is_digit(c) || is_letter(c)
}

/// Latin and Cyrillic letters, by their blocks.
fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || matches!(c,
            'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ž' | '\u{400}'..='\u{527}'
            | '\u{A640}'..='\u{A66E}' | '\u{A67E}'..='\u{A697}' | '\u{1D00}'..='\u{1D7F}')
}

/// Spaces that are no ASCII.
fn is_space(c: char) -> bool {
    matches!(c, '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{A0}')
}

/// What is cut off at the ends of a line.
fn is_control(c: char) -> bool {
    c <= ' '
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_stops_leave_words_that_are_no_abbreviations() {
        let normalizer = Normalizer::new("# Comment\n\nMr\nNo #NUMERIC_ONLY#\n");
        let cases = [
            ("The end.", "the end ."),
            ("Mr. Smith", "mr. smith"),
            ("No. 5 or No. Five", "no. 5 or no . five"),
            ("the u.s. army", "the us army"),
            ("wait... what", "wait ... what"),
            ("a man.with 1.5", "a man.with 1.5"),
        ];
        for (text, expected) in cases {
            let found = normalizer.normalize(text);
            assert_eq!(found.split_whitespace().collect::<Vec<_>>().join(" "), expected);
        }
    }

    #[test]
    fn a_neighbour_is_used_once() {
        assert_eq!(rejoin("a-b-c".into(), is_letter, '-', is_letter, " "), "a b-c");
    }
}
