//! The Porter stemmer (Porter 1980) with NLTK's changes.
//!
//! The released FineCapEval scorer stems with `nltk.stem.PorterStemmer()`, whose default mode adds
//! a list of irregular words and a few rules to Porter's own. Its word recall looks for the stems
//! inside the caption, so one letter more or less changes a score: only the same stems give the
//! same numbers. Written from Porter's paper and from what NLTK answers.

/// A suffix and what takes its place.
type Rule = (&'static str, &'static str);

/// Words whose stem no rule finds.
const IRREGULAR: [(&str, &[&str]); 12] = [
    ("sky", &["sky", "skies"]),
    ("die", &["dying"]),
    ("lie", &["lying"]),
    ("tie", &["tying"]),
    ("news", &["news"]),
    ("inning", &["inning", "innings"]),
    ("outing", &["outing", "outings"]),
    ("canning", &["canning", "cannings"]),
    ("howe", &["howe"]),
    ("proceed", &["proceed"]),
    ("exceed", &["exceed"]),
    ("succeed", &["succeed"]),
];

/// Suffixes made of suffixes. No two of one list can both end a word unless the longer stands
/// first, here and below.
const STEP_2: [Rule; 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
    ("alli", "al"),
];

/// Suffixes in front of those of [`STEP_4`].
const STEP_3: [Rule; 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

/// Suffixes that go if enough of the word is left.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou",
    "ism", "ate", "iti", "ous", "ive", "ize",
];

/// The stem of a word as `nltk.stem.PorterStemmer().stem` gives it, in lower case.
///
/// Any text will do: what is not an English vowel counts as a consonant. Words of one or two
/// characters stay as they are.
///
/// ```
/// assert_eq!(finecap_metrics::porter_stem("Ponies"), "poni");
/// assert_eq!(finecap_metrics::porter_stem("dying"), "die");
/// ```
pub fn porter_stem(word: &str) -> String {
    let lower = word.to_lowercase();
    if let Some((stem, _)) = IRREGULAR.iter().find(|(_, words)| words.contains(&lower.as_str())) {
        return (*stem).to_owned();
    }
    // NLTK measures the word before the change of case, which matters to a letter such as "İ".
    if word.chars().nth(2).is_none() {
        return lower;
    }
    let steps = [plural, past, final_y, step_2, step_3, step_4, final_e, final_l];
    steps.into_iter().fold(lower, |word, step| step(word))
}

/// Step 1a: plurals.
fn plural(mut word: String) -> String {
    if word.ends_with("ies") {
        return shorten_ie(word);
    }
    if word.ends_with("sses") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word
}

/// Step 1b: past tenses and participles.
fn past(mut word: String) -> String {
    if word.ends_with("ied") {
        return shorten_ie(word);
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return word;
    }
    let Some(stem) = ["ed", "ing"].iter().find_map(|suffix| word.strip_suffix(suffix)) else {
        return word;
    };
    if !vowels(stem).any(|vowel| vowel) {
        return word;
    }
    let mut stem = stem.to_owned();
    let mut ends = stem.chars().rev();
    let (last, before) = (ends.next(), ends.next());
    if ["at", "bl", "iz"].iter().any(|suffix| stem.ends_with(suffix)) {
        stem.push('e');
    } else if last == before && ends_in_consonant(&stem) {
        if !matches!(last, Some('l' | 's' | 'z')) {
            stem.pop();
        }
    } else if measure(&stem) == 1 && ends_short(&stem) {
        stem.push('e');
    }
    stem
}

/// Takes the last letter of a word in "ies" or "ied" off, and the "e" too unless the word has four
/// letters: "flies" becomes "fli", but "dies" becomes "die".
fn shorten_ie(mut word: String) -> String {
    let short = word.chars().count() == 4;
    word.truncate(word.len() - if short { 1 } else { 2 });
    word
}

/// Step 1c: a "y" becomes "i" behind a consonant that is not the first letter: that of "happy", but
/// not that of "say" and of "bys".
fn final_y(mut word: String) -> String {
    if let Some(stem) = word.strip_suffix('y')
        && stem.chars().nth(1).is_some()
        && ends_in_consonant(stem)
    {
        word.pop();
        word.push('i');
    }
    word
}

fn step_2(word: String) -> String {
    // The "l" counts with the stem here.
    if let Some(stem) = word.strip_suffix("ogi").filter(|stem| stem.ends_with('l')) {
        return if measure(stem) > 0 { format!("{stem}og") } else { word };
    }
    let adverb = word.ends_with("alli");
    let word = replace(word, &STEP_2);
    // The "al" that is left of "alli" can be the end of "ational".
    if adverb { replace(word, &STEP_2) } else { word }
}

fn step_3(word: String) -> String {
    replace(word, &STEP_3)
}

fn step_4(mut word: String) -> String {
    if let Some(stem) = STEP_4.iter().find_map(|suffix| word.strip_suffix(suffix))
        && measure(stem) > 1
        && (!word.ends_with("ion") || stem.ends_with(['s', 't']))
    {
        word.truncate(stem.len());
    }
    word
}

/// Step 5a.
fn final_e(mut word: String) -> String {
    if let Some(stem) = word.strip_suffix('e')
        && (measure(stem) > 1 || measure(stem) == 1 && !ends_short(stem))
    {
        word.pop();
    }
    word
}

/// Step 5b.
fn final_l(mut word: String) -> String {
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
    word
}

/// The word with its first suffix of a list replaced, if what stands in front has a vowel and a
/// consonant behind it.
fn replace(word: String, rules: &[Rule]) -> String {
    let found = rules.iter().find_map(|(suffix, new)| Some((word.strip_suffix(suffix)?, new)));
    match found {
        Some((stem, new)) if measure(stem) > 0 => format!("{stem}{new}"),
        _ => word,
    }
}

/// For each letter, whether it is a vowel; "y" is one behind a consonant.
fn vowels(text: &str) -> impl Iterator<Item = bool> {
    text.chars().scan(true, |previous, letter| {
        *previous = matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u') || letter == 'y' && !*previous;
        Some(*previous)
    })
}

/// Porter's measure: how often a consonant follows a vowel.
fn measure(stem: &str) -> usize {
    let mut previous = false;
    vowels(stem).filter(|vowel| std::mem::replace(&mut previous, *vowel) && !vowel).count()
}

fn ends_in_consonant(stem: &str) -> bool {
    vowels(stem).last() == Some(false)
}

/// Whether a stem ends like "hop" or is like "ow": one whose "e" is dropped before an ending.
fn ends_short(stem: &str) -> bool {
    let letters: Vec<bool> = vowels(stem).collect();
    match letters.as_slice() {
        [true, false] => true,
        [.., false, true, false] => !stem.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_has_a_stem() {
        for word in
            ["", "s", "ß", "e\u{301}d", "日本ies", "\u{1f600}ing", "İs", "yyyyed", "'s", "ied"]
        {
            for suffix in ["", "s", "ed", "ing", "alli", "logi", "ion", "y", "e", "ll"] {
                porter_stem(&format!("{word}{suffix}"));
            }
        }
        assert_eq!(porter_stem("a".repeat(100_000).as_str()).len(), 100_000);
    }
}
