//! One name of an image, and what it may be equal to.

/// Endings of pictures. Only these may be left out of a name: what stands behind any other point
/// belongs to it.
pub const PICTURE_ENDINGS: [&str; 10] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff"];

/// A name in its parts. Folders are separated by `/`, also where it was written with `\`; empty
/// parts and `.` are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub path: String,
    /// Bytes of `path` before the point of a picture's ending; all of them where it has none.
    stem: usize,
    number: Option<CocoNumber>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CocoNumber {
    number: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `42`
    Bare,
    /// `000000000042`, in any folder, with or without ending.
    Padded,
    /// `COCO_val2014_000000000042`
    Prefixed,
}

impl Name {
    pub fn new(name: &str) -> Self {
        let parts = name.split(['/', '\\']).filter(|part| !part.is_empty() && *part != ".");
        let mut path = String::with_capacity(name.len());
        for part in parts {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
        }
        if path.is_empty() {
            path.push_str(name);
        }
        let stem = stem(&path).len();
        let number = coco_number(&path[..stem], stem < path.len());
        Self { path, stem, number }
    }

    /// The name without a picture's ending.
    pub fn stem(&self) -> &str {
        &self.path[..self.stem]
    }

    fn ending(&self) -> &str {
        &self.path[self.stem..]
    }

    pub fn number(&self) -> Option<u64> {
        self.number.map(|number| number.number)
    }

    /// The stem without its first folder, without its first two, ... to the file name alone.
    pub fn ends(&self) -> impl Iterator<Item = &str> {
        let stem = self.stem();
        stem.match_indices('/').map(|(slash, _)| &stem[slash + 1..])
    }

    /// Whether both may be names of one image. With `complete`, `other` is the whole path of a
    /// file, so that a name with more folders is that of another one.
    pub fn is_like(&self, other: &Self, complete: bool) -> bool {
        let (own, others) = (self.ending(), other.ending());
        if own != others && !own.is_empty() && !others.is_empty() {
            return false;
        }
        let (own, others) = (self.stem(), other.stem());
        if own == others || is_end_of(own, others) || (!complete && is_end_of(others, own)) {
            return true;
        }
        match (self.number, other.number) {
            // Two files of one form that are not one path are two files: of train and of val.
            (Some(own), Some(other)) => own.number == other.number && own.form != other.form,
            _ => false,
        }
    }
}

/// Whether the path `long` ends in the path `short`, and has folders before it.
fn is_end_of(short: &str, long: &str) -> bool {
    long.strip_suffix(short).is_some_and(|folders| folders.ends_with('/'))
}

/// A name without a picture's ending; the whole name where it has none.
///
/// ```
/// use finecap_data::without_picture_ending;
/// assert_eq!(without_picture_ending("val/7.JPG"), "val/7");
/// assert_eq!(without_picture_ending("3.1"), "3.1");
/// ```
pub fn without_picture_ending(name: &str) -> &str {
    stem(name)
}

fn stem(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((stem, ending))
            if !stem.is_empty()
                && !stem.ends_with('/')
                && PICTURE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) =>
        {
            stem
        }
        _ => path,
    }
}

/// COCO's number of an image: `42` itself, or its twelve digits at the end of a file's name.
fn coco_number(stem: &str, has_ending: bool) -> Option<CocoNumber> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if digits(stem) && stem.len() <= 12 && !has_ending && (stem == "0" || !stem.starts_with('0')) {
        return Some(CocoNumber { number: stem.parse().ok()?, form: Form::Bare });
    }
    let file = stem.rsplit('/').next()?;
    let (form, number) = match file.strip_prefix("COCO_") {
        Some(rest) => (Form::Prefixed, rest.split_once('_')?.1),
        None => (Form::Padded, file),
    };
    let number = (number.len() == 12 && digits(number)).then(|| number.parse().ok())??;
    Some(CocoNumber { number, form })
}
