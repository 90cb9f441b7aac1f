//! Reading settings: `extends`, overrides from the command line, and errors that help.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;
use crate::TrainError;

impl Config {
    /// Reads a TOML file, following `extends = "other.toml"` (relative to the file that says it;
    /// what is nearer wins), applies `key.path=value` overrides and checks the result.
    ///
    /// # Errors
    /// A missing or malformed file, an unknown key (with the nearest one that exists), a wrong
    /// type or value, each with file and key.
    pub fn read(path: Option<&Path>, overrides: &[String]) -> Result<Self, TrainError> {
        let mut table = Table::new();
        if let Some(path) = path {
            table = read_table(path, &mut Vec::new())?;
        }
        for line in overrides {
            set(&mut table, line)?;
        }
        let config: Self = table.try_into().map_err(|error: toml::de::Error| {
            let problem = explain(error.message(), &error.to_string());
            match path {
                Some(path) => TrainError::file(path, problem),
                None => TrainError::setting("--set", problem),
            }
        })?;
        config.check()?;
        Ok(config)
    }

    /// Refuses to go on with a phase that was started with other settings of its own; those of other
    /// phases, and how often checkpoints are written, may have changed.
    pub(crate) fn check_same(&self, phase: &str, path: &Path) -> Result<(), TrainError> {
        let text = fs::read_to_string(path).map_err(TrainError::io("read", path))?;
        let old: Self = toml::from_str(&text).map_err(|error| {
            let problem = explain(error.message(), &error.to_string());
            TrainError::file(path, format!("was written by another version: {problem}"))
        })?;
        let sections: &[&str] = match phase {
            "clip" => &["seed", "clip"],
            "mle" => &["seed", "captioner", "mle"],
            "grammar" => &["seed", "clip", "grammar"],
            _ => &["seed", "scst"],
        };
        let own = |config: &Self| -> Result<Table, TrainError> {
            let mut table: Table = toml::from_str(&config.to_toml()?)
                .map_err(|e| TrainError::setting("config", e.to_string()))?;
            table.retain(|key, _| sections.contains(&key));
            Ok(table)
        };
        match difference(&own(&old)?, &own(self)?, "") {
            None => Ok(()),
            Some(difference) => {
                let problem = format!(
                    "this run was started with other settings: {difference}; choose another --out"
                );
                Err(TrainError::file(path, problem))
            }
        }
    }

    /// The settings as TOML, every key written out.
    ///
    /// # Errors
    /// None for settings that were read by [`Config::read`].
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string_pretty(self).map_err(|e| TrainError::setting("config", e.to_string()))
    }
}

fn read_table(path: &Path, seen: &mut Vec<PathBuf>) -> Result<Table, TrainError> {
    let text = fs::read_to_string(path).map_err(TrainError::io("read the configuration", path))?;
    let mut table: Table = toml::from_str(&text).map_err(|e| {
        TrainError::file(path, format!("is not valid TOML: {}", one_line(&e.to_string())))
    })?;
    let Some(base) = table.remove("extends") else { return Ok(table) };
    let Some(base) = base.as_str() else {
        return Err(TrainError::file(path, "`extends` must be the path of another TOML file"));
    };
    let base = path.parent().unwrap_or(Path::new(".")).join(base);
    if seen.contains(&base) {
        return Err(TrainError::file(path, "`extends` goes round in a circle"));
    }
    seen.push(base.clone());
    let mut merged = read_table(&base, seen)?;
    merge(&mut merged, table);
    Ok(merged)
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            // A schedule of another kind replaces the old one: their keys don't mix.
            (Some(Value::Table(old)), Value::Table(new))
                if new.get("kind").is_none_or(|kind| old.get("kind") == Some(kind)) =>
            {
                merge(old, new);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Applies `a.b=value`; a value that is not TOML is taken as a string.
fn set(table: &mut Table, line: &str) -> Result<(), TrainError> {
    let Some((key, value)) = line.split_once('=') else {
        return Err(TrainError::setting("--set", format!("needs key=value, got `{line}`")));
    };
    let value = value.trim();
    let value = toml::from_str::<Table>(&format!("v = {value}"))
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_string()));
    let path: Vec<&str> = key.trim().split('.').collect();
    let Some((last, parents)) = path.split_last().filter(|(last, _)| !last.is_empty()) else {
        return Err(TrainError::setting("--set", format!("needs key=value, got `{line}`")));
    };
    let mut table = table;
    for parent in parents {
        let entry = table.entry(*parent).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or_else(|| {
            TrainError::setting(key.trim(), format!("cannot be set: `{parent}` is not a table"))
        })?;
    }
    table.insert(last.to_string(), value);
    Ok(())
}

/// Adds the nearest name to serde's "unknown field `x`, expected one of `a`, `b`".
fn explain(message: &str, full: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let place = full
        .lines()
        .find_map(|line| line.trim().strip_prefix("in `"))
        .map(|place| format!(" in `{}`", place.trim_end_matches('`')))
        .unwrap_or_default();
    if let Some((unknown, known)) = quoted.split_first()
        && message.starts_with("unknown field")
    {
        let similarity = |name: &&&str| (strsim::jaro_winkler(unknown, name) * 1e6) as u64;
        return match known.iter().max_by_key(similarity) {
            Some(nearest) => format!("unknown key `{unknown}`{place}: did you mean `{nearest}`?"),
            None => format!("unknown key `{unknown}`{place}"),
        };
    }
    format!("{}{place}", one_line(message))
}

/// The first key in which two tables differ, with both values.
fn difference(old: &Table, new: &Table, at: &str) -> Option<String> {
    let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
    keys.filter_map(|key| {
        let place = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        match (old.get(key), new.get(key)) {
            (Some(Value::Table(old)), Some(Value::Table(new))) => difference(old, new, &place),
            (old, new) if old == new => None,
            (old, new) => {
                let show = |value: Option<&Value>| value.map_or("unset".into(), Value::to_string);
                Some(format!("`{place}` was {} and is {}", show(old), show(new)))
            }
        }
    })
    .next()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;

    fn read(files: &[(&str, &str)], overrides: &[&str]) -> Result<Config, TrainError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let overrides: Vec<String> = overrides.iter().map(|s| s.to_string()).collect();
        Config::read(Some(&dir.path().join(files[0].0)), &overrides)
    }

    #[test]
    fn nearer_values_win() {
        let files = [
            (
                "a.toml",
                "extends = \"b.toml\"\n[mle]\nsteps = 7\nschedule = { kind = \"noam\", factor = 1, warmup = 9 }",
            ),
            (
                "b.toml",
                "seed = 5\n[mle]\nsteps = 3\nbatch_size = 4\nschedule = { kind = \"constant\", lr = 0.1 }",
            ),
        ];
        let config = read(&files, &["seed=6", "scst.baseline=leave_one_out"]).unwrap();
        assert_eq!((config.mle.steps, config.mle.batch_size, config.seed), (7, 4, 6));
        assert_eq!(config.mle.schedule, Schedule::Noam { factor: 1.0, warmup: 9 });
    }

    #[test]
    fn the_resolved_settings_read_back_equal() {
        let config = read(&[("a.toml", "seed = 3")], &["clip.weight_decay=0.25"]).unwrap();
        let again = read(&[("a.toml", &config.to_toml().unwrap())], &[]).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn mistakes_are_explained() {
        for (text, expected) in [
            ("[mle]\nstep = 3", "unknown key `step` in `mle`: did you mean `steps`?"),
            ("sed = 3", "unknown key `sed`: did you mean `seed`?"),
            ("[mle]\nsteps = \"many\"", "`mle.steps`"),
            ("[mle]\nsteps = -1", "`mle.steps`"),
            ("[mle", "not valid TOML"),
            ("extends = \"c.toml\"", "c.toml"),
            ("extends = \"a.toml\"", "circle"),
            ("[scst]\nbaseline = \"gredy\"", "gredy"),
        ] {
            let message = read(&[("a.toml", text)], &[]).unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
            assert!(!message.contains('\n'), "{message:?}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (set, expected) in [
            ("mle.steps=0", "`mle.steps`"),
            ("scst.temperature=0.0", "`scst.temperature`"),
            ("captioner.dropout=1.0", "`captioner.dropout`"),
            ("scst.reward.clip_s=0.0", "`scst.reward`"),
            ("scst.reward.clip_s=nan", "`scst.reward.clip_s`"),
            ("nonsense", "key=value"),
        ] {
            let message = read(&[("a.toml", "")], &[set]).unwrap_err().to_string();
            assert!(message.contains(expected), "{set}: {message}");
        }
    }
}
