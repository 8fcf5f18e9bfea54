//! The safetensors format, as much of it as the demo's model needs: eight bytes with the header's length, a JSON header, the data.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::files::{bad, read, write};

/// One tensor's name, shape and values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    /// Its name in the file.
    pub(crate) name: String,
    /// Its dimensions; none for a scalar.
    pub(crate) shape: Vec<usize>,
    /// Its values, row by row.
    pub(crate) values: Values,
}

/// The values of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Single precision.
    F32(Vec<f32>),
    /// Signed bytes.
    I8(Vec<i8>),
}

impl Values {
    fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::I8(_) => "I8",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::I8(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }

    fn parse(dtype: &str, bytes: &[u8]) -> Option<Self> {
        match dtype {
            "F32" => {
                let (fours, []) = bytes.as_chunks::<4>() else {
                    return None;
                };
                Some(Self::F32(fours.iter().map(|b| f32::from_le_bytes(*b)).collect()))
            }
            "I8" => Some(Self::I8(bytes.iter().map(|b| i8::from_le_bytes([*b])).collect())),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I8(values) => values.len(),
        }
    }
}

/// Writes a file. The header is put together by hand, so that its order does not hang on a feature of `serde_json`.
pub(crate) fn store(path: &Path, metadata: &[(&str, String)], tensors: &[Tensor]) -> io::Result<usize> {
    let quoted = |text: &str| Value::from(text).to_string();
    let entries: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    let mut parts = vec![format!("\"__metadata__\":{{{}}}", entries.join(","))];
    let mut data = Vec::new();
    for tensor in tensors {
        let begin = data.len();
        data.extend(tensor.values.bytes());
        let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let (name, dtype, shape, end) = (quoted(&tensor.name), tensor.values.dtype(), shape.join(","), data.len());
        parts.push(format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{begin},{end}]}}"));
    }
    let mut header = format!("{{{}}}", parts.join(","));
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let length = u64::try_from(header.len()).map_err(|_| bad(path, "the header is too long"))?;
    write(path, &[length.to_le_bytes().as_slice(), header.as_bytes(), &data].concat())
}

/// Reads a file back: its metadata, and its tensors by name.
pub(crate) fn load(path: &Path) -> io::Result<(BTreeMap<String, String>, BTreeMap<String, Tensor>)> {
    let bytes = read(path)?;
    parse(&bytes).ok_or_else(|| bad(path, "is not a safetensors file of F32 and I8 tensors"))
}

fn parse(bytes: &[u8]) -> Option<(BTreeMap<String, String>, BTreeMap<String, Tensor>)> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (header, data) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let header: Value = serde_json::from_slice(header).ok()?;
    let (mut metadata, mut tensors) = (BTreeMap::new(), BTreeMap::new());
    for (name, entry) in header.as_object()? {
        if name == "__metadata__" {
            for (key, value) in entry.as_object()? {
                metadata.insert(key.clone(), value.as_str()?.to_owned());
            }
        } else {
            tensors.insert(name.clone(), tensor(name, entry, data)?);
        }
    }
    Some((metadata, tensors))
}

fn tensor(name: &str, entry: &Value, data: &[u8]) -> Option<Tensor> {
    let sizes = |key: &str| -> Option<Vec<usize>> {
        entry.get(key)?.as_array()?.iter().map(|v| v.as_u64().and_then(|n| usize::try_from(n).ok())).collect()
    };
    let (shape, offsets) = (sizes("shape")?, sizes("data_offsets")?);
    let [begin, end] = *offsets.as_slice() else {
        return None;
    };
    let values = Values::parse(entry.get("dtype")?.as_str()?, data.get(begin..end)?)?;
    let count = shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side))?;
    (count == values.len()).then(|| Tensor { name: name.to_owned(), shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_refused() {
        let path = std::env::temp_dir().join(format!("griptrace-demo-safetensors-{}", std::process::id()));
        let tensors = [
            Tensor { name: "a".to_owned(), shape: vec![2], values: Values::F32(vec![1.5, -2.0]) },
            Tensor { name: "b".to_owned(), shape: vec![1, 3], values: Values::I8(vec![-127, 0, 127]) },
        ];
        store(&path, &[("note", "a \"quoted\" one".to_owned())], &tensors).expect("written");
        let bytes = read(&path).expect("read");
        std::fs::remove_file(&path).expect("removed");
        let (metadata, loaded) = parse(&bytes).expect("parsed");
        assert_eq!(metadata["note"], "a \"quoted\" one");
        assert_eq!(loaded.into_values().collect::<Vec<_>>(), tensors);
        assert!((0..bytes.len()).all(|end| parse(&bytes[..end]).is_none()));
    }
}
