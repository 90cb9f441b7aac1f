//! Word recall of FineCapEval (Cho et al. 2022): how many words of what annotators noted about an
//! image a caption has.
//!
//! FineCapEval has five annotators per image, each with phrases for the background, the objects
//! and their relations. A column is scored image by image over the phrases of all its annotators:
//! split the cells with [`fine_phrases`], leave out rows in which a column
//! [is missing](fine_cell_is_missing), and give the rest to [`fine_recall`].

use std::collections::HashSet;

use crate::porter::porter_stem;

/// When a caption has a word of a phrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// As the released scorer does: the stem of the word stands somewhere in the caption as it is,
    /// if only as part of a longer word. "red car" is then found in "a scarred card", and
    /// "ponies", with the stem "poni", is not found in "a pony". Only these numbers can be
    /// compared with published ones.
    Reference,
    /// The caption has a word with the same stem.
    Strict,
}

/// Share of the words of each phrase that a caption has, averaged over the phrases; `None` without
/// phrases.
///
/// The phrases are those of all annotators of an image. One that has no words, such as "--",
/// counts as not found, as in the released scorer, which also scores an image without phrases 0
/// if it has a row at all.
///
/// ```
/// use finecap_metrics::{Match, fine_recall};
///
/// let caption = "a dog on a tablecloth";
/// let phrases = ["two small dogs", "a wooden table"];
/// // The stems "dog", "a" and "tabl" are somewhere in the caption, but no word has the last.
/// let reference = fine_recall(caption, &phrases, Match::Reference);
/// assert_eq!(reference, Some((1.0 / 3.0 + 2.0 / 3.0) / 2.0));
/// let strict = fine_recall(caption, &phrases, Match::Strict);
/// assert_eq!(strict, Some((1.0 / 3.0 + 1.0 / 3.0) / 2.0));
/// ```
pub fn fine_recall(caption: &str, phrases: &[impl AsRef<str>], how: Match) -> Option<f64> {
    let said: HashSet<String> = match how {
        Match::Reference => HashSet::new(),
        Match::Strict => stems(caption).collect(),
    };
    let found = |word: &String| match how {
        Match::Reference => caption.contains(word.as_str()),
        Match::Strict => said.contains(word),
    };
    let share = |phrase: &str| {
        let words: Vec<String> = stems(phrase).collect();
        words.iter().filter(|word| found(word)).count() as f64 / words.len().max(1) as f64
    };
    let sum: f64 = phrases.iter().map(|phrase| share(phrase.as_ref())).sum();
    (!phrases.is_empty()).then(|| sum / phrases.len() as f64)
}

/// The phrases of a cell of FineCapEval, in lower case: what the two characters `\;` separate.
///
/// As in the released scorer, what has fewer than two characters is left out, and spaces count.
///
/// ```
/// let phrases = finecap_metrics::fine_phrases(r"A white wall\;a\;tall Trees");
/// assert_eq!(phrases, ["a white wall", "tall trees"]);
/// ```
pub fn fine_phrases(cell: &str) -> Vec<String> {
    let lower = cell.to_lowercase();
    let phrases = lower.split(r"\;").filter(|phrase| phrase.chars().nth(1).is_some());
    phrases.map(str::to_owned).collect()
}

/// Whether a cell of FineCapEval counts as empty; the released scorer skips rows with such a cell.
///
/// The scorer reads the file with pandas, which takes a few words for a missing value too, so that
/// an annotator who answers "N/A" is not heard. "None", which pandas takes for missing since its
/// version 2, is a phrase here, as it was when the numbers of the paper were made.
pub fn fine_cell_is_missing(cell: &str) -> bool {
    const MISSING: [&str; 18] = [
        "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
        "<NA>", "N/A", "NA", "NULL", "NaN", "n/a", "nan", "null",
    ];
    MISSING.contains(&cell)
}

/// Stems of the tokens without anything but ASCII letters and digits; what is stripped to nothing is
/// gone. Stripping comes last, as in the released scorer, so that a full stop that is still on a
/// word hides the ending: "dogs." stays "dogs".
fn stems(text: &str) -> impl Iterator<Item = String> {
    let tokens = nltk_tokens(text).into_iter();
    let stems = tokens.map(|token| {
        porter_stem(&token).chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    });
    stems.filter(|stem| !stem.is_empty())
}

/// Tokens of one sentence as NLTK's `word_tokenize` gives them.
///
/// They are Penn Treebank tokens: punctuation and endings such as "'s" and "n't" are tokens of
/// their own, double quotes become "``" and "''", and only the last full stop of the text comes off
/// its word. `word_tokenize` splits text into sentences first, with a trained model; text of
/// several sentences therefore keeps the inner full stops here.
///
/// The tokens are the words between spaces after spaces were put in. Each step sees the spaces of
/// those before it, and the oddities of the original (a comma behind a comma stays on the next
/// word) are kept, for they change scores. The rules are those of NLTK 3.10; NLTK 3.7 left dashes
/// other than "--" inside words. Only separators among the control characters, digits and marks of
/// other scripts beside punctuation, a long s, and a contraction glued to "'tis" can come out
/// differently.
///
/// ```
/// let tokens = finecap_metrics::nltk_tokens("the dog's owner can't (really) wait.");
/// let expected = ["the", "dog", "'s", "owner", "ca", "n't", "(", "really", ")", "wait", "."];
/// assert_eq!(tokens, expected);
/// ```
pub fn nltk_tokens(sentence: &str) -> Vec<String> {
    // A double quote opens at the start of the text and behind a space or a bracket.
    let start = sentence.strip_prefix('"').map(|rest| format!("``{rest}"));
    let text: Vec<char> = start.as_deref().unwrap_or(sentence).chars().collect();
    let text = pad(&text, |here| match here {
        ['`', '`', ..] => 2,
        ['`' | '«' | '“' | '‘' | '„', ..] => 1,
        _ => 0,
    });
    let text = rewrite(&text, opening_double_quote);
    let text = rewrite(&text, opening_apostrophe);
    let text = final_full_stop(text);
    let text = rewrite(&text, comma_or_colon);
    let text = pad(&text, punctuation);
    let text = rewrite(&text, closing_quote);
    let text = pad(&text, bracket_or_star);
    let text = rewrite(&text, closing_double_quote);
    let plain = |c: char| if c.is_whitespace() { ' ' } else { c };
    let text: Vec<char> = text.into_iter().chain([' ']).map(plain).collect();
    let text = rewrite(&text, ending(&["'s", "'S", "'m", "'M", "'d", "'D", "'"]));
    let text = rewrite(&text, ending(&["'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"]));
    let text = rewrite(&text, contraction);
    text.split(|c| *c == ' ').filter(|t| !t.is_empty()).map(|t| t.iter().collect()).collect()
}

/// Goes through a text with a rule that is given the text, a place in it and the output: it may
/// write something else and give the number of characters that this replaces, or give 0.
fn rewrite(text: &[char], rule: impl Fn(&[char], usize, &mut Vec<char>) -> usize) -> Vec<char> {
    let mut output = Vec::with_capacity(text.len() + 16);
    let mut at = 0;
    while at < text.len() {
        let used = rule(text, at, &mut output);
        if used == 0 {
            output.push(text[at]);
        }
        at += used.max(1);
    }
    output
}

/// Puts spaces around what is found: `length` is given the text from a place on and gives the
/// number of characters there that belong together, or 0.
fn pad(text: &[char], length: impl Fn(&[char]) -> usize) -> Vec<char> {
    rewrite(text, |text, at, output| {
        let length = length(&text[at..]);
        if length > 0 {
            spaced(output, &text[at..at + length]);
        }
        length
    })
}

fn spaced(output: &mut Vec<char>, token: &[char]) {
    output.push(' ');
    output.extend(token);
    output.push(' ');
}

fn opening_double_quote(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    let length = double_quote(&text[at..]);
    let open = matches!(before(text, at), Some(' ' | '(' | '[' | '{' | '<'));
    if length == 0 || !open {
        return 0;
    }
    spaced(output, &['`', '`']);
    length
}

fn closing_double_quote(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    let length = double_quote(&text[at..]);
    if length > 0 {
        spaced(output, &['\'', '\'']);
    }
    length
}

fn double_quote(here: &[char]) -> usize {
    match here {
        ['"', ..] => 1,
        ['\'', '\'', ..] => 2,
        _ => 0,
    }
}

/// An apostrophe in front of a word comes off it, unless the word is an ending such as "s".
fn opening_apostrophe(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    const ENDINGS: [&str; 8] = ["re", "ve", "ll", "m", "t", "s", "d", "n"];
    let rest = &text[at + 1..];
    if text[at] != '\''
        || before(text, at).is_some_and(word)
        || !rest.first().is_some_and(|c| word(*c))
    {
        return 0;
    }
    let ends = |length: usize| !rest.get(length).is_some_and(|c| word(*c));
    if ENDINGS.iter().any(|ending| starts(rest, ending) && ends(ending.len())) {
        return 0;
    }
    output.extend(['\'', ' ']);
    1
}

/// Takes the full stop off that ends the text, whatever brackets and quotes follow it, unless it
/// stands alone or behind another one.
fn final_full_stop(mut text: Vec<char>) -> Vec<char> {
    let Some(stop) = text.iter().rposition(|c| *c == '.') else {
        return text;
    };
    let closer = |c: &char| matches!(c, ']' | ')' | '}' | '>' | '"' | '\'' | '»' | '”' | '’' | ' ');
    let mut behind = text[stop + 1..].iter().skip_while(|c| closer(c));
    if stop > 0 && text[stop - 1] != '.' && behind.all(|c| c.is_whitespace()) {
        text.splice(stop..=stop, [' ', '.', ' ']);
    }
    text
}

/// A comma or a colon comes off, unless a digit follows. One directly behind it is passed over,
/// unless it ends the text.
fn comma_or_colon(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    if !matches!(text[at], ',' | ':') {
        return 0;
    }
    match &text[at + 1..] {
        [digit, ..] if digit.is_ascii_digit() => 0,
        [',' | ':'] | [',' | ':', '\n'] => {
            spaced(output, &text[at..=at]);
            1
        }
        [second @ (',' | ':'), ..] => {
            spaced(output, &text[at..=at]);
            output.push(*second);
            2
        }
        _ => {
            spaced(output, &text[at..=at]);
            1
        }
    }
}

/// The length of a piece of punctuation that is a token wherever it stands.
fn punctuation(here: &[char]) -> usize {
    match here {
        ['.', '.', ..] => here.iter().take_while(|c| **c == '.').count(),
        [';' | '@' | '#' | '$' | '%' | '&' | '?' | '!' | '\u{2012}'..='\u{2015}', ..] => 1,
        _ => 0,
    }
}

/// The rest of [`punctuation`]: a quote in front of one of these does not come off as early.
fn bracket_or_star(here: &[char]) -> usize {
    match here {
        ['-', '-', ..] => 2,
        ['*' | '[' | ']' | '(' | ')' | '{' | '}' | '<' | '>' | '»' | '”' | '’', ..] => 1,
        _ => 0,
    }
}

/// A single quote in front of a space comes off, so that an ending before it can come off too.
fn closing_quote(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    let free = !matches!(before(text, at), None | Some('\''));
    if !free || !matches!(text[at..], ['\'', ' ', ..]) {
        return 0;
    }
    spaced(output, &['\'']);
    1
}

/// A rule that takes one of some endings off the word in front of it.
fn ending(endings: &[&str]) -> impl Fn(&[char], usize, &mut Vec<char>) -> usize {
    move |text, at, output| {
        if matches!(before(text, at), None | Some(' ' | '\'')) {
            return 0;
        }
        let found = endings
            .iter()
            .map(|ending| &text[at..text.len().min(at + ending.len())])
            .zip(endings)
            .find(|(here, ending)| {
                here.iter().copied().eq(ending.chars()) && text.get(at + ending.len()) == Some(&' ')
            });
        found.map_or(0, |(here, _)| {
            spaced(output, here);
            here.len()
        })
    }
}

/// Words that are two tokens: where they are split depends on the word.
fn contraction(text: &[char], at: usize, output: &mut Vec<char>) -> usize {
    const WORDS: [(&str, usize); 8] = [
        ("cannot", 3),
        ("d'ye", 1),
        ("gimme", 3),
        ("gonna", 3),
        ("gotta", 3),
        ("lemme", 3),
        ("more'n", 4),
        ("wanna", 3),
    ];
    let here = &text[at..];
    let whole = |found: &str| match here.get(found.len()) {
        // The original asks for a space here and for the end of the word elsewhere.
        next if found == "wanna" => next == Some(&' '),
        next => !next.is_some_and(|c| word(*c)),
    };
    let found = WORDS.iter().find(|(found, _)| starts(here, found) && whole(found));
    match found {
        Some((found, split)) if !before(text, at).is_some_and(word) => {
            spaced(output, &here[..*split]);
            spaced(output, &here[*split..found.len()]);
            found.len()
        }
        _ => 0,
    }
}

/// Whether a text starts with an ASCII word in lower case, capitals or not.
fn starts(text: &[char], with: &str) -> bool {
    let mut letters = text.iter();
    with.chars().all(|c| letters.next().is_some_and(|letter| letter.to_ascii_lowercase() == c))
}

fn before(text: &[char], at: usize) -> Option<char> {
    at.checked_sub(1).map(|previous| text[previous])
}

/// A character of a word, near enough to what the regular expressions of NLTK take for one.
fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens are those of nltk 3.10.
    #[test]
    fn tokens_are_those_of_nltk() {
        let cases = [
            ("the dog's owner can't wait.", "the dog 's owner ca n't wait ."),
            ("two dogs' bowls, it's 10:30", "two dogs ' bowls , it 's 10:30"),
            ("\"a\" (red) car", "`` a '' ( red ) car"),
            ("he said \"no\" and 'yes'", "he said `` no '' and ' yes '"),
            ("a snow-covered, old-fashioned hut", "a snow-covered , old-fashioned hut"),
            ("rock'n'roll 'n' gonna cannot", "rock'n'roll 'n ' gon na can not"),
            ("piles--or–heaps…", "piles -- or – heaps…"),
            ("u.s. flag at 3.5 m, 1,000 people...", "u.s. flag at 3.5 m , 1,000 people ..."),
            ("a ,,b: c;d,,", "a , ,b : c ; d , ,"),
            ("one. two. \")", "one. two. `` )"),
            ("'s' and 's'", "'s ' and 's '"),
            ("``a`` ''b''", "`` a `` `` b ''"),
            ("“curly” ‘quotes’ it’s", "“ curly ” ‘ quotes ’ it ’ s"),
            ("& 5% #1 me@you.org ?!", "& 5 % # 1 me @ you.org ? !"),
            ("café au lait\t€6.50", "café au lait €6.50"),
            ("I WON'T they'Ll", "I WO N'T they'Ll"),
            (" . ", "."),
            ("", ""),
        ];
        for (text, tokens) in cases {
            assert_eq!(nltk_tokens(text).join(" "), tokens, "{text}");
        }
    }

    #[test]
    fn cells_split_as_in_the_released_scorer() {
        assert_eq!(fine_phrases(r"A\;"), [""; 0]);
        assert_eq!(fine_phrases(r"É\;Été\;  \;a;b\c"), ["été", "  ", r"a;b\c"]);
        assert!(fine_phrases("").is_empty());
        assert!(fine_cell_is_missing("") && fine_cell_is_missing("N/A"));
        assert!(!fine_cell_is_missing(" ") && !fine_cell_is_missing("None"));
    }

    #[test]
    fn the_released_scorer_finds_stems_inside_words() {
        let recall = |caption: &str, phrases: &[&str]| {
            [Match::Reference, Match::Strict].map(|how| fine_recall(caption, phrases, how))
        };
        assert_eq!(recall("scarred card", &["a red car"]), [Some(1.0), Some(0.0)]);
        assert_eq!(recall("a pony", &["ponies"]), [Some(0.0), Some(1.0)]);
        // The caption is taken as it is, so a capital hides a word.
        assert_eq!(recall("Dogs", &["dogs"]), [Some(0.0), Some(1.0)]);
        assert_eq!(recall("a dog", &["--", "the dog's dog"]), [Some(1.0 / 4.0); 2]);
        assert_eq!(recall("a dog", &[]), [None; 2]);
        assert_eq!(recall("", &["a dog", " "]), [Some(0.0); 2]);
    }

    #[test]
    fn no_text_is_a_problem() {
        let pieces =
            ["'", "\"", ".", "''", "n't", ",", ":", "`", "d'ye", "İ", "\u{301}", "日", " ", "-"];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let text = [first, second, third].concat();
                    fine_recall(&text, &[&text], Match::Strict);
                }
            }
        }
        assert_eq!(nltk_tokens(&"x.".repeat(100_000)).len(), 2);
    }
}
