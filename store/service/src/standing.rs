//! What this process is to a log that several share: its writer, or who follows it; and whether the bucket answers.
//!
//! The store is tended here, several times a second. What comes of it is told to everybody who waits: commits for a
//! writer, questions for a size.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use griptrace_store::{Closed, HeadSeen, Standing, Store};
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use crate::{metrics::Metrics, status::chain};

/// How often the store is tended: often enough for a beat each second, and to see another one's end soon.
const TEND_EVERY: Duration = Duration::from_millis(250);
/// How often small segments are put together.
const MERGE_EVERY: Duration = Duration::from_secs(5);
/// How long is waited before the snapshot is held against the log again, where that failed.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often is looked whether the log was moved away.
const LOOK_FOR_STATE_EVERY: Duration = Duration::from_secs(5);
/// How often the newest checkpoint is kept in this machine's folder.
const KEEP_SEEN_EVERY: Duration = Duration::from_secs(10);
/// How long the bucket may not answer before nothing is promised any more. By then somebody else may write.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// How long ago the bucket has to have answered for the writer to know that nobody else writes: a third of what others
/// wait before they take the turn.
const SURE_FOR: Duration = Duration::from_secs(1);

/// Tells when the service closes.
pub(crate) type Closing = watch::Receiver<bool>;

/// What this process is to the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stand {
    pub(crate) standing: Standing,
    /// Whether the bucket has not answered for some seconds.
    pub(crate) is_silent: bool,
}

/// Tells a call whether the bucket answers.
#[derive(Clone, Debug)]
pub(crate) struct Silence(watch::Receiver<Stand>);

impl Silence {
    /// Waits until the bucket has not answered for some seconds.
    pub(crate) async fn comes(&mut self) {
        if self.0.wait_for(|stand| stand.is_silent).await.is_err() {
            // Nobody tends the store any more: the service has ended.
            core::future::pending::<()>().await;
        }
    }

    /// Tells whether it has not.
    pub(crate) fn is_now(&self) -> bool {
        self.0.borrow().is_silent
    }
}

/// Where this process stands, and how far it has followed.
#[derive(Debug)]
pub(crate) struct Post {
    store: Store,
    stand: watch::Sender<Stand>,
    /// The size of the newest checkpoint that is known here.
    reached: watch::Sender<u64>,
    /// The newest checkpoint that another writer told, and its size.
    heard: watch::Sender<(u64, String)>,
    /// When the store was last tended, and that went well.
    tended: Mutex<Instant>,
    /// Whether the log was moved to another place.
    is_moved: AtomicBool,
}

impl Post {
    /// Begins: in a folder as the writer, in a bucket as who follows.
    pub(crate) fn new(store: &Store) -> Self {
        store.write_only_when_checked();
        let standing = if store.is_in_bucket() { Standing::Reader(String::new()) } else { Standing::Writer };
        Self {
            reached: watch::Sender::new(store.size()),
            stand: watch::Sender::new(Stand { standing, is_silent: false }),
            heard: watch::Sender::new((0, String::new())),
            tended: Mutex::new(Instant::now()),
            is_moved: AtomicBool::new(false),
            store: store.clone(),
        }
    }

    /// Returns what is told of the standing.
    pub(crate) fn stands(&self) -> watch::Receiver<Stand> {
        self.stand.subscribe()
    }

    /// Returns what tells a call whether the bucket answers.
    pub(crate) fn silence(&self) -> Silence {
        Silence(self.stand.subscribe())
    }

    /// Returns what is told of the size.
    pub(crate) fn reaches(&self) -> watch::Receiver<u64> {
        self.reached.subscribe()
    }

    /// Tells whether what is answered here rests on the log alone, and not on what somebody else may have put in its bucket.
    pub(crate) fn is_checked(&self) -> bool {
        self.store.is_snapshot_checked()
    }

    /// Tells whether this process writes.
    pub(crate) fn is_writer(&self) -> bool {
        self.stand.borrow().standing == Standing::Writer
    }

    /// Tells whether the log was moved to another place: nothing new comes here.
    pub(crate) fn is_moved(&self) -> bool {
        self.is_moved.load(Ordering::Relaxed)
    }

    /// Tells whether the bucket has not answered for some seconds.
    pub(crate) fn is_silent(&self) -> bool {
        self.stand.borrow().is_silent
    }

    /// Tells whether the log is no longer than what is known here.
    pub(crate) fn is_newest(&self) -> bool {
        self.is_writer() && (!self.store.is_in_bucket() || self.since() < SURE_FOR)
    }

    /// Returns the size of the newest checkpoint that is known here.
    pub(crate) fn size(&self) -> u64 {
        self.store.size()
    }

    /// Tells everybody who waits that the log has grown.
    pub(crate) fn has_grown(&self) {
        let size = self.store.size();
        self.reached.send_if_modified(|reached| {
            let is_news = size > *reached;
            *reached = size.max(*reached);
            is_news
        });
    }

    /// Hears of a checkpoint that the writer told. The log is followed up to the newest of them, so that who had a receipt here
    /// reads here what it is for. Nobody waits for it.
    pub(crate) fn hears_of(&self, size: u64, checkpoint: &str) {
        self.heard.send_if_modified(|(newest, note)| {
            let is_news = size > *newest;
            if is_news {
                (*newest, *note) = (size, checkpoint.to_owned());
            }
            is_news
        });
    }

    /// Returns how many entries the head was last seen to have beyond what is known here.
    pub(crate) fn behind(&self) -> u64 {
        if self.is_writer() { 0 } else { self.store.head_seen().size.saturating_sub(self.store.size()) }
    }

    fn since(&self) -> Duration {
        self.tended.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn tell(&self, standing: Option<Standing>, metrics: &Metrics) {
        let is_silent = self.since() >= SILENT_AFTER;
        let HeadSeen { size, turn } = self.store.head_seen();
        self.stand.send_if_modified(|stand| {
            let has_lost = stand.standing == Standing::Writer && !self.store.is_writing();
            let known = || if has_lost { Standing::Reader(String::new()) } else { stand.standing.clone() };
            let standing = standing.unwrap_or_else(known);
            let was = core::mem::replace(stand, Stand { standing, is_silent });
            match (&was.standing, &stand.standing) {
                (Standing::Reader(_), Standing::Writer) => {
                    metrics.turn_taken();
                    tracing::info!(turn, size, "this server writes from now on");
                }
                (Standing::Writer, Standing::Reader(_)) => {
                    metrics.turn_lost();
                    tracing::warn!(
                        size = self.store.size(),
                        "this server writes no more: its turn is over, or a write failed"
                    );
                }
                (Standing::Reader(was), Standing::Reader(is)) if was != is => {
                    tracing::info!(turn, size, writer = is, "another server writes");
                }
                _ => {}
            }
            if was.is_silent != is_silent {
                tracing::warn!(is_silent, "whether the bucket has not answered for some seconds changed");
            }
            was != *stand
        });
        // Whoever does not reach the bucket writes nothing, whatever it was.
        metrics.stands(self.is_writer() && !is_silent, is_silent, turn);
    }
}

/// Tends the store of a post until the end, and puts its small segments together. In a folder there is nothing to do. What
/// was begun is finished, so that a task that has ended holds nothing of the store any more.
pub(crate) fn keep(post: &Arc<Post>, metrics: &Arc<Metrics>, closing: &Closing) -> Vec<JoinHandle<()>> {
    if !post.store.is_in_bucket() {
        return Vec::new();
    }
    let (tending, metrics, checking) = (Arc::clone(post), Arc::clone(metrics), Arc::clone(metrics));
    let store = post.store.clone();
    let checked = store.clone();
    // Before anybody can tell.
    let (heard, following) = (post.heard.subscribe(), Arc::clone(post));
    let looking = Arc::clone(post);
    let [for_tending, mut for_merging, for_following, for_looking, mut for_checking, for_keeping] =
        [(); 6].map(|()| closing.clone());
    let (kept, keeping) = (post.store.clone(), Arc::clone(&checking));
    vec![
        tokio::spawn(async move { tend(&tending, &metrics, for_tending).await }),
        tokio::spawn(async move { follow(&following, heard, for_following).await }),
        tokio::spawn(async move { look_for_state(&looking, for_looking).await }),
        tokio::spawn(async move { keep_seen(kept, &keeping, for_keeping).await }),
        tokio::spawn(async move {
            tokio::select! {
                () = check_snapshot(checked, &checking) => {}
                // It may take long, and nobody needs it then.
                _ = for_checking.wait_for(|closing| *closing) => {}
            }
        }),
        tokio::spawn(async move {
            let mut said = String::new();
            while !closes_within(MERGE_EVERY, &mut for_merging).await {
                let store = store.clone();
                if let Ok(Err(error)) = spawn_blocking(move || store.merge_segments()).await {
                    let error = chain(&error);
                    if error != said {
                        tracing::warn!(error, "cannot put small segments together; it is tried again");
                    }
                    said = error;
                }
            }
        }),
    ]
}

/// Holds the snapshot that a bucket brought against the log: it may be another one's work, and nothing is answered from it before.
async fn check_snapshot(store: Store, metrics: &Metrics) {
    metrics.snapshot_is_checked(store.is_snapshot_checked());
    while !store.is_snapshot_checked() {
        let checked = store.clone();
        match spawn_blocking(move || checked.check_snapshot()).await {
            Ok(Ok(true)) => tracing::info!("the snapshot says what the log says"),
            Ok(Ok(false)) => {
                tracing::warn!("the snapshot in the bucket said something else than the log; it is not used any more");
            }
            Ok(Err(error)) => {
                let error = chain(&error);
                tracing::error!(
                    error,
                    "cannot hold the snapshot against the log; nothing is answered, and it is tried again"
                );
                sleep(CHECK_AGAIN_AFTER).await;
            }
            // The process is ending.
            Err(_) => return,
        }
    }
    metrics.snapshot_is_checked(true);
}

/// Looks now and then whether the log was moved away from here: who only reads would go on with what was there then.
async fn look_for_state(post: &Arc<Post>, mut closing: Closing) {
    loop {
        let store = post.store.clone();
        if let Ok(Ok(state)) = spawn_blocking(move || store.state()).await {
            let moved = state.filter(|state| matches!(state, Closed::Moved(_)));
            if post.is_moved.swap(moved.is_some(), Ordering::Relaxed) != moved.is_some() {
                if let Some(state) = moved {
                    tracing::error!(%state, "nothing new comes here: name the new place in the settings, and start again");
                } else {
                    tracing::info!("the log is written here again");
                }
            }
        }
        if closes_within(LOOK_FOR_STATE_EVERY, &mut closing).await {
            return;
        }
    }
}

/// Keeps the newest checkpoint in this machine's folder, again and again: it is what a bucket that was set back is noticed by, and nothing else
/// would tell that the disk takes nothing any more.
async fn keep_seen(store: Store, metrics: &Metrics, mut closing: Closing) {
    let mut said = String::new();
    loop {
        let kept = store.clone();
        let Ok(kept) = spawn_blocking(move || kept.keep_seen()).await else { return };
        metrics.folder_is_unwritable(kept.is_err());
        let error = kept.err().map(|error| chain(&error)).unwrap_or_default();
        if !error.is_empty() && error != said {
            tracing::warn!(
                error,
                "cannot keep the newest checkpoint on this machine: a bucket that is set back may go unnoticed here; is the disk full?"
            );
        }
        if error.is_empty() && !said.is_empty() {
            tracing::info!("the newest checkpoint is kept on this machine again");
        }
        said = error;
        if closes_within(KEEP_SEEN_EVERY, &mut closing).await {
            return;
        }
    }
}

/// Follows the log to what is heard of it. One goes at a time: while the bucket keeps it waiting, many may be told.
async fn follow(post: &Arc<Post>, mut heard: watch::Receiver<(u64, String)>, mut closing: Closing) {
    loop {
        tokio::select! {
            Ok(()) = heard.changed() => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        let (_, checkpoint) = heard.borrow_and_update().clone();
        let following = Arc::clone(post);
        // What fails here is done by who tends the store.
        let followed = spawn_blocking(move || following.store.follow_to(&checkpoint)).await;
        if followed.is_ok_and(|followed| followed.is_ok()) {
            post.has_grown();
        }
    }
}

async fn tend(post: &Arc<Post>, metrics: &Metrics, mut closing: Closing) {
    let begun = Instant::now();
    let (mut said, mut wrong_key) = (String::new(), None);
    loop {
        let store = post.store.clone();
        let mut tending =
            spawn_blocking(move || (Instant::now(), store.tend(begun.elapsed()).map_err(|error| chain(&error))));
        let (asked, tended) = loop {
            // The bucket may keep it waiting for long, and others have to know that it does.
            match timeout(TEND_EVERY, &mut tending).await {
                Ok(Ok(tended)) => break tended,
                Ok(Err(error)) => break (Instant::now(), Err(error.to_string())),
                Err(_) => post.tell(None, metrics),
            }
        };
        if let Some(why) = post.store.take_remade() {
            tracing::warn!(why, "this server made the head of the bucket anew; look why it was lost or damaged");
        }
        match tended {
            Ok(standing) => {
                said.clear();
                *post.tended.lock().unwrap_or_else(PoisonError::into_inner) = asked;
                post.tell(Some(standing), metrics);
            }
            Err(error) => {
                if error != said {
                    tracing::error!(error, "cannot follow the log; it is tried again");
                    said = error;
                }
                post.tell(None, metrics);
            }
        }
        post.has_grown();
        tell_key(post, metrics, &mut wrong_key);
        if closes_within(TEND_EVERY, &mut closing).await {
            return;
        }
    }
}

/// Waits; tells whether the service closes meanwhile.
async fn closes_within(time: Duration, closing: &mut Closing) -> bool {
    timeout(time, closing.wait_for(|closing| *closing)).await.is_ok()
}

/// Says when the log's key turns out to be another one than this server's, which could not write then: nothing else would
/// tell before it has to.
fn tell_key(post: &Post, metrics: &Metrics, said: &mut Option<String>) {
    let wrong = post.store.wrong_key().map(|error| error.to_string());
    if wrong == *said {
        return;
    }
    metrics.key_is_wrong(wrong.is_some());
    if let Some(error) = &wrong {
        tracing::error!(
            error,
            "this server follows and can't take the turn to write: give it the file of the log's key"
        );
    } else {
        tracing::info!("the log's key is this server's again");
    }
    *said = wrong;
}
