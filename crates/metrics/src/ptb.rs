//! Penn Treebank words of a caption, the way coco-caption gets them.
//!
//! The official COCO scores run every caption through Stanford's `PTBTokenizer` (a Java program)
//! and drop the punctuation. This is a scanner of our own that gives the same words for English
//! captions: at each place the longest token wins, as in the original. Shapes that
//! captions do not have (file names that start with a digit, rare HTML entities) are left out, and
//! so is the one thing that needs the next caption of the file: a single letter at the end of a
//! line loses its full stop if the next line starts with a word such as "A" or "The".

/// No run of characters of one kind is followed further than this, so that the scan stays linear;
/// real words are far shorter.
const REACH: usize = 300;

/// Abbreviations that keep their full stop wherever they stand.
const ABBREVIATIONS: &str = " adj adm adv al ala alex apr ariz assn assoc asst atty aug ave \
    bancorp bhd bldg blvd brig bros calif capt cf cie cmdr co col colo comdr conn corp cos cpl ct \
    dak dec dept det dr drs elec ens esq est etc ext feb fla fri ft ga gen gov govs hon inc ind \
    insp intl invt jan jos jr jul jun kan kans ky lieut lt ltd maj mar md messrs mfg mich minn \
    mlle mme mo mon mont mr mrs ms msgr mt mtg natl neb nev nov oct okla penn pfc ph ph.d ed.d plc \
    ppte ppty pres prof profs pte ptes pty ptys pvt rd rep reps rev rt sen sens sep sept seq sfc \
    sgt spc sq sr st ste supt sys tel tenn thu thurs treas tue tues univ va vs vt wed wis wisc wm \
    wyo ";
/// Abbreviations that are everyday words unless they have a capital.
const CAPITAL_ABBREVIATIONS: &str = " ark az del ill la mass miss ore pa tex wash ";
/// Abbreviations only in front of a number.
const NUMBER_ABBREVIATIONS: &str = " art ca fig figs no nos op pp prop ";
/// Words that show that a single letter with a full stop has ended the sentence before them.
const STARTERS: &str = " a about according additionally after an as at but earlier he her here \
    however if in it last many more mr. ms. now once one other our she since so some such that the \
    their then there these they this we what when while yet you ";
/// Words with an apostrophe that no rule covers.
const APOSTROPHE_WORDS: &str =
    "c'mon cap'n c'est dunkin' e'er ev'ry li'l nat'l nor'easter o'o ol' s'mores somethin'";
/// The names of brackets, as a caption that went through the original before has them.
const BRACKETS: &str = "-lrb- -rrb- -lsb- -rsb- -lcb- -rcb-";
/// Words that are split behind the third letter.
const SPLIT: [&str; 6] = ["cannot", "gimme", "gonna", "gotta", "lemme", "wanna"];

/// The tokens that coco-caption drops. It means to drop brackets too, but their names are in
/// capitals there and in lower case in the text, so `-lrb-` and its like stay.
const PUNCTUATION: [&str; 13] =
    ["''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"];

/// The words of a caption as pycocoevalcap's `PTBTokenizer` gives them: Penn Treebank tokens in
/// lower case, without punctuation.
///
/// A token can hold a no-break space where the original glues a group ("1 1/2"). Line breaks
/// count as spaces. The time is linear in the length of the caption.
pub fn ptb_tokens(caption: &str) -> Vec<String> {
    let mut scanner = Scanner { text: plain_text(caption), tokens: Vec::new() };
    let mut at = 0;
    while at < scanner.text.len() {
        at = scanner.token(at);
    }
    scanner.tokens
}

/// The tokens of [`ptb_tokens`] with single spaces between them.
pub fn ptb_tokenize(caption: &str) -> String {
    ptb_tokens(caption).join(" ")
}

/// The characters of a caption, HTML entities decoded. Soft hyphens go, for the original never
/// prints them; the spaces keep a decoded `<` from starting a tag.
fn plain_text(caption: &str) -> Vec<char> {
    const ENTITIES: [(&str, &str); 8] = [
        ("\n", " "),
        ("\u{ad}", ""),
        ("&apos;", "'"),
        ("&quot;", "\""),
        ("&nbsp;", " "),
        ("&lt;", "< "),
        ("&gt;", " >"),
        ("&amp;", "&"),
    ];
    if !caption.contains(['\n', '&', '\u{ad}']) {
        return caption.chars().collect();
    }
    let decode = |text: String, (entity, plain): (&str, &str)| text.replace(entity, plain);
    ENTITIES.into_iter().fold(caption.to_owned(), decode).chars().collect()
}

/// A caption under the scan. A method named after a shape takes the place where it may start and
/// gives the place where it ends, or the start again if it is not there.
struct Scanner {
    text: Vec<char>,
    tokens: Vec<String>,
}

impl Scanner {
    /// Scans what stands at a place, token or separator, and gives the place behind it.
    fn token(&mut self, at: usize) -> usize {
        let first = self.at(at);
        if letter(first) || first.is_ascii_digit() {
            return self.word(at);
        }
        let end = self.number(at).max(self.face(at)).max(self.tag(at));
        if end > at {
            return self.push(at, end);
        }
        let second = self.at(at + 1);
        if first == '\'' && second == '\'' {
            return at + 2;
        }
        if apostrophe(first)
            && let Some(end) = self.apostrophe_word(at)
        {
            return end;
        }
        match first {
            '@' if second.is_ascii_alphabetic() || second == '_' => {
                let end = self.run(at + 1, |c| c.is_ascii_alphanumeric() || c == '_');
                self.push(at, end)
            }
            '#' if letter(second) => self.push(at, self.run(at + 1, letter)),
            '?' | '!' => self.push(at, self.run(at, |c| matches!(c, '?' | '!'))),
            '.' if second == '.' && self.at(at + 2) == '.' => {
                self.run(at, |c| c == '.').min(at + 5)
            }
            '"' => at + 1,
            '*' | '_' | '@' | '#' => self.push(at, self.run(at, |c| c == first)),
            '<' | '>' if first == second => self.push(at, at + 2),
            '-' if BRACKETS.split(' ').any(|name| self.starts(at, name)) => self.push(at, at + 5),
            '-' => {
                let end = self.run(at, |c| c == '-');
                if end - at > 4 { self.push(at, end) } else { end }
            }
            _ => match (quote(first), quote(second)) {
                (Some(one), two) => {
                    self.add(&(one.to_owned() + two.unwrap_or_default()));
                    at + 1 + usize::from(two.is_some())
                }
                _ if first.is_ascii_graphic() || symbol(first) => self.push(at, at + 1),
                // Spaces, and characters that the original cannot place, such as emoji.
                _ => at + 1,
            },
        }
    }

    /// Scans a token that starts with a letter or a digit.
    fn word(&mut self, at: usize) -> usize {
        let plain = self.dotted(at);
        let mut end = [
            plain,
            self.joined(at),
            self.hyphenated(at),
            self.slashed(at),
            self.number(at),
            self.fraction(at),
            self.with_apostrophe(at, plain),
            self.with_signs(at),
            self.abbreviation(at),
        ]
        .into_iter()
        .fold(at + 1, usize::max);
        if end == plain && end > at + 1 && self.not(end - 1) == end + 2 {
            end -= 1;
        } else if end == plain && self.contraction(plain) == plain {
            if SPLIT.iter().any(|word| end - at == word.len() && self.starts(at, word)) {
                self.push(at, at + 3);
                return self.push(at + 3, end);
            }
        } else if end == at + 2 && self.at(at + 1) == '.' && self.starter(end) {
            end -= 1;
        }
        if self.not(at) == end { self.push_ascii(at, end) } else { self.push(at, end) }
    }

    /// Scans a token that starts with an apostrophe, if there is one: the tail of a contraction,
    /// a word or a year cut short.
    fn apostrophe_word(&mut self, at: usize) -> Option<usize> {
        let tail = self.contraction(at);
        if tail > at {
            return Some(self.push_ascii(at, tail));
        }
        let behind = self.at(at + 2);
        let plain = self.at(at) == '\'';
        let end = if plain && (self.starts(at, "'tis") || self.starts(at, "'twas")) {
            at + 2
        } else if self.starts(at, "'n") && (apostrophe(behind) || behind.is_whitespace()) {
            at + 2 + usize::from(apostrophe(behind))
        } else if let Some(word) =
            ["'em", "'till", "'til", "'cause"].iter().find(|word| self.starts(at, word))
        {
            at + word.len()
        } else if self.run(at + 1, |c| c.is_ascii_digit()) == at + 3
            && self.at(at + 3).is_whitespace()
        {
            at + 3
        } else if matches!(self.at(at + 1), '2'..='9') && self.starts(at + 2, "0s") {
            at + 4
        } else {
            return None;
        };
        Some(self.push(at, end))
    }

    /// Letters and digits, with `.`, `!` or `?` between parts that start with a letter: the
    /// original takes "park.Two" for one word.
    fn dotted(&self, at: usize) -> usize {
        let mut end = at;
        let mut next = at;
        while letter(self.at(next)) {
            end = self.run(next, letter_or_digit);
            next = end + usize::from(matches!(self.at(end), '.' | '!' | '?'));
            if next == end {
                break;
            }
        }
        end
    }

    /// Letters and digits, with single underscores between them.
    fn joined(&self, at: usize) -> usize {
        let mut end = self.run(at, letter_or_digit);
        while self.at(end) == '_' && letter_or_digit(self.at(end + 1)) {
            end = self.run(end + 1, letter_or_digit);
        }
        end
    }

    /// Parts with hyphens between them; the first may hold full stops and commas
    /// ("jeans,t-shirt"), the others may be acronyms.
    fn hyphenated(&self, at: usize) -> usize {
        let head = if self.elided(at) > at { at + 2 } else { at };
        let hyphen = |place| matches!(self.at(place), '-' | '\u{2010}' | '\u{2011}');
        let mut end = self.run(head, |c| c.is_ascii_alphanumeric() || matches!(c, '.' | ','));
        if !hyphen(end) {
            end = self.joined(head);
        }
        let mut whole = at;
        while hyphen(end) {
            let acronym = self.acronym(end + 1);
            let part = if acronym > end + 3 { acronym } else { self.joined(end + 1) };
            if part == end + 1 {
                break;
            }
            end = part;
            whole = end;
        }
        whole
    }

    /// Two or three parts with slashes between them, each with up to two hyphens.
    fn slashed(&self, at: usize) -> usize {
        let part = |start| {
            let mut end = self.run(start, |c| c.is_ascii_alphanumeric());
            for _ in 0..2 {
                if end > start && self.at(end) == '-' {
                    let next = self.run(end + 1, |c| c.is_ascii_alphabetic());
                    end = if next > end + 1 { next } else { end };
                }
            }
            end
        };
        let first = part(at);
        let mut end = first;
        for _ in 0..2 {
            if self.at(end) == '/' {
                let next = part(end + 1);
                end = if next > end + 1 { next } else { end };
            }
        }
        if end > first { end } else { at }
    }

    /// A number with its sign, decimals and thousands; also a time of the day.
    fn number(&self, at: usize) -> usize {
        let digits = |start| self.run(start, |c| c.is_ascii_digit());
        let start = at + usize::from(matches!(self.at(at), '-' | '+'));
        let mut end = digits(start);
        while matches!(self.at(end), '.' | ':' | ',') && digits(end + 1) > end + 1 {
            end = digits(end + 1);
        }
        if end > start { end } else { at }
    }

    /// A fraction with the whole number in front of it, "1 1/2".
    fn fraction(&self, at: usize) -> usize {
        let digits = |start| self.run(start, |c| c.is_ascii_digit()).min(start + 4);
        let whole = digits(at);
        let top = digits(whole + 1);
        let end = digits(top + 1);
        let shape = matches!(self.at(whole), ' ' | '-' | '\u{a0}') && self.at(top) == '/';
        if shape && whole > at && top > whole + 1 && end > top + 1 { end } else { at }
    }

    /// A word with an apostrophe inside or at its end, unless the apostrophe starts a contraction.
    fn with_apostrophe(&self, at: usize, plain: usize) -> usize {
        let letters = self.run(at, letter);
        let [first, last] = [self.at(at), self.at(letters.saturating_sub(1))];
        let [mark, next] = [self.at(letters), self.at(letters + 1)];
        let mut end = self.not(at).max(self.elided(at));
        if letters == at + 1 {
            let name = self.run(at + 2, letter);
            let capital = first.is_ascii_uppercase() && !matches!(first, 'I' | 'Y');
            if (capital || first == 'n') && wide_apostrophe(mark) && name > at + 3 {
                end = end.max(name);
            }
            if apostrophe(mark)
                && (matches!(first.to_ascii_lowercase(), 'd' | 'j' | 'l')
                    || matches!(first, 'y' | 'Y') && letter(next))
            {
                end = end.max(at + 2);
            }
        } else if vowel(last) || matches!(last, 'y' | 'Y') {
            let second = vowel(next) || next.is_ascii_uppercase();
            if letters > at && apostrophe(mark) && second {
                end = end.max(self.run(letters + 1, letter));
            }
        }
        if apostrophe(mark) || wide_apostrophe(mark) {
            let known = APOSTROPHE_WORDS.split(' ').filter(|word| self.starts(at, word));
            end = known.fold(end, |end, word| end.max(at + word.len()));
        }
        if end > self.contraction(plain) { end } else { at }
    }

    /// Words with signs that belong to them: AT&T, C++, US$, "pro-" and the like.
    fn with_signs(&self, at: usize) -> usize {
        let capitals = |start| self.run(start, |c| c.is_ascii_uppercase());
        let first = capitals(at);
        let mut end = if first > at && self.at(first) == '$' { first + 1 } else { at };
        let mut next = first;
        while next > at && matches!(self.at(next), '&' | '+') && capitals(next + 1) > next + 1 {
            next = capitals(next + 1);
            end = next;
        }
        let known = ["c++", "c#", "f#", "pro-", "anti-", "s&p-500", "s&ls"];
        known.iter().filter(|w| self.starts(at, w)).fold(end, |end, w| end.max(at + w.len()))
    }

    /// An abbreviation or an acronym with its last full stop.
    fn abbreviation(&self, at: usize) -> usize {
        let acronym = self.acronym(at);
        if self.starts(at, "ph.d.") || self.starts(at, "ed.d.") {
            return at + 5;
        }
        let stop = self.run(at, |c| c.is_ascii_alphabetic());
        if acronym > stop || self.at(stop) != '.' || stop - at > 8 {
            return acronym;
        }
        let word: String = self.text[at..stop].iter().map(char::to_ascii_lowercase).collect();
        let next = stop + 1 + usize::from(self.at(stop + 1) == ' ');
        let known = listed(ABBREVIATIONS, &word)
            || self.at(at).is_ascii_uppercase() && listed(CAPITAL_ABBREVIATIONS, &word)
            || self.at(next).is_ascii_digit() && listed(NUMBER_ABBREVIATIONS, &word);
        if known { stop + 1 } else { at }
    }

    /// Single letters, each with a full stop.
    fn acronym(&self, at: usize) -> usize {
        let mut end = at;
        while self.at(end).is_ascii_alphabetic() && self.at(end + 1) == '.' {
            end += 2;
        }
        end
    }

    /// A tag without attributes, such as `<unk>`.
    fn tag(&self, at: usize) -> usize {
        let name = at + 1 + usize::from(self.at(at + 1) == '/');
        let end =
            self.run(name, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.' | '-'));
        let close = end + usize::from(self.at(end) == '/');
        let whole = self.at(at) == '<' && self.at(name).is_ascii_alphabetic();
        if whole && self.at(close) == '>' { close + 1 } else { at }
    }

    /// A smiley such as `:-)`.
    fn face(&self, at: usize) -> usize {
        let eyes = at + usize::from(matches!(self.at(at), '<' | '>'));
        let nose = eyes + 1 + usize::from(matches!(self.at(eyes + 1), '-' | 'o' | '*' | '\''));
        let mouth = |c| "()DPdpO\\{@|[]".contains(c);
        let whole = matches!(self.at(eyes), ':' | ';' | '=')
            && mouth(self.at(nose))
            && !self.at(nose + 1).is_ascii_alphanumeric();
        if whole { nose + 1 } else { at }
    }

    /// The tail of a contraction, as in "it's"; no letter may follow.
    fn contraction(&self, at: usize) -> usize {
        let tails = ["'s", "'m", "'d", "'re", "'ve", "'ll"];
        let end = |tail: &&str| {
            let end = at + tail.len();
            (self.starts(at, tail) && !self.at(end).is_ascii_alphabetic()).then_some(end)
        };
        if apostrophe(self.at(at)) { tails.iter().find_map(end).unwrap_or(at) } else { at }
    }

    /// The second half of "isn't".
    fn not(&self, at: usize) -> usize {
        let mark = wide_apostrophe(self.at(at + 1));
        let found = mark && self.starts(at, "n") && self.starts(at + 2, "t");
        if found { at + 3 } else { at }
    }

    /// A word that has lost a vowel to the next one, as in "l'oreal" or "o'clock".
    fn elided(&self, at: usize) -> usize {
        let end = self.run(at + 2, letter_or_digit);
        let first = matches!(self.at(at).to_ascii_lowercase(), 'd' | 'o' | 'l');
        if first && wide_apostrophe(self.at(at + 1)) && end > at + 3 { end } else { at }
    }

    /// Whether the next word shows that a sentence has ended before it.
    fn starter(&self, at: usize) -> bool {
        let start = self.run(at, |c| c == ' ');
        let end = self.run(start, |c| c.is_ascii_alphabetic() || c == '.');
        start > at
            && end - start < 13
            && self.at(start).is_ascii_uppercase()
            && self.at(end).is_whitespace()
            && listed(STARTERS, &self.text[start..end].iter().collect::<String>().to_lowercase())
    }

    /// The character at a place; a line break behind the end.
    fn at(&self, place: usize) -> char {
        self.text.get(place).copied().unwrap_or('\n')
    }

    /// The end of the characters from a place on that pass, [`REACH`] of them at most.
    fn run(&self, start: usize, pass: impl Fn(char) -> bool) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start + rest.iter().take(REACH).take_while(|&&c| pass(c)).count()
    }

    /// Whether the text goes on with a word in lower case, whatever its own case is.
    fn starts(&self, at: usize, word: &str) -> bool {
        word.chars().enumerate().all(|(offset, c)| {
            let found = self.at(at + offset);
            found.eq_ignore_ascii_case(&c) || c == '\'' && apostrophe(found)
        })
    }

    /// Adds a stretch of the text as a token; gives its end.
    fn push(&mut self, start: usize, end: usize) -> usize {
        let text: String = self.text[start..end].iter().collect();
        match text.as_str() {
            "[" => self.add("-lsb-"),
            "]" => self.add("-rsb-"),
            "{" => self.add("-lcb-"),
            "}" => self.add("-rcb-"),
            "\u{a2}" => self.add("cents"),
            "\u{a3}" => self.add("#"),
            "\u{a4}" | "\u{20ac}" => self.add("$"),
            "\u{bc}" => self.add("1/4"),
            "\u{bd}" => self.add("1/2"),
            "\u{be}" => self.add("3/4"),
            "\u{2153}" => self.add("1/3"),
            "\u{2154}" => self.add("2/3"),
            _ if text.contains(['(', ')', ' ']) => {
                let named = text.replace('(', "-lrb-").replace(')', "-rrb-");
                self.add(&named.replace(' ', "\u{a0}"));
            }
            _ => self.add(&text),
        }
        end
    }

    /// [`Self::push`] with plain apostrophes.
    fn push_ascii(&mut self, start: usize, end: usize) -> usize {
        let plain = |&c: &char| match wide_apostrophe(c) {
            true if apostrophe(c) => '\'',
            true => '`',
            false => c,
        };
        let text: String = self.text[start..end].iter().map(plain).collect();
        self.add(&text);
        end
    }

    /// Adds a token, unless it is punctuation.
    fn add(&mut self, token: &str) {
        if !PUNCTUATION.contains(&token) {
            self.tokens.push(token.to_lowercase());
        }
    }
}

/// Whether a list that is one string, with spaces around each word, has a word.
fn listed(list: &str, word: &str) -> bool {
    list.split(' ').any(|entry| entry == word)
}

/// What the original takes for a letter: digits of other scripts and accents of their own too.
fn letter(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => c.is_ascii_alphabetic(),
        '\u{300}'..='\u{36f}' => true,
        '\u{900}'..='\u{dff}' => !matches!(c, '\u{964}' | '\u{965}' | '\u{970}'),
        _ => c <= '\u{ffff}' && c.is_alphanumeric() && !symbol(c),
    }
}

fn letter_or_digit(c: char) -> bool {
    letter(c) || c.is_ascii_digit()
}

fn vowel(c: char) -> bool {
    matches!(c.to_ascii_lowercase(), 'a' | 'e' | 'i' | 'o' | 'u')
}

fn apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{92}' | '\u{2019}')
}

/// The apostrophe, or what people type for it.
fn wide_apostrophe(c: char) -> bool {
    apostrophe(c) || matches!(c, '`' | '\u{91}' | '\u{2018}' | '\u{201b}')
}

/// The Treebank form of a quotation mark other than the two of ASCII's.
fn quote(c: char) -> Option<&'static str> {
    match c {
        '`' | '\u{91}' | '\u{2018}' | '\u{201b}' | '\u{2039}' => Some("`"),
        '\u{92}' | '\u{2019}' | '\u{203a}' => Some("'"),
        '\u{93}' | '\u{201c}' | '\u{ab}' => Some("``"),
        '\u{94}' | '\u{201d}' | '\u{bb}' => Some("''"),
        _ => None,
    }
}

/// The characters beyond ASCII that make a token of their own; the original deletes the rest.
fn symbol(c: char) -> bool {
    match c {
        '\u{a1}'..='\u{bf}' => !"ªµº«»".contains(c),
        '×'
        | '÷'
        | '،'
        | '؛'
        | '؟'
        | '।'
        | '‖'
        | '†'..='•'
        | '‰'..='‸'
        | '※'
        | '€'
        | '、'
        | '。' => true,
        '\u{2070}'..='\u{208e}' | '\u{2100}'..='\u{214f}' | '\u{ff01}'..='\u{ffe6}' => {
            !c.is_alphabetic()
        }
        '\u{2153}'..='\u{215e}' | '\u{2190}'..='\u{2bff}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks lines of the form "caption | tokens".
    fn check(lines: &[(&str, &str)]) {
        for (caption, expected) in lines {
            assert_eq!(ptb_tokenize(caption), *expected, "{caption}");
        }
    }

    #[test]
    fn punctuation_goes_and_brackets_stay() {
        check(&[
            ("A man (in red), \"running\".", "a man -lrb- in red -rrb- running"),
            ("Wow! What?! Really?", "wow what ?! really"),
            ("one\u{2014}two... [three]", "one two -lsb- three -rsb-"),
            ("", ""),
            (" \n . ", ""),
        ]);
    }

    #[test]
    fn contractions_are_split() {
        check(&[
            ("It ISN\u{2019}T the dog's, they can't", "it is n't the dog 's they ca n't"),
            ("I cannot, I'm gonna, 'tis", "i can not i 'm gon na 't is"),
            (
                "5 o'clock, rock 'n' roll, the '90s, y'all",
                "5 o'clock rock 'n' roll the '90s y' all",
            ),
        ]);
    }

    #[test]
    fn abbreviations_keep_their_stop() {
        check(&[
            ("Mr. T. in the U.S. on St. No. 5, no.", "mr. t. in the u.s. on st. no. 5 no"),
            ("an X. The man sat.", "an x the man sat"),
            ("park.Two dogs .A cat", "park.two dogs a cat"),
        ]);
    }

    #[test]
    fn words_with_signs_stay_whole() {
        check(&[
            ("a t-shirt and/or 1 1/2 jeans,t-shirt", "a t-shirt and/or 1\u{a0}1/2 jeans,t-shirt"),
            ("$3.50 at 5:30, 100%", "$ 3.50 at 5:30 100 %"),
            ("see www.ab.com :)", "see www.ab.com :-rrb-"),
            ("caf\u{e9} &amp; \u{1f600}", "caf\u{e9} &"),
        ]);
    }
}
