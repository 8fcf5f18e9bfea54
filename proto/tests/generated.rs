//! The committed code is what the contract gives; and every part of the contract says what it is.

use std::{fs, path::Path};

use prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

const FILES: [&str; 4] =
    ["griptrace/v1/node.proto", "griptrace/v1/commit.proto", "griptrace/v1/lineage.proto", "griptrace/v1/proof.proto"];

fn compiled() -> FileDescriptorSet {
    protox::compile(FILES, [env!("CARGO_MANIFEST_DIR")]).expect("the contract compiles")
}

/// `GRIPTRACE_UPDATE_GENERATED=1 cargo test -p griptrace-proto` writes the code anew.
#[test]
fn the_generated_code_is_that_of_the_contract() {
    let made = tempfile::tempdir().unwrap();
    let descriptors = compiled();
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(made.path())
        .file_descriptor_set_path(made.path().join("griptrace.v1.bin"))
        .compile_fds(descriptors.clone())
        .unwrap();
    let bytes = prost::Message::encode_to_vec(&descriptors);
    fs::write(made.path().join("griptrace.v1.bin"), bytes).unwrap();
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generated");
    for name in ["griptrace.v1.rs", "griptrace.v1.bin"] {
        let fresh = fs::read(made.path().join(name)).unwrap();
        if std::env::var_os("GRIPTRACE_UPDATE_GENERATED").is_some() {
            fs::write(committed.join(name), &fresh).unwrap();
        }
        let kept = fs::read(committed.join(name)).unwrap_or_default();
        assert!(kept == fresh, "{name} is not what the contract gives: GRIPTRACE_UPDATE_GENERATED=1 writes it anew");
    }
}

#[test]
fn every_part_of_the_contract_has_a_comment() {
    let set = compiled();
    let mut bare = Vec::new();
    for file in &set.file {
        let places = file.source_code_info.iter().flat_map(|info| &info.location);
        let told: Vec<&[i32]> = places.filter(|l| l.leading_comments.is_some()).map(|l| l.path.as_slice()).collect();
        bare.extend(parts(file).into_iter().filter(|(path, _)| !told.contains(&path.as_slice())).map(|(_, name)| name));
    }
    assert!(set.file.len() == FILES.len() && bare.is_empty(), "without a comment: {bare:?}");
}

/// Returns the place and name of everything in a file that has to say what it is.
fn parts(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut parts = Vec::new();
    for (at, message) in (0..).zip(&file.message_type) {
        message_parts(&[4, at], message, &mut parts);
    }
    for (at, list) in (0..).zip(&file.enum_type) {
        parts.push((vec![5, at], list.name().to_owned()));
        let values = (0..).zip(&list.value).map(|(n, value)| (vec![5, at, 2, n], value.name().to_owned()));
        parts.extend(values);
    }
    for (at, service) in (0..).zip(&file.service) {
        parts.push((vec![6, at], service.name().to_owned()));
        let methods = (0..).zip(&service.method).map(|(n, method)| (vec![6, at, 2, n], method.name().to_owned()));
        parts.extend(methods);
    }
    parts
}

fn message_parts(path: &[i32], message: &DescriptorProto, parts: &mut Vec<(Vec<i32>, String)>) {
    // The entries of a map are made up by the compiler.
    if message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry) {
        return;
    }
    parts.push((path.to_vec(), message.name().to_owned()));
    for (n, field) in (0..).zip(&message.field) {
        parts.push(([path, &[2, n]].concat(), format!("{}.{}", message.name(), field.name())));
    }
    for (n, nested) in (0..).zip(&message.nested_type) {
        message_parts(&[path, &[3, n]].concat(), nested, parts);
    }
}
