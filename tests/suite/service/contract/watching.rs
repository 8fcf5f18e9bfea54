//! `Watch`: nothing is missed and nothing comes twice, however often the watcher is cut off.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use griptrace_core::{
    commit::StatusLine,
    entry::Entry,
    id::{NodeId, StatusKey},
    node::Mark,
};
use griptrace_proto::v1;
use griptrace_tests::seed::{Rng, Seed};

use crate::served::{Client, Desk, Lineage, Maker, all, block_on, checkpoint, digest};

/// Committers, and commits of each.
const COMMITTERS: u64 = 4;
const COMMITS: u64 = 30;
/// Times that the watcher is cut off: until then commits go on, however much of them one message tells.
const CUTS: u64 = 4;

/// The status lines of the public log between two sizes, with the leaf index of their commits.
async fn lines(client: &Client, begin: u64, end: u64) -> Vec<(StatusLine, u64)> {
    let parts = all(client.clone().proofs.list_entries(v1::ListEntriesRequest { begin, end }).await).await.unwrap();
    let entries = parts.into_iter().flat_map(|part| part.entries);
    let of = |(index, entry): (u64, _)| match Entry::parse(entry) {
        Ok(Entry::Commit(commit)) => commit.payload.statuses.into_iter().map(|line| (line, index)).collect(),
        _ => Vec::new(),
    };
    (begin..).zip(&entries.collect::<Vec<_>>()).flat_map(|(index, entry)| of((index, entry.as_ref()))).collect()
}

/// Watches from a size on until another is reached and it was cut off often enough, now and then.
async fn watch(client: &Client, mut after: u64, end: u64, mut rng: Rng, cuts: &AtomicU64) -> Vec<(StatusLine, u64)> {
    let mut told = Vec::new();
    while after < end || cuts.load(Ordering::Relaxed) < CUTS {
        let mut stream =
            client.clone().proofs.watch(v1::WatchRequest { after_size: after }).await.unwrap().into_inner();
        let patience = 1 + rng.below(3);
        for _ in 0..patience {
            let news = stream.message().await.unwrap().expect("a watcher is not sent away");
            let signed = checkpoint(&news.checkpoint);
            assert_eq!(signed.size, news.tree_size);
            assert!(news.tree_size > after, "{} comes after {after}", news.tree_size);
            let line = |status: &v1::StatusChange| {
                let key = StatusKey::new(digest(&status.key));
                (StatusLine { key, status: NodeId::new(digest(&status.status)) }, status.index)
            };
            assert!(news.statuses.iter().all(|status| (after..news.tree_size).contains(&status.index)));
            told.extend(news.statuses.iter().map(line));
            after = news.tree_size;
            // With its next cut it has seen enough, and there may be no more news.
            if after >= end && cuts.load(Ordering::Relaxed) + 1 >= CUTS {
                break;
            }
        }
        cuts.fetch_add(1, Ordering::Relaxed);
    }
    told
}

#[test]
fn a_watcher_that_is_cut_off_misses_nothing_and_is_told_nothing_twice() {
    block_on(async {
        let mut rng = Seed::for_test("a_watcher_that_is_cut_off").rng();
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let begin = lineage.sizes[2];
        let cuts = Arc::new(AtomicU64::new(0));
        let committers: Vec<_> = (0..COMMITTERS)
            .map(|number| {
                let cuts = Arc::clone(&cuts);
                let mut maker = Maker::new(&desk, Seed::from_number(rng.next_u64()).rng());
                let (server, sources) = (server.grpc, lineage.sources.clone());
                tokio::spawn(async move {
                    let client = crate::served::Endpoints::plain(server).connect().await.unwrap();
                    let mut size = 0;
                    for commit in 0.. {
                        // The watcher needs the news of one more group than it was cut off.
                        if commit >= COMMITS && cuts.load(Ordering::Relaxed) >= CUTS {
                            break;
                        }
                        let mut nodes = maker.nodes.batch(&format!("{number}/{commit}"), 2, &[]);
                        if commit % 2 == 0 {
                            nodes.push(maker.nodes.status(sources[1], Mark::Reclassify));
                        }
                        size = maker.commit(&client, &nodes).await.tree_size;
                    }
                    size
                })
            })
            .collect();
        let early = tokio::spawn({
            let (client, rng) = (server.client().await, Seed::from_number(rng.next_u64()).rng());
            let (end, cuts) = (begin + 40, Arc::clone(&cuts));
            async move { watch(&client, begin, end, rng, &cuts).await }
        });
        let mut end = 0;
        for committer in committers {
            end = end.max(committer.await.unwrap());
        }
        let told = early.await.unwrap();
        let expected = lines(&client, begin, end).await;
        assert!(told.len() > 5 && expected.starts_with(&told), "told {told:?} of {expected:?}");
    });
}

/// One that watches from the beginning, while nothing comes, is told all in one; from now on, nothing old.
#[test]
fn a_watcher_is_told_what_came_after_its_size_alone() {
    block_on(async {
        let desk = Desk::new();
        let server = desk.serve("");
        let mut maker = Maker::new(&desk, Seed::for_test("after_its_size_alone").rng());
        let client = server.client().await;
        let lineage = Lineage::commit(&client, &mut maker).await;
        let end = *lineage.sizes.last().unwrap();
        let watch =
            async |after_size| client.clone().proofs.watch(v1::WatchRequest { after_size }).await.unwrap().into_inner();
        let mut from_the_beginning = watch(1).await;
        let news = from_the_beginning.message().await.unwrap().unwrap();
        let told: Vec<NodeId> = news.statuses.iter().map(|status| NodeId::new(digest(&status.status))).collect();
        assert_eq!((news.tree_size, told), (end, lineage.marks.clone()));
        let mut from_now_on = watch(0).await;
        let mark = maker.nodes.status(lineage.sources[0], Mark::Reclassify);
        let receipt = maker.commit(&client, core::slice::from_ref(&mark)).await;
        for stream in [&mut from_the_beginning, &mut from_now_on] {
            let news = stream.message().await.unwrap().unwrap();
            assert_eq!((news.tree_size, news.statuses.len()), (receipt.tree_size, 1));
            let StatusChangeOf { key, status, index } = StatusChangeOf::read(&news.statuses[0]);
            assert_eq!((status, index), (mark.id(), receipt.index));
            assert_eq!(key, StatusKey::of_node(lineage.sources[0]));
        }
    });
}

struct StatusChangeOf {
    key: StatusKey,
    status: NodeId,
    index: u64,
}

impl StatusChangeOf {
    fn read(change: &v1::StatusChange) -> Self {
        let (key, status) = (StatusKey::new(digest(&change.key)), NodeId::new(digest(&change.status)));
        Self { key, status, index: change.index }
    }
}
