//! Proofs: exactly one is accepted for one statement, and that is the one which the prover makes.
//! For a single leaf and for growth, a port of Go's sumdb/tlog has to give the same answer.

use griptrace_core::{
    cbor::encode,
    details::{self, Opening, Values},
    digest::{COMMIT_TREE, Digest},
    node::Kind,
    status_map::{StatusMap, verify_status_proof},
    tree::{
        Coordinate, Frontier, LeafIndex, ProofError, Rfc9162, TreeHash, TreeSize, consistency_coordinates, fetch_proof,
        proof_coordinates, prove_consistency, prove_leaves, root, root_from_leaves, subtree_coordinates,
        verify_consistency, verify_inclusion, verify_subtree_consistency, verify_subtree_inclusion,
    },
    value::Value,
};
use tlog_tiles::{Hash, check_record, check_tree};

use super::{guard::bounded, input::Input};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 7 {
        0 => leaves(&mut input),
        1 => one_leaf(&mut input),
        2 => growth(&mut input),
        3 => subtree(&mut input),
        4 => claimed(&mut input),
        5 => statuses(&mut input),
        _ => opening(&mut input),
    }
}

fn leaf(number: u64) -> Digest {
    Rfc9162::leaf_hash(&number.to_be_bytes())
}

fn all(size: u64) -> Vec<Digest> {
    (0..size).map(leaf).collect()
}

fn length(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits 64 bits")
}

fn short(number: u64) -> usize {
    usize::try_from(number).expect("our trees are small")
}

/// Drops, doubles, swaps or changes something of a list, or leaves it.
fn edit_list<T: Clone>(items: &mut Vec<T>, input: &mut Input<'_>, change: impl FnOnce(&mut T, &mut Input<'_>)) {
    let (kind, at, to) = (input.byte() % 6, input.place(items.len()), input.place(items.len()));
    if items.is_empty() || kind == 0 {
        return;
    }
    match kind {
        1 => drop(items.remove(at)),
        2 => items.insert(to, items[at].clone()),
        3 => items.swap(at, to),
        4 => items.truncate(at),
        _ => change(&mut items[at], input),
    }
}

fn edit_hash(hash: &mut Digest, input: &mut Input<'_>) {
    let mut bytes = *hash.as_bytes();
    bytes[input.place(32)] ^= input.byte();
    *hash = Digest::from_bytes(bytes);
}

fn told(result: &Result<(), ProofError>) -> bool {
    result.as_ref().map_err(|error| assert!(!error.to_string().is_empty() && !error.code().is_empty())).is_ok()
}

fn leaves(input: &mut Input<'_>) {
    let size = u64::from(input.byte()) + 1;
    let all = all(size);
    let mut indices: Vec<u64> = (0..=input.byte() % 12).map(|_| u64::from(input.byte()) % size).collect();
    indices.sort_unstable();
    indices.dedup();
    let keyed = input.yes();
    let (proof, top) = if keyed { proven(&COMMIT_TREE, &all, &indices) } else { proven(&Rfc9162, &all, &indices) };
    let honest: Vec<(u64, Digest)> = indices.iter().map(|index| (*index, all[short(*index)])).collect();
    let (mut claimed, mut edited) = (honest.clone(), proof.clone());
    edit_list(&mut claimed, input, |claim, input| match input.byte() % 2 {
        0 => claim.0 = input.number(),
        _ => edit_hash(&mut claim.1, input),
    });
    edit_list(&mut edited, input, edit_hash);
    let size = if input.byte() == 1 { input.number() } else { size };
    let computed = bounded(claimed.len() * 40 + edited.len() * 32, || {
        if keyed {
            root_from_leaves(&COMMIT_TREE, size, &claimed, &edited)
        } else {
            root_from_leaves(&Rfc9162, size, &claimed, &edited)
        }
    });
    let indices: Vec<u64> = claimed.iter().map(|(index, _)| *index).collect();
    let holds = claimed.iter().all(|(index, leaf)| usize::try_from(*index).is_ok_and(|at| all.get(at) == Some(leaf)));
    let made = if keyed { prove_leaves(&COMMIT_TREE, &all, &indices) } else { prove_leaves(&Rfc9162, &all, &indices) };
    let right = holds && made == Ok(edited);
    // A tree of another size may have the same shape where these leaves are; the size comes signed.
    assert!((computed == Ok(top)) == right || size != length(all.len()), "{indices:?} of {size}");
}

fn proven(hash: &impl TreeHash, all: &[Digest], indices: &[u64]) -> (Vec<Digest>, Digest) {
    let proof = prove_leaves(hash, all, indices).expect("the leaves are there");
    let top = root(hash, all).expect("there are leaves");
    let part = |at: Coordinate| {
        let range = at.leaves(length(all.len()))?;
        root(hash, &all[short(range.start)..short(range.end)])
    };
    let coordinates = proof_coordinates(length(all.len()), indices).expect("the leaves are there");
    assert_eq!(fetch_proof(hash, length(all.len()), &coordinates, part).as_ref(), Ok(&proof));
    (proof, top)
}

fn theirs(proof: &[Digest]) -> Vec<Hash> {
    proof.iter().map(|hash| Hash(*hash.as_bytes())).collect()
}

fn one_leaf(input: &mut Input<'_>) {
    let size = u64::from(input.byte()) + 1;
    let index = u64::from(input.byte()) % size;
    let all = all(size);
    let (proof, top) = proven(&Rfc9162, &all, &[index]);
    let (mut edited, mut claimed) = (proof.clone(), leaf(index));
    edit_list(&mut edited, input, edit_hash);
    if input.byte() == 1 {
        edit_hash(&mut claimed, input);
    }
    let (at, of) = match input.byte() {
        1 => (u64::from(input.byte()), size),
        2 => (index, u64::from(input.byte())),
        _ => (index, size),
    };
    let ours = verify_inclusion(&Rfc9162, LeafIndex::new(at), TreeSize::new(of), &claimed, &edited, &top);
    let same = (at, of) == (index, size) && edited == proof && claimed == leaf(index);
    assert!(told(&ours) == same || of != size, "{at} of {of}: {ours:?}");
    let other = check_record(&theirs(&edited), of, Hash(*top.as_bytes()), at, Hash(*claimed.as_bytes()));
    assert_eq!(ours.is_ok(), other.is_ok(), "{at} of {of}: {ours:?}");
}

fn growth(input: &mut Input<'_>) {
    let new = u64::from(input.byte()) + 1;
    let old = u64::from(input.byte()) % new + 1;
    let all = all(new);
    let tops = |size: u64| root(&Rfc9162, &all[..short(size)]).expect("there are leaves");
    let (mut older, newer) = (tops(old), tops(new));
    let mut frontier = Frontier::new(Rfc9162);
    all.iter().take(short(old)).for_each(|leaf| assert!(frontier.push(*leaf).is_ok()));
    assert_eq!(frontier.root(), Some(older));
    let proof = prove_consistency(&Rfc9162, &all, TreeSize::new(old)).expect("it grew");
    let mut edited = proof.clone();
    edit_list(&mut edited, input, edit_hash);
    let honest = older;
    if input.byte() == 1 {
        edit_hash(&mut older, input);
    }
    let (from, to) = match input.byte() {
        1 => (u64::from(input.byte()), new),
        2 => (old, u64::from(input.byte())),
        _ => (old, new),
    };
    let ours = verify_consistency(&Rfc9162, TreeSize::new(from), &older, TreeSize::new(to), &newer, &edited);
    let same = (from, to) == (old, new) && edited == proof && older == honest;
    assert!(told(&ours) == same || (from, to) != (old, new), "{from} to {to}: {ours:?}");
    if from >= 1 && to >= 1 {
        let hash = |digest: &Digest| Hash(*digest.as_bytes());
        let other = check_tree(&theirs(&edited), to, hash(&newer), from, hash(&older));
        assert_eq!(ours.is_ok(), other.is_ok(), "{from} to {to}: {ours:?}");
    }
}

fn subtree(input: &mut Input<'_>) {
    let size = u64::from(input.byte()) + 1;
    let start = u64::from(input.byte()) % size;
    let range = start..(start + 1 + u64::from(input.byte())).min(size);
    let all = all(size);
    let part = |at: Coordinate| {
        let range = at.leaves(size)?;
        root(&Rfc9162, &all[short(range.start)..short(range.end)])
    };
    let Ok(coordinates) = subtree_coordinates(&range, TreeSize::new(size)) else { return };
    let inner = &all[short(range.start)..short(range.end)];
    let (mut top, whole) = (root(&Rfc9162, inner).expect("it is not empty"), part_root(&all));
    let index = u64::from(input.byte()) % length(inner.len());
    let path = prove_leaves(&Rfc9162, inner, &[index]).expect("the leaf is there");
    let place = LeafIndex::new(range.start + index);
    let inside = verify_subtree_inclusion(&Rfc9162, place, &range, &leaf(place.get()), &path, &top);
    assert_eq!(inside, Ok(()));
    let proof = fetch_proof(&Rfc9162, size, &coordinates, part).expect("the nodes are there");
    let (mut edited, honest) = (proof.clone(), top);
    edit_list(&mut edited, input, edit_hash);
    if input.byte() == 1 {
        edit_hash(&mut top, input);
    }
    let ours = verify_subtree_consistency(&Rfc9162, &range, &top, TreeSize::new(size), &whole, &edited);
    assert_eq!(told(&ours), edited == proof && top == honest, "{range:?} of {size}: {ours:?}");
}

fn part_root(all: &[Digest]) -> Digest {
    root(&Rfc9162, all).expect("there are leaves")
}

/// Sizes and places up to the ends of their numbers: no panic, and no memory but for what is given.
fn claimed(input: &mut Input<'_>) {
    let (one, two, three) = (input.number(), input.number(), input.number());
    let mut hashes = vec![leaf(1); usize::from(input.byte() % 140)];
    if let Some(first) = hashes.first_mut() {
        edit_hash(first, input);
    }
    let given: Vec<(u64, Digest)> = (0..input.byte() % 20).map(|_| (input.number(), leaf(2))).collect();
    bounded(hashes.len() * 32 + given.len() * 40, || {
        let sizes = (TreeSize::new(one), TreeSize::new(two));
        let (zero, range) = (Digest::ZERO, one..two);
        told(&verify_inclusion(&Rfc9162, LeafIndex::new(one), sizes.1, &zero, &hashes, &zero));
        told(&verify_consistency(&Rfc9162, sizes.0, &zero, sizes.1, &zero, &hashes));
        told(&verify_subtree_consistency(&Rfc9162, &range, &zero, TreeSize::new(three), &zero, &hashes));
        told(&verify_subtree_inclusion(&Rfc9162, LeafIndex::new(three), &range, &zero, &hashes, &zero));
        told(&root_from_leaves(&Rfc9162, one, &given, &hashes).map(|_| ()));
        if let Ok(found) = consistency_coordinates(sizes.0, sizes.1) {
            assert!(found.len() <= 65 && found.iter().all(|at| at.leaves(two).is_some()));
        }
        if let Ok(found) = proof_coordinates(one, &[two]) {
            assert!(found.len() <= 64 && found.iter().all(|at| at.leaves(one).is_some()));
        }
        told(&Frontier::from_parts(Rfc9162, sizes.0, hashes.clone()).map(|_| ()));
    });
}

fn statuses(input: &mut Input<'_>) {
    let mut map = StatusMap::new();
    for _ in 0..input.byte() % 24 {
        map.append(&leaf(u64::from(input.byte() % 32)), &leaf(1000 + u64::from(input.byte())));
    }
    let mut keys: Vec<Digest> = (0..=input.byte() % 10).map(|_| leaf(u64::from(input.byte() % 40))).collect();
    keys.sort_unstable();
    keys.dedup();
    let honest: Vec<(Digest, Option<Digest>)> = keys.iter().map(|key| (*key, map.value(key))).collect();
    let proof = map.prove(&keys).into_bytes();
    assert_eq!(verify_status_proof(&map.root(), &honest, &proof), Ok(()));
    let (mut claims, mut edited) = (honest.clone(), proof.clone());
    edit_list(&mut claims, input, |claim, input| {
        claim.1 = if input.yes() { None } else { Some(leaf(u64::from(input.byte()))) };
    });
    edit_list(&mut edited, input, |byte, input| *byte ^= input.byte());
    let raw = input.rest();
    let edited = if raw.len() > 2 { raw } else { &edited };
    let judged = bounded(edited.len() + claims.len() * 72, || verify_status_proof(&map.root(), &claims, edited));
    if let Err(error) = &judged {
        assert!(!error.to_string().is_empty() && !error.code().is_empty());
    }
    // Of other keys than were asked for, the same proof may be the right one too: of an empty map it is.
    let keys: Vec<Digest> = claims.iter().map(|(key, _)| *key).collect();
    let in_order = !keys.is_empty() && keys.windows(2).all(|pair| pair[0] < pair[1]);
    let holds = in_order && claims.iter().all(|(key, value)| map.value(key) == *value);
    let right = holds && *edited == *map.prove(&keys).as_bytes();
    assert_eq!(judged.is_ok(), right, "{judged:?}: {claims:?}, {edited:?} for {proof:?}");
}

fn opening(input: &mut Input<'_>) {
    let kind = input.one_of(Kind::ALL);
    let seed = [input.byte(); 32];
    let mut values = Values::new();
    for _ in 0..input.byte() % 8 {
        values.insert(input.byte() % 32, encode(&Value::Int(i64::from(input.byte()))));
    }
    let asked: Vec<u8> = (0..input.byte() % 8).map(|_| input.byte() % 40).collect();
    let top = details::root(kind, &seed, &values);
    let Some(honest) = details::open(kind, &seed, &values, &asked) else { return };
    assert_eq!(honest.root(kind), Ok(top));
    let mut edited: Opening = honest.clone();
    edit_list(&mut edited.slots, input, |slot, input| match input.byte() % 3 {
        0 => slot.0 = input.byte(),
        1 => slot.1[input.place(16)] ^= input.byte(),
        _ => slot.2.push(input.byte()),
    });
    edit_list(&mut edited.proof, input, edit_hash);
    let as_kind = if input.byte() == 1 { input.one_of(Kind::ALL) } else { kind };
    let reached = edited.root(as_kind) == Ok(top);
    assert_eq!(reached, edited == honest && as_kind == kind);
}
