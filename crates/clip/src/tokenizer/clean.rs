//! The cleaning of a caption before CLIP's BPE: the steps of open_clip's `SimpleTokenizer`.
//!
//! First ftfy's repairs (HTML references, C1 controls, ligatures, widths, curly quotes, line
//! breaks, terminal escapes, invisible controls, NFC), then two rounds of HTML decoding, single
//! spaces and lower case. Not done: ftfy's repair of mojibake ("sÃ³" for "só"), which guesses at
//! the encoding that damaged a text; such text is tokenised as it stands.

use tokenizers::NormalizedString;

use super::entities;

/// The text whose words CLIP's BPE splits.
pub(super) fn clean(caption: &str) -> String {
    let text = entities::unescape(&entities::unescape(&repair(caption)));
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// ftfy's `fix_text` less the mojibake: line by line, until nothing changes. Once a "<" shows that
/// the text may be real HTML, references are left alone.
fn repair(text: &str) -> String {
    let mut html = false;
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        html |= line.contains('<');
        let mut line = line.to_string();
        loop {
            let repaired = repair_once(&line, html);
            if repaired == line {
                break;
            }
            line = repaired;
        }
        out.push_str(&line);
    }
    out
}

/// One round of repairs, in ftfy's order.
fn repair_once(line: &str, html: bool) -> String {
    let mut text = if html { line.to_string() } else { entities::unescape_strict(line) };
    if !text.is_ascii() {
        text = text.chars().fold(String::new(), |mut out, character| {
            push_plain(&mut out, character);
            out
        });
    }
    text = text.replace("\r\n", "\n").replace('\r', "\n");
    if text.contains('\u{1b}') {
        text = without_terminal_escapes(&text);
    }
    text.retain(|character| !is_invisible(character));
    if text.is_ascii() { text } else { nfc(&text) }
}

/// Appends the plain form of a character: itself, unless it is typographic.
fn push_plain(out: &mut String, character: char) {
    match character {
        '\u{80}'..='\u{9f}' => {
            // A byte of Windows' own encoding; what it shows may be a quote in turn.
            let shown = entities::windows_1252(character as u8);
            if shown == character {
                // The five codes that Windows leaves open stay.
                out.push(character);
            } else {
                push_plain(out, shown);
            }
        }
        'Ĳ' => out.push_str("IJ"),
        'ĳ' => out.push_str("ij"),
        // The modifier apostrophe of this letter is straightened like any other.
        'ŉ' => out.push_str("'n"),
        'Ǳ' => out.push_str("DZ"),
        'ǲ' => out.push_str("Dz"),
        'ǳ' => out.push_str("dz"),
        'Ǆ' => out.push_str("DŽ"),
        'ǅ' => out.push_str("Dž"),
        'ǆ' => out.push_str("dž"),
        'Ǉ' => out.push_str("LJ"),
        'ǈ' => out.push_str("Lj"),
        'ǉ' => out.push_str("lj"),
        'Ǌ' => out.push_str("NJ"),
        'ǋ' => out.push_str("Nj"),
        'ǌ' => out.push_str("nj"),
        'ﬀ' => out.push_str("ff"),
        'ﬁ' => out.push_str("fi"),
        'ﬂ' => out.push_str("fl"),
        'ﬃ' => out.push_str("ffi"),
        'ﬄ' => out.push_str("ffl"),
        'ﬅ' => out.push_str("ſt"),
        'ﬆ' => out.push_str("st"),
        '\u{3000}' => out.push(' '),
        // Fullwidth Latin, halfwidth Katakana and Hangul.
        '\u{ff01}'..='\u{ffef}' => {
            let mut normal = NormalizedString::from(character.to_string());
            out.push_str(normal.nfkc().get());
        }
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        '\u{2028}' | '\u{2029}' => out.push('\n'),
        other => out.push(other),
    }
}

/// Drops the codes that colour a terminal: ESC, "[", digits and semicolons, one letter.
fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        out.push_str(&rest[..at]);
        let body = &rest[at + 2..];
        let end = (body.find(|c: char| !c.is_ascii_digit() && c != ';')).unwrap_or(body.len());
        if body[end..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            rest = &body[end + 1..];
        } else {
            out.push_str("\u{1b}[");
            rest = body;
        }
    }
    out + rest
}

/// Control characters that show nothing. Tabs, line breaks, joiners and tags stay.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}'
            | '\u{b}'
            | '\u{e}'..='\u{1f}'
            | '\u{7f}'
            | '\u{206a}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}'
    )
}

/// Letters and their combining marks as single characters where Unicode has them.
fn nfc(text: &str) -> String {
    NormalizedString::from(text).nfc().get().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected values are what open_clip's `_clean_lower` returns (ftfy 6.3).
    #[test]
    fn captions_come_out_plain() {
        for (caption, expected) in [
            ("  Two\t dogs\r\n&amp; a\u{a0}CAT ", "two dogs & a cat"),
            ("“Don’t” ﬁx ŉ Ĳs", "\"don't\" fix 'n ijs"),
            ("ＬＯＵＤ　ＮＯＩＳＥＳ Ｕﾀｰﾝ", "loud noises uターン"),
            ("cafe\u{301} \u{feff}bar\u{7f}", "café bar"),
            ("\u{1b}[36;44mblue\u{1b}[0m \u{1b}[?", "blue [?"),
            ("it\u{92}s\u{85}", "it's…"),
            ("<b>&EACUTE;</b>\n&EACUTE; &amp;lt;", "<b>&eacute;</b> &eacute; <"),
            ("ΟΔΟΣ İ", "οδος i\u{307}"),
            ("", ""),
        ] {
            assert_eq!(clean(caption), expected, "{caption}");
        }
    }
}
