//! Tiles: their paths, their hashes, bundles of entries, and where a node is found.

use griptrace_core::{
    digest::Digest,
    tile::{
        EntryBundle, NodePlace, TILE_WIDTH, Tile, TilePath, decode_entries, decode_hashes, encode_entries,
        encode_hashes, entry_bundles, place_of, tiles,
    },
    tree::Coordinate,
};

use super::{guard::bounded, input::Input};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => path(input.rest()),
        1 => hashes(&mut input),
        2 => entries(&mut input),
        _ => places(&mut input),
    }
}

fn path(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    let read = bounded(bytes.len(), || TilePath::parse(text));
    assert_eq!(read.is_ok(), is_path(text), "{text:?}: {read:?}");
    match read {
        Ok(path) => assert_eq!(path.path(), text),
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

/// The same grammar in other words (C2SP tlog-tiles): `tile/<L>/<N>[.p/<W>]`.
fn is_path(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("tile/") else { return false };
    let (rest, width) = rest.split_once(".p/").map_or((rest, None), |(rest, width)| (rest, Some(width)));
    let is_number = |text: &str, most: u32| {
        let digits = !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits && (text == "0" || !text.starts_with('0')) && text.parse::<u32>().is_ok_and(|number| number <= most)
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let [level, groups @ .., last] = parts.as_slice() else { return false };
    let three = |group: &str| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit());
    let above = groups.iter().all(|group| group.strip_prefix('x').is_some_and(three));
    let leading = groups.first().is_some_and(|group| *group == "x000");
    let digits: String = groups.iter().chain([last]).map(|group| group.trim_start_matches('x')).collect();
    (is_number(level, 63) || *level == "entries")
        && width.is_none_or(|width| is_number(width, 255) && width != "0")
        && above
        && three(last)
        && !leading
        && digits.parse::<u64>().is_ok()
}

fn hashes(input: &mut Input<'_>) {
    let width = u16::from_le_bytes(input.array()) % 300;
    let bytes = input.rest();
    let read = bounded(bytes.len(), || decode_hashes(bytes, width));
    assert_eq!(read.is_ok(), bytes.len() == usize::from(width) * 32);
    let Ok(hashes) = read else { return };
    let again = encode_hashes(&hashes);
    if width == 0 || width > TILE_WIDTH {
        assert!(again.is_err());
    } else {
        assert_eq!(again.as_deref(), Ok(bytes));
    }
}

fn entries(input: &mut Input<'_>) {
    let width = u16::from_le_bytes(input.array()) % 300;
    let bytes = input.rest();
    let Ok(entries) = bounded(bytes.len(), || decode_entries(bytes, width)) else { return };
    assert_eq!(entries.len(), usize::from(width));
    assert_eq!(entries.iter().map(|entry| entry.len() + 2).sum::<usize>(), bytes.len());
    if (1..=TILE_WIDTH).contains(&width) {
        assert_eq!(encode_entries(&entries).as_deref(), Ok(bytes));
    }
}

fn places(input: &mut Input<'_>) {
    let (level, index, size) = (input.byte() % 80, input.number(), input.number());
    if let Some(tile) = Tile::in_tree(level % 64, index, size) {
        assert_eq!(TilePath::parse(&tile.path()), Ok(TilePath::Hashes(tile)));
        assert!(tile.width() >= 1 && tile.width() <= TILE_WIDTH);
    }
    if let Some(bundle) = EntryBundle::in_tree(index, size) {
        assert_eq!(TilePath::parse(&bundle.path()), Ok(TilePath::Entries(bundle)));
    }
    let at = Coordinate { level, index };
    let place = place_of(at, size);
    assert_eq!(place.is_some(), at.is_complete(size), "{at:?} of {size}");
    if let Some(NodePlace { tile, start, count }) = place {
        assert!(start + count <= tile.width());
        assert_eq!(u128::from(count) << (8 * tile.level()), 1_u128 << level);
        let first = (u128::from(tile.index()) * 256 + u128::from(start)) << (8 * tile.level());
        assert_eq!(first, u128::from(index) << level);
    }
    if size < 100_000 {
        let leaves = |tile: &Tile| (tile.level() == 0).then(|| u64::from(tile.width()));
        assert_eq!(tiles(size).filter_map(|tile| leaves(&tile)).sum::<u64>(), size);
        assert_eq!(entry_bundles(size).map(|bundle| u64::from(bundle.width())).sum::<u64>(), size);
    }
    assert_eq!(decode_hashes(Digest::ZERO.as_bytes(), 1), Ok(vec![Digest::ZERO]));
}
