//! What is where in the folder of a run.

use std::fs;
use std::path::{Component, Path, PathBuf};

use finecap_files::write_text;

use crate::TrainError;

/// Phases of a run, each with a folder of its own.
const PHASES: [&str; 4] = ["clip", "mle", "grammar", "scst"];
/// Names of configurations, by which a folder of a CLIP is known.
const CLIP_CONFIGS: [&str; 2] = ["config.json", "open_clip_config.json"];

/// The folder of a run.
///
/// ```text
/// RUN/clip/model         the trained CLIP
/// RUN/mle/model          the captioner after imitation
/// RUN/grammar/model      the grammar head with its CLIP
/// RUN/scst/model         the captioner after rewards
/// RUN/mle/clip.txt       the CLIP that it was trained with, relative to RUN/mle
/// RUN/features           features of all images
/// ```
///
/// Paths inside are relative, so that a run can be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    dir: PathBuf,
}

impl RunFolder {
    /// The run in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// Whether any phase has begun here.
    pub fn is_run(&self) -> bool {
        PHASES.iter().any(|phase| self.phase(phase).join("config.toml").is_file())
    }

    /// Folder of a phase: settings, log, checkpoints and model.
    pub fn phase(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The finished model of a phase.
    pub fn model(&self, phase: &str) -> PathBuf {
        self.phase(phase).join("model")
    }

    /// Features of the data set's images.
    pub fn features(&self) -> PathBuf {
        self.dir.join("features")
    }

    /// The captioner to use: of this run, of the phase that the folder is, or the folder itself.
    ///
    /// # Errors
    /// A folder without any.
    pub fn captioner(&self) -> Result<PathBuf, TrainError> {
        let places =
            [self.dir.join("model"), self.model("scst"), self.model("mle"), self.dir.clone()];
        let found = places.into_iter().find(|dir| dir.join("vocab.json").is_file());
        found.ok_or_else(|| {
            let problem =
                "holds no finished captioner: train one with `finecap train mle --out` this folder";
            TrainError::file(&self.dir, problem)
        })
    }

    /// The grammar model of this run, or the folder itself where it is one.
    ///
    /// # Errors
    /// A folder without any.
    pub fn grammar(&self) -> Result<PathBuf, TrainError> {
        let places = [self.model("grammar"), self.dir.join("model"), self.dir.clone()];
        let found = places.into_iter().find(|dir| dir.join("grammar.json").is_file());
        found.ok_or_else(|| {
            let problem = "holds no grammar model: make one with `finecap train grammar`, and give its \
                           --out here";
            TrainError::file(&self.dir, problem)
        })
    }

    /// Notes the CLIP that a captioner of `phase` was trained with.
    ///
    /// # Errors
    /// [`TrainError::Files`].
    pub fn note_clip(&self, phase: &str, clip: &Path) -> Result<(), TrainError> {
        let dir = self.phase(phase);
        let noted = relative(&dir, clip);
        Ok(write_text(&dir.join("clip.txt"), &format!("{}\n", noted.display()))?)
    }
}

/// The CLIP that the captioner in `model` was trained with: the one that was noted beside it, or the
/// run's own.
///
/// # Errors
/// One that is not where it was.
pub fn clip_of(model: &Path) -> Result<PathBuf, TrainError> {
    let phase = model.parent().unwrap_or(model);
    let noted = fs::read_to_string(phase.join("clip.txt")).unwrap_or_default();
    let beside = phase.parent().unwrap_or(phase).join("clip/model");
    let places = [phase.join(noted.trim()), beside];
    let found =
        places.into_iter().find(|dir| CLIP_CONFIGS.iter().any(|name| dir.join(name).is_file()));
    found.ok_or_else(|| {
        let noted = match noted.trim() {
            "" => String::new(),
            noted => format!(" ({noted}, as seen from {})", phase.display()),
        };
        let problem = format!(
            "the CLIP model that it was trained with{noted} is not there: name it with --clip"
        );
        TrainError::file(model, problem)
    })
}

/// `path` as seen from the folder `from`; both must exist. Where they have nothing in common, as on two
/// drives, `path` as it is.
pub fn relative(from: &Path, path: &Path) -> PathBuf {
    let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (from, path) = (whole(from), whole(path));
    let shared = from.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    if shared == 0 {
        return path;
    }
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    let down = path.components().skip(shared);
    let relative: PathBuf = up.chain(down).collect();
    if relative.as_os_str().is_empty() { PathBuf::from(".") } else { relative }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(&path).unwrap();
            path
        };
        let (phase, inside, outside) = (make("run/mle"), make("run/clip/model"), make("clips/vit"));
        assert_eq!(relative(&phase, &inside), Path::new("../clip/model"));
        assert_eq!(relative(&phase, &outside), Path::new("../../clips/vit"));
        assert_eq!(relative(&phase, &phase), Path::new("."));
        assert_eq!(relative(&phase, &make("run/mle/below")), Path::new("below"));
    }

    #[test]
    fn a_moved_run_finds_its_clip_or_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunFolder::new(&dir.path().join("run"));
        for folder in [run.model("clip"), run.model("mle"), dir.path().join("other")] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("config.json"), "{}").unwrap();
        }
        run.note_clip("mle", &run.model("clip")).unwrap();
        let moved = dir.path().join("moved");
        fs::rename(dir.path().join("run"), &moved).unwrap();
        let found = clip_of(&moved.join("mle/model")).unwrap();
        assert_eq!(
            fs::canonicalize(found).unwrap(),
            fs::canonicalize(moved.join("clip/model")).unwrap()
        );

        let run = RunFolder::new(&moved);
        run.note_clip("mle", &dir.path().join("other")).unwrap();
        let noted = fs::read_to_string(moved.join("mle/clip.txt")).unwrap();
        assert_eq!(noted, "../../other\n");
        fs::remove_dir_all(dir.path().join("other")).unwrap();
        fs::remove_dir_all(moved.join("clip")).unwrap();
        let error = clip_of(&moved.join("mle/model")).unwrap_err().to_string();
        assert!(error.contains("--clip") && error.contains("../../other"), "{error}");
    }
}
