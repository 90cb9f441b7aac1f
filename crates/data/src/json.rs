//! JSON that is read value by value, so that a file need not be in memory as a whole.
//!
//! Python's `json` writes what is no JSON: `NaN`, `Infinity` and halves of surrogate pairs. The first
//! two become empty objects, which are neither names nor captions, so that they disturb nothing
//! beside what is read and are refused where they are; a lone half becomes U+FFFD and is counted.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;

use crate::DataError;
use crate::input::{Input, NOT_UTF8};

pub(crate) struct JsonReader {
    pub input: Input,
    value: Vec<u8>,
    /// Halves of surrogate pairs that were replaced.
    pub lone_surrogates: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Plain,
    Text,
    Escape,
}

impl JsonReader {
    pub fn new(input: Input) -> Self {
        Self { input, value: Vec::new(), lone_surrogates: 0 }
    }

    /// The line of what comes next.
    pub fn line(&self) -> usize {
        self.input.lines + 1
    }

    pub fn error(&self, problem: impl std::fmt::Display) -> DataError {
        self.input.error(self.line(), problem)
    }

    /// The next byte that is no space, not consumed; `None` at the end of the file.
    pub fn peek(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            let chunk = self.input.fill()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | b'\r');
            let spaces = chunk.iter().take_while(|b| is_space(b)).count();
            let (next, ends) = (chunk.get(spaces).copied(), count_lines(&chunk[..spaces]));
            self.input.consume(spaces);
            self.input.lines += ends;
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Consumes `byte`, which [`peek`](Self::peek) has seen.
    pub fn skip(&mut self) {
        self.input.consume(1);
    }

    /// Whether there is another item before `close`; the commas between are consumed, and `close`.
    pub fn another(&mut self, close: char, first: &mut bool) -> Result<bool, DataError> {
        let mut next = self.peek()?;
        if next == Some(close as u8) {
            self.skip();
            return Ok(false);
        }
        if !std::mem::take(first) {
            if next != Some(b',') {
                return Err(self.unexpected(next, &format!("`,` or `{close}`")));
            }
            self.skip();
            next = self.peek()?;
        }
        match next {
            None | Some(b',' | b']' | b'}') => Err(self.unexpected(next, "a value")),
            _ => Ok(true),
        }
    }

    fn unexpected(&self, found: Option<u8>, expected: &str) -> DataError {
        match found {
            None => self.cut_off(),
            Some(b'\'') => self.error(
                "is not JSON, which has double quotes: Python prints single ones; write the file with json.dump",
            ),
            Some(_) => self.error(format_args!("is not JSON: expected {expected}")),
        }
    }

    fn cut_off(&self) -> DataError {
        self.error("the file ends in the middle of its JSON: it was cut off; get or write it anew")
    }

    /// The name of the next value of an object.
    pub fn key(&mut self) -> Result<String, DataError> {
        let next = self.peek()?;
        if next != Some(b'"') {
            return Err(self.unexpected(next, "a name in double quotes"));
        }
        let key = parse(self.value()?).map_err(|problem| self.error(problem))?;
        let next = self.peek()?;
        if next != Some(b':') {
            return Err(self.unexpected(next, "`:`"));
        }
        self.skip();
        Ok(key)
    }

    /// The next value as text that [`parse`] can read. Only its brackets and quotes are checked.
    pub fn value(&mut self) -> Result<&str, DataError> {
        self.value.clear();
        if self.peek()?.is_none() {
            return Err(self.cut_off());
        }
        let start = self.line();
        let (mut state, mut depth) = (State::Plain, 0usize);
        let (mut python, mut escapes) = (false, false);
        let mut done = false;
        while !done {
            let chunk = self.input.fill()?;
            if chunk.is_empty() {
                if depth > 0 || state != State::Plain || self.value.is_empty() {
                    return Err(self.cut_off());
                }
                break;
            }
            let (mut at, mut ends) = (0, 0);
            while at < chunk.len() && !done {
                match state {
                    State::Text => match memchr2(b'"', b'\\', &chunk[at..]) {
                        Some(offset) if chunk[at + offset] == b'"' => {
                            at += offset + 1;
                            state = State::Plain;
                            done = depth == 0;
                        }
                        Some(offset) => {
                            at += offset + 1;
                            state = State::Escape;
                        }
                        None => at = chunk.len(),
                    },
                    State::Escape => {
                        escapes |= chunk[at] == b'u';
                        at += 1;
                        state = State::Text;
                    }
                    State::Plain => {
                        let byte = chunk[at];
                        if depth == 0 && (at > 0 || !self.value.is_empty()) {
                            // A number or a word, which ends before what does not belong to it.
                            if matches!(
                                byte,
                                b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'
                            ) {
                                done = true;
                                break;
                            }
                        }
                        at += 1;
                        match byte {
                            b'"' => state = State::Text,
                            b'{' | b'[' => depth += 1,
                            b'}' | b']' => {
                                depth = depth.saturating_sub(1);
                                done = depth == 0;
                            }
                            b'\n' => ends += 1,
                            b'N' | b'I' => python = true,
                            _ => {}
                        }
                    }
                }
            }
            self.value.extend_from_slice(&chunk[..at]);
            self.input.consume(at);
            self.input.lines += ends;
            self.input.check_length(self.value.len())?;
        }
        if python {
            empty_not_finite(&mut self.value);
        }
        if escapes {
            self.lone_surrogates += replace_lone_surrogates(&mut self.value);
        }
        std::str::from_utf8(&self.value).map_err(|_| self.input.error(start, NOT_UTF8))
    }
}

fn count_lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count()
}

/// Reads a value, and says what is wrong without a place, which is that of the value in the file.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let whole = error.to_string();
        let end = whole.rfind(" at line ").unwrap_or(whole.len());
        whole[..end].to_string()
    })
}

/// The keys of an object and the text of their values.
pub(crate) fn fields(object: &str) -> Result<Vec<(Cow<'_, str>, &str)>, String> {
    let wrong = || "is not JSON: an object must be `{\"key\": value, ...}`".to_string();
    let mut rest = object.strip_prefix('{').ok_or_else(wrong)?.trim_ascii_start();
    let mut found = Vec::with_capacity(8);
    while !rest.starts_with('}') {
        if !found.is_empty() {
            rest = rest.strip_prefix(',').ok_or_else(wrong)?.trim_ascii_start();
        }
        if rest.starts_with('\'') {
            return Err(
                "is written with ' where JSON has \": write it with json.dumps, not str".into()
            );
        }
        let (key, after) = first_value(rest);
        let inside =
            key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).ok_or_else(wrong)?;
        let key = match inside.contains('\\') {
            true => Cow::Owned(parse::<String>(key)?),
            false => Cow::Borrowed(inside),
        };
        rest = after.trim_ascii_start().strip_prefix(':').ok_or_else(wrong)?.trim_ascii_start();
        let (value, after) = first_value(rest);
        if value.is_empty() {
            return Err(wrong());
        }
        found.push((key, value));
        rest = after.trim_ascii_start();
    }
    Ok(found)
}

/// Splits text behind its first value.
fn first_value(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0usize);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += 1;
                loop {
                    match memchr2(b'"', b'\\', &bytes[at..]) {
                        Some(offset) if bytes[at + offset] == b'"' => {
                            at += offset;
                            break;
                        }
                        Some(offset) => at = (at + offset + 2).min(bytes.len()),
                        None => return (text, ""),
                    }
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b':' if depth == 0 => return text.split_at(at),
            b'}' | b']' => depth -= 1,
            byte if depth == 0 && byte.is_ascii_whitespace() => return text.split_at(at),
            _ => {}
        }
        at += 1;
        if depth == 0 && matches!(byte, b'"' | b'}' | b']') {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// Puts an empty object of the same length for every `NaN`, `Infinity` and `-Infinity`.
fn empty_not_finite(value: &mut [u8]) {
    let (mut at, mut text) = (0, false);
    while at < value.len() {
        if text {
            match value[at] {
                b'\\' => at += 1,
                b'"' => text = false,
                _ => {}
            }
            at += 1;
            continue;
        }
        let rest = &value[at..];
        let words = [&b"NaN"[..], b"-Infinity", b"Infinity"];
        if let Some(word) = words.into_iter().find(|word| rest.starts_with(word)) {
            value[at..at + word.len()].fill(b' ');
            value[at] = b'{';
            value[at + word.len() - 1] = b'}';
            at += word.len();
        } else {
            text = value[at] == b'"';
            at += 1;
        }
    }
}

/// Writes U+FFFD for halves of surrogate pairs, and returns how many there were.
fn replace_lone_surrogates(value: &mut [u8]) -> usize {
    let code = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let (mut at, mut found) = (0, 0);
    while at < value.len() {
        if value[at] != b'\\' {
            at += 1;
            continue;
        }
        let pair = code(&value[at..]).map(|first| (first, value.get(at + 6..).and_then(code)));
        at += match pair {
            Some((0xd800..=0xdbff, Some(0xdc00..=0xdfff))) => 12,
            Some((0xd800..=0xdfff, _)) => {
                value[at..at + 6].copy_from_slice(b"\\ufffd");
                found += 1;
                6
            }
            _ => 2,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::path::Path;

    use super::*;

    fn values(text: &str) -> Result<Vec<String>, DataError> {
        let input = Input::new(Path::new("f"), Cursor::new(text.to_string().into_bytes()))?;
        let mut reader = JsonReader::new(input);
        let mut found = Vec::new();
        while reader.peek()?.is_some() {
            found.push(reader.value()?.to_string());
        }
        Ok(found)
    }

    #[test]
    fn values_end_where_they_end() {
        let text = "{\"a\": [1, \"}]\\\"\"]} 17 null \"x\"\n[]";
        let expected = ["{\"a\": [1, \"}]\\\"\"]}", "17", "null", "\"x\"", "[]"];
        assert_eq!(values(text).unwrap(), expected);
        for cut in ["{", "\"a", "[1, 2", "{\"a\": \"b\\\""] {
            assert!(
                values(cut).unwrap_err().to_string().contains("line 1: the file ends"),
                "{cut}"
            );
        }
    }

    #[test]
    fn objects_are_split_into_their_fields() {
        let text = r#"{"a" : [1, "}"], "b\"c":{"x": {}} ,"d":7,"é": "\\" }"#;
        let found = fields(text).unwrap();
        let found: Vec<(&str, &str)> = found.iter().map(|(key, value)| (&**key, *value)).collect();
        let expected =
            [("a", "[1, \"}\"]"), ("b\"c", "{\"x\": {}}"), ("d", "7"), ("é", "\"\\\\\"")];
        assert_eq!(found, expected);
        for wrong in
            ["{\"a\"}", "{\"a\": }", "{a: 1}", "{\"a\": 1 2}", "{\"a\": 1,}", "{\"a\": 1", "{,}"]
        {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_python_writes_is_read() {
        let text = r#"{"NaN": NaN, "I": [Infinity, -Infinity], "t": "NaN \" Infinity"}"#;
        let expected = r#"{"NaN": { }, "I": [{      }, {       }], "t": "NaN \" Infinity"}"#;
        assert_eq!(values(text).unwrap(), [expected]);
        for (text, expected) in [
            (r#""\ud83d\udc36""#, "🐶"),
            (r#""\ud83d x""#, "\u{fffd} x"),
            (r#""\udc36\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\udc36""#, "\u{fffd}🐶"),
            (r#""\\ud83d\u0041\\""#, "\\ud83dA\\"),
        ] {
            let value = &values(text).unwrap()[0];
            assert_eq!(parse::<String>(value).unwrap(), expected);
        }
    }
}
