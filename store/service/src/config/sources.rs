//! From file, environment and command line to one table.

use std::fs;

use toml::{Table, Value};

use super::{ConfigError, Sources, file::File};

/// What a variable of the environment begins with, as problems name it.
const PREFIX: &str = "GRIPTRACE_SERVE__";

/// Reads the file, lays the environment over it, and the command line over both.
pub(super) fn read(sources: &Sources) -> Result<File, ConfigError> {
    let mut table = match &sources.file {
        Some(path) => {
            let place = path.display().to_string();
            let text =
                fs::read_to_string(path).map_err(|e| ConfigError::of(&*place, format!("cannot be read: {e}")))?;
            let wrong = |e: toml::de::Error| ConfigError::of(&*place, one_line(&e.to_string()));
            toml::from_str::<File>(&text).map_err(wrong)?;
            toml::from_str(&text).map_err(wrong)?
        }
        None => Table::new(),
    };
    let mut problems = Vec::new();
    for (name, value) in &sources.environment {
        let mut changed = table.clone();
        match set(&mut changed, name, value) {
            Ok(()) => table = changed,
            Err(text) => problems.extend(ConfigError::of(format!("{PREFIX}{name}"), text).problems),
        }
    }
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    let place = sources.file.as_ref().map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let mut file: File =
        table.try_into().map_err(|e: toml::de::Error| ConfigError::of(place, one_line(&e.to_string())))?;
    file.listen = sources.flags.listen.clone().or(file.listen);
    file.http = sources.flags.http.clone().or(file.http);
    Ok(file)
}

/// Sets one value; `TLS__CERT` is the key `cert` of the table `tls`.
fn set(table: &mut Table, name: &str, value: &str) -> Result<(), String> {
    let path: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
    let Some((last, folders)) = path.split_last().filter(|_| path.iter().all(|key| !key.is_empty())) else {
        return Err("the name is no path of keys, such as TLS__CERT".to_owned());
    };
    let mut inner = &mut *table;
    for key in folders {
        let found = inner.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        inner = found.as_table_mut().ok_or_else(|| format!("`{key}` is no table"))?;
    }
    inner.insert(last.clone(), parse(value));
    // A table that is not whole yet may be completed by the next variable: only what can never be
    // right is refused here.
    match table.clone().try_into::<File>() {
        Err(error) if !error.message().starts_with("missing field") => Err(one_line(&error.to_string())),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads a value as TOML, or else as a string.
fn parse(value: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {value}"));
    let only = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    only.unwrap_or_else(|| Value::String(value.to_owned()))
}

/// Puts what `toml` says on one line.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ")
}
