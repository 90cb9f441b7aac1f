//! HTML character references ("&amp;") in captions, decoded as Python's `html.unescape` and ftfy
//! do. Captions from the web are full of them, some escaped twice.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::assets;

/// Names without the ampersand, most of them with a semicolon, and the text they stand for.
fn table() -> &'static HashMap<String, String> {
    static TABLE: OnceLock<HashMap<String, String>> = OnceLock::new();
    TABLE.get_or_init(|| {
        // The table is part of the program; a test decodes with it.
        let text = assets::html_entities().unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let (name, codes) = line.split_once(' ')?;
                let characters = codes
                    .split(' ')
                    .filter_map(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
                Some((name.to_string(), characters.collect()))
            })
            .collect()
    })
}

/// Decodes every reference the way browsers do: the semicolon of old names may be missing
/// ("&ampx"), numbers outside Unicode become U+FFFD. Same results as Python's `html.unescape`.
pub(super) fn unescape(text: &str) -> String {
    replace(text, |rest| {
        let body = rest.get(1..)?;
        if let Some(number) = body.strip_prefix('#') {
            return numeric(number).map(|(value, used)| (value, used + 2));
        }
        let name = name_like(body);
        if name.is_empty() {
            return None;
        }
        if let Some(value) = table().get(name) {
            return Some((value.clone(), 1 + name.len()));
        }
        // The longest old name that starts here, of two characters or more.
        (2..name.len()).rev().find_map(|end| {
            let value = table().get(name.get(..end)?)?;
            Some((value.clone(), 1 + end))
        })
    })
}

/// Decodes the unambiguous references only, those that end in a semicolon, and takes names in
/// capitals ("&EACUTE;") for the capital letter where HTML gives them no meaning. This is ftfy's
/// rule, for text that is probably not HTML.
pub(super) fn unescape_strict(text: &str) -> String {
    replace(text, |rest| {
        let body = rest.get(1..)?;
        let digits = body.strip_prefix('#').unwrap_or(body);
        let length = digits
            .find(|c: char| !c.is_ascii_alphanumeric())
            .filter(|length| (1..=24).contains(length) && digits[*length..].starts_with(';'))?;
        let used = rest.len() - digits.len() + length + 1;
        let name = &rest[1..used];
        let value = if name.starts_with('#') {
            Some(unescape(&rest[..used])).filter(|value| !value.contains(';'))?
        } else if let Some(value) = table().get(name) {
            value.clone()
        } else {
            let capitals = !name.contains(|c: char| c.is_ascii_lowercase());
            let meant = table().get(&name.to_ascii_lowercase());
            let taken = unescape(&rest[..used]) != rest[..used];
            meant.filter(|_| capitals && !taken)?.to_uppercase()
        };
        Some((value, used))
    })
}

/// Copies `text`; at each ampersand `decode` sees the rest of the text and says what replaces how
/// many of its bytes, or leaves it as it is.
fn replace(text: &str, decode: impl Fn(&str) -> Option<(String, usize)>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let used = match decode(rest) {
            Some((value, used)) => {
                out.push_str(&value);
                used
            }
            None => {
                out.push('&');
                1
            }
        };
        rest = &rest[used..];
    }
    out + rest
}

/// The start of `body` that could be a name: up to 32 characters and a semicolon if one follows.
fn name_like(body: &str) -> &str {
    let stops = ['\t', '\n', '\u{c}', ' ', '<', '&', '#', ';'];
    let end = (body.char_indices().take(32))
        .find(|(_, c)| stops.contains(c))
        .map(|(at, _)| at)
        .or_else(|| body.char_indices().nth(32).map(|(at, _)| at))
        .unwrap_or(body.len());
    if end > 0 && body[end..].starts_with(';') { &body[..end + 1] } else { &body[..end] }
}

/// The text of a numeric reference and the bytes it takes after "&#".
fn numeric(number: &str) -> Option<(String, usize)> {
    let (digits, radix, prefix) = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => (hexadecimal, 16, 1),
        None => (number, 10, 0),
    };
    let length = (digits.find(|c: char| !c.is_digit(radix))).unwrap_or(digits.len());
    if length == 0 {
        return None;
    }
    // A number that does not fit is beyond Unicode in any case.
    let code = u32::from_str_radix(&digits[..length], radix).unwrap_or(u32::MAX);
    let semicolon = usize::from(digits[length..].starts_with(';'));
    Some((character(code), prefix + length + semicolon))
}

/// The text of one numbered character, by the HTML standard's exceptions.
fn character(code: u32) -> String {
    match code {
        0 => "\u{fffd}".to_string(),
        0x80..=0x9f => windows_1252(code as u8).to_string(),
        // Control characters and the codes that are never characters vanish.
        0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef => String::new(),
        code if code <= 0x10_ffff && code & 0xfffe == 0xfffe => String::new(),
        code => char::from_u32(code).unwrap_or('\u{fffd}').to_string(),
    }
}

/// What Windows shows for a byte from 0x80 to 0x9f; the five it leaves open stay control codes.
pub(super) fn windows_1252(byte: u8) -> char {
    const SHOWN: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    (SHOWN.chars().nth(usize::from(byte).wrapping_sub(0x80))).unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected values are what Python 3's html.unescape and ftfy 6.3 return.
    #[test]
    fn references_decode_as_in_a_browser() {
        for (text, expected) in [
            ("a &amp; b &amp;amp; c", "a & b &amp; c"),
            ("&lt;b&gt; &LT &ltx &notin; &notit;", "<b> < <x ∉ ¬it;"),
            ("&#65;&#x41&#X3bb; &#0; &#x80; &#1; &#xD800; &#99999999999;", "AAλ � €  � �"),
            ("&; && &#; &#x; &unknown; &", "&; && &#; &#x; &unknown; &"),
            ("&NewLine;|&Tab;|&nbsp;|&fjlig;", "\n|\t|\u{a0}|fj"),
            ("&eacute&Eacute;tude", "éÉtude"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }

    #[test]
    fn strict_decoding_needs_the_semicolon() {
        for (text, expected) in [
            ("this&not that &amp; R&D &ampx", "this&not that & R&D &ampx"),
            ("P&EACUTE;REZ &nTILDE; BUNDESSTRA&SZLIG;E", "PÉREZ &nTILDE; BUNDESSTRASSE"),
            ("&COPYSR; &#x2019; &#12ab; &#59;", "&COPYSR; ’ &#12ab; &#59;"),
        ] {
            assert_eq!(unescape_strict(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_decodes_without_a_panic(text in "(&#?x?[a-zA-Z0-9é;]{0,40}|.){0,20}") {
            unescape(&text);
            unescape_strict(&text);
        }
    }
}
