//! What CLIP's tokenizer does to a text before it looks for words.

/// Undoes HTML escapes (twice, since scraped text is often escaped twice) and plain typography:
/// curly quotes become straight ones, full-width forms and ligatures ordinary letters, control
/// characters vanish. Runs of white space become one space; the text is lower-cased.
///
/// The reference calls the library ftfy, which also repairs text that was decoded with the wrong
/// character set ("donâ€™t"). That repair is not done here.
pub(crate) fn clean(text: &str) -> String {
    let plain: String = text.chars().flat_map(typography).collect();
    let once = htmlize::unescape(plain.as_str());
    let twice = htmlize::unescape(once.as_ref());
    twice.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The plain spelling of one character.
fn typography(c: char) -> impl Iterator<Item = char> {
    let plain: &[char] = match c {
        '\u{2018}' | '\u{2019}' | '\u{201A}' | '\u{201B}' | '\u{2032}' => &['\''],
        '\u{201C}' | '\u{201D}' | '\u{201E}' | '\u{201F}' => &['"'],
        '\u{FB00}' => &['f', 'f'],
        '\u{FB01}' => &['f', 'i'],
        '\u{FB02}' => &['f', 'l'],
        '\u{FB03}' => &['f', 'f', 'i'],
        '\u{FB04}' => &['f', 'f', 'l'],
        '\u{FB05}' => &['s', 't'],
        '\u{FB06}' => &['s', 't'],
        '\u{3000}' => &[' '],
        '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}' | '\u{FEFF}' => &[],
        _ => &[],
    };
    let full_width = ('\u{FF01}'..='\u{FF5E}').contains(&c);
    let kept = match c {
        _ if !plain.is_empty() => None,
        _ if full_width => char::from_u32(c as u32 - 0xFEE0),
        '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}' | '\u{FEFF}' => None,
        c => Some(c),
    };
    plain.iter().copied().chain(kept)
}
