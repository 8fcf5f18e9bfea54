//! Oracles that are written otherwise than what they judge.

use coset::cbor::{de::from_reader, ser::into_writer, value::Value};

/// Panics unless another reader of CBOR finds the one deterministic form (RFC 8949, 4.2.1) of what
/// our profile allows.
pub(crate) fn is_deterministic(bytes: &[u8]) {
    let mut rest = bytes;
    let value: Value = from_reader(&mut rest).expect("another reader reads what ours accepts");
    assert!(rest.is_empty(), "another reader finds {} bytes after the end", rest.len());
    let mut again = Vec::new();
    into_writer(&value, &mut again).expect("memory takes what is written");
    assert_eq!(again, bytes, "another writer writes it otherwise");
    check_profile(&value);
}

/// No floats, no tags, and the keys of every map in bytewise order of their encoding.
#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum, to which more may be added")]
fn check_profile(value: &Value) {
    match value {
        Value::Integer(_) | Value::Bytes(_) | Value::Text(_) | Value::Bool(_) | Value::Null => {}
        Value::Array(items) => items.iter().for_each(check_profile),
        Value::Map(pairs) => {
            let keys: Vec<Vec<u8>> = pairs.iter().map(|(key, _)| encoded(key)).collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "map keys out of order: {keys:?}");
            pairs.iter().for_each(|(_, value)| check_profile(value));
        }
        other => panic!("the profile has no {other:?}"),
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    into_writer(value, &mut bytes).expect("memory takes what is written");
    bytes
}
