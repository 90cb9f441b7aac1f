//! Which image a name means: one rule for references, captions, pictures and feature files.
//!
//! Two names are of the same image if they are equal as a whole, or if
//!
//! - one is COCO's number and the other its file: `42`, `000000000042.jpg`,
//!   `COCO_val2014_000000000042.jpg`;
//! - one is the other without a picture's ending (`.jpg`, `.png`, ..., see [`PICTURE_ENDINGS`]). What
//!   stands behind any other point belongs to the name: `3.1` is not `3.2`, nor `3.png`;
//! - one is the other without its folders, **where that is unique on both sides**. `val/2.jpg` is
//!   never `train/2.jpg`;
//! - or several of these at once. Different endings are different pictures.
//!
//! Names that are equal are paired first. A name that could mean two images then is a [`NameClash`],
//! which names both.

mod name;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

use name::Name;
pub use name::{PICTURE_ENDINGS, without_picture_ending};

/// A name that could mean two images, or two names that could both mean one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct NameClash {
    /// The name that is not clear.
    pub name: String,
    /// The two images that it could mean.
    pub images: [String; 2],
}

impl NameClash {
    fn sentence(&self) -> String {
        let Self { name, images: [first, second] } = self;
        if first == second {
            return format!(
                "several images are called `{name}`: give every image a name of its own"
            );
        }
        format!("`{name}` could be `{first}` or `{second}`: give both sides the same whole names")
    }
}

/// The names of images, ready to be looked up.
#[derive(Debug, Clone)]
pub struct Names {
    names: Vec<Name>,
    /// The image of each name.
    images: Vec<u32>,
    /// The first name of each image.
    first: Vec<u32>,
    /// What names can be looked up by, as a hash, and the name; in order.
    keys: Vec<(u64, u32)>,
    /// Whether names are whole paths of files.
    complete: bool,
}

/// What a name is looked up by.
#[derive(Hash)]
enum Key<'a> {
    Whole(&'a str),
    Stem(&'a str),
    /// The stem without some of its folders.
    End(&'a str),
    Number(u64),
}

impl Key<'_> {
    fn hashed(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

impl Names {
    /// An index over images that have one name each.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with_aliases(names.into_iter().map(std::iter::once))
    }

    /// An index over images that may have several names. The first is the one that is shown, and
    /// is looked at before the others. An image without names is never found.
    pub fn with_aliases<'a, N>(images: impl IntoIterator<Item = N>) -> Self
    where
        N: IntoIterator<Item = &'a str>,
    {
        let mut index = Self {
            names: Vec::new(),
            images: Vec::new(),
            first: Vec::new(),
            keys: Vec::new(),
            complete: false,
        };
        for names in images {
            let image = index.first.len() as u32;
            index.first.push(index.names.len() as u32);
            for name in names {
                index.add(Name::new(name), image);
            }
        }
        index.keys.sort_unstable();
        index
    }

    /// An index over files by their whole paths below a folder: `train/1.jpg` is not `1.jpg` there,
    /// while `1.jpg` may be `train/1.jpg`.
    pub fn of_files<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        Self { complete: true, ..Self::new(paths) }
    }

    fn add(&mut self, name: Name, image: u32) {
        let at = self.names.len() as u32;
        let mut key = |key: Key| self.keys.push((key.hashed(), at));
        key(Key::Whole(&name.path));
        key(Key::Stem(name.stem()));
        name.ends().for_each(|end| key(Key::End(end)));
        if let Some(number) = name.number() {
            key(Key::Number(number));
        }
        self.names.push(name);
        self.images.push(image);
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The image that `name` means, by its place; `None` where there is none.
    ///
    /// This looks at one side only. Two lists are matched by [`pair`](Self::pair), which sees that
    /// no image is taken twice.
    ///
    /// # Errors
    /// A name that could mean two images.
    pub fn find(&self, name: &str) -> Result<Option<usize>, NameClash> {
        let name = Name::new(name);
        for found in [self.equal(&name, true), self.equal(&name, false), self.alike(&name)] {
            match found[..] {
                [] => {}
                [image] => return Ok(Some(image as usize)),
                [first, second, ..] => return Err(self.clash(&name.path, first, second)),
            }
        }
        Ok(None)
    }

    /// For each image of `self`, the place of the same image among `others`.
    ///
    /// # Errors
    /// A name that could mean two of `others`, or two of `self` that could both be one of `others`.
    pub fn pair(&self, others: &Self) -> Result<Vec<Option<usize>>, NameClash> {
        let mut found: Vec<Option<usize>> = vec![None; self.len()];
        let mut taken: Vec<Option<u32>> = vec![None; others.len()];
        let clash =
            |image: usize, first, second| others.clash(self.shown(image as u32), first, second);
        let both = |other: u32, first, second| self.clash(others.shown(other), first, second);
        for first_names in [true, false] {
            // What was equal by its first name is not looked at for further names.
            let before = taken.clone();
            for (image, found) in found.iter_mut().enumerate() {
                if found.is_some() {
                    continue;
                }
                let names = self.names_of(image as u32);
                let names = if first_names { &names[..names.len().min(1)] } else { names };
                let mut equal: Vec<u32> =
                    names.iter().flat_map(|name| others.equal(name, first_names)).collect();
                if !first_names {
                    equal.retain(|&other| before[other as usize].is_none());
                }
                equal.sort_unstable();
                equal.dedup();
                match equal[..] {
                    [] => {}
                    [other] => {
                        if let Some(owner) = taken[other as usize] {
                            return Err(both(other, owner, image as u32));
                        }
                        taken[other as usize] = Some(image as u32);
                        *found = Some(other as usize);
                    }
                    [first, second, ..] => return Err(clash(image, first, second)),
                }
            }
        }
        for (image, found) in found.iter_mut().enumerate() {
            if found.is_some() {
                continue;
            }
            let like = self.like(image as u32, others);
            let Some(&free) = like.iter().find(|&&other| taken[other as usize].is_none()) else {
                continue;
            };
            if let [first, second, ..] = like[..] {
                return Err(clash(image, first, second));
            }
            if let [first, second, ..] = others.like(free, self)[..] {
                return Err(both(free, first, second));
            }
            *found = Some(free as usize);
        }
        Ok(found)
    }

    /// Pairs of images with names that could mean one image, each once.
    pub fn alike_images(&self) -> Vec<(usize, usize)> {
        let of = |image: usize| {
            let others = self.like(image as u32, self).into_iter().map(|other| other as usize);
            others.filter(move |other| *other > image).map(move |other| (image, other))
        };
        (0..self.len()).flat_map(of).collect()
    }

    /// The name of an image that is shown.
    fn shown(&self, image: u32) -> &str {
        self.names_of(image).first().map_or("", |name| &name.path)
    }

    fn names_of(&self, image: u32) -> &[Name] {
        let image = image as usize;
        let end = self.first.get(image + 1).map_or(self.names.len(), |&end| end as usize);
        &self.names[self.first[image] as usize..end]
    }

    fn clash(&self, name: &str, first: u32, second: u32) -> NameClash {
        let images = [first, second].map(|image| self.shown(image).to_string());
        NameClash { name: name.to_string(), images }
    }

    /// Names that have a key.
    fn keyed(&self, key: Key) -> impl Iterator<Item = u32> {
        let hash = key.hashed();
        let start = self.keys.partition_point(|&(found, _)| found < hash);
        self.keys[start..].iter().take_while(move |(found, _)| *found == hash).map(|&(_, at)| at)
    }

    /// Images with this name, each once; with `first`, only by their first name.
    fn equal(&self, name: &Name, first: bool) -> Vec<u32> {
        let same = self.keyed(Key::Whole(&name.path));
        let same = same.filter(|&at| self.names[at as usize].path == name.path);
        let same = same.filter(|&at| !first || self.first[self.images[at as usize] as usize] == at);
        once(same.map(|at| self.images[at as usize]).collect())
    }

    /// Images with a name that is like this one, each once.
    fn alike(&self, name: &Name) -> Vec<u32> {
        self.candidates(name, |other| name.is_like(other, self.complete))
    }

    /// Images of `others` that have a name like one of an own image, each once.
    fn like(&self, image: u32, others: &Self) -> Vec<u32> {
        let found = self.names_of(image).iter().flat_map(|name| {
            others.candidates(name, |other| match self.complete {
                true => other.is_like(name, true),
                false => name.is_like(other, others.complete),
            })
        });
        once(found.collect())
    }

    fn candidates(&self, name: &Name, is_like: impl Fn(&Name) -> bool) -> Vec<u32> {
        let mut found = Vec::new();
        let mut look = |key: Key| {
            let like = self.keyed(key).filter(|&at| is_like(&self.names[at as usize]));
            found.extend(like.map(|at| self.images[at as usize]));
        };
        look(Key::Stem(name.stem()));
        look(Key::End(name.stem()));
        name.ends().for_each(|end| look(Key::Stem(end)));
        if let Some(number) = name.number() {
            look(Key::Number(number));
        }
        once(found)
    }
}

/// A name as it is compared when names are compared as a whole.
pub(crate) fn whole(name: &str) -> String {
    Name::new(name).path
}

fn once(mut images: Vec<u32>) -> Vec<u32> {
    images.sort_unstable();
    images.dedup();
    images
}
