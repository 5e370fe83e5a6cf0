//! The house rule: inside the gateway, arrows point down only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Floors from the top; a module uses those of lower floors, and of its own floor only itself.
const HOUSE: &[&[&str]] = &[
    &["main"],
    &["start"],
    &["demo"],
    &["run"],
    &["console", "terminal"],
    &["web"],
    &["uplink", "pipeline"],
    &["clips"],
    &["sources"],
    &["broker", "mode"],
    &["config"],
    &["health", "intake", "live", "logins"],
    &["clock"],
];

fn floor(module: &str) -> Option<usize> {
    HOUSE.iter().position(|floor| floor.contains(&module))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            into.push(path);
        }
    }
}

/// What a module's text names of the crate, tests and comments left out.
fn named(text: &str) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = lines.collect();
    let code = code.join("\n");
    let named = code.split("crate::").skip(1).flat_map(|rest| {
        let one = |text: &str| {
            let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
            text.trim().chars().take_while(|c| is_name(*c)).collect()
        };
        let names: Vec<String> = match rest.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap()
                .split(',')
                .map(one)
                .collect(),
            None => vec![one(rest)],
        };
        names
    });
    named.collect()
}

#[test]
fn arrows_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut upwards = Vec::new();
    for path in files {
        let inside = path.strip_prefix(&root).unwrap();
        let inside = inside.with_extension("").display().to_string();
        let module = inside.split('/').next().unwrap();
        if module == "lib" || inside.split('/').any(|part| part == "tests") {
            continue;
        }
        let own = floor(module).unwrap_or_else(|| panic!("{module} has no floor"));
        for used in named(&fs::read_to_string(&path).unwrap()) {
            if used != module && floor(&used).is_some_and(|used| used <= own) {
                upwards.push(format!("{inside} uses {used}"));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn names_are_found_in_all_their_forms() {
    let text = "use crate::{Shared, live};\n// crate::web\nfn f(x: &crate::store::S) {}\n\
                #[cfg(test)]\nmod tests {\n    use crate::run;\n}\n";
    assert_eq!(named(text), ["", "live", "store"].map(str::to_owned).into());
}
