//! The same calls have the same answers in memory and on a server.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use state_core::{
    Namespace,
    session::{
        Created, Found, LoginStamp, NewSession, Reason, Regenerated, Session, SessionHash,
        SessionKeys, SessionOptions, SessionStore, Sessions,
    },
};
use state_memory::session::MemorySessions;
use state_redis::session::RedisSessions;

use crate::support::{client, server};

const USERS: [&str; 2] = ["alice", "bob"];

/// Cookies, sessions and stamps are named by when they came up, counted from the last one.
#[derive(Debug, Clone)]
enum Step {
    Begin,
    Create {
        user: Option<u8>,
        stamp: Option<u8>,
    },
    Load(u8),
    Save(u8),
    Update(u8),
    Change(u8),
    Rotate(u8),
    Login {
        session: u8,
        user: u8,
        stamp: u8,
    },
    Delete(u8),
    Revoke(u8),
    List(u8),
    RevokeAll {
        user: u8,
        except: Option<u8>,
    },
    /// The secret that ids are hashed with is replaced.
    NewSecret,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, back) = (|| 0_u8..2, || 0_u8..6);
    prop_oneof![
        2 => Just(Step::Begin),
        5 => (prop::option::of(user()), prop::option::of(0_u8..2))
            .prop_map(|(user, stamp)| Step::Create { user, stamp }),
        6 => back().prop_map(Step::Load),
        4 => back().prop_map(Step::Save),
        2 => back().prop_map(Step::Update),
        2 => back().prop_map(Step::Change),
        5 => back().prop_map(Step::Rotate),
        2 => (back(), user(), 0_u8..2)
            .prop_map(|(session, user, stamp)| Step::Login { session, user, stamp }),
        2 => back().prop_map(Step::Delete),
        1 => back().prop_map(Step::Revoke),
        2 => user().prop_map(Step::List),
        2 => (user(), prop::option::of(back()))
            .prop_map(|(user, except)| Step::RevokeAll { user, except }),
        1 => Just(Step::NewSecret),
    ]
}

/// One side, with what came up in it. Both sides have the same of everything, in the same order.
struct Side {
    store: Arc<dyn SessionStore>,
    sessions: Sessions,
    secret: u8,
    cookies: Vec<String>,
    loaded: Vec<Session>,
    stamps: Vec<LoginStamp>,
    handles: Vec<SessionHash>,
}

fn back<T>(of: &[T], back: u8) -> Option<&T> {
    of.iter().rev().nth(usize::from(back))
}

fn user(index: u8) -> &'static str {
    USERS[usize::from(index)]
}

impl Side {
    fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            sessions: Sessions::new(Arc::clone(&store), keys(0)),
            store,
            secret: 0,
            cookies: Vec::new(),
            loaded: Vec::new(),
            stamps: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// A handle by when it first came up: what it is differs from side to side.
    fn name(&mut self, handle: &SessionHash) -> usize {
        let known = self.handles.iter().position(|known| known == handle);
        known.unwrap_or_else(|| {
            self.handles.push(handle.clone());
            self.handles.len() - 1
        })
    }

    /// All of a session but its times, which both sides have their own of.
    fn show(&mut self, session: &Session) -> String {
        let name = self.name(&session.handle);
        let life = session.ends.saturating_since(session.created);
        let is_spared = life < self.store.options().lifetime.max_age;
        format!(
            "{name} v{} {:?} {:?} old: {} spared: {is_spared}",
            session.version, session.user, session.data, session.by_old_id
        )
    }

    fn regenerated(&mut self, made: Regenerated) -> String {
        match made {
            Regenerated::Regenerated { id, session } => {
                let shown = self.show(&session);
                self.cookies.push(id.expose().to_string());
                self.loaded.push(session);
                shown
            }
            other => format!("{other:?}"),
        }
    }

    /// What a step answers; nothing if what it names has not come up.
    async fn answer(&mut self, number: usize, step: &Step) -> Option<String> {
        let sessions = self.sessions.clone();
        let data = number.to_string();
        Some(match *step {
            Step::Begin => {
                self.stamps.push(sessions.begin_login().await.unwrap());
                String::new()
            }
            Step::Create { user: of, stamp } => {
                let mut new = NewSession::new(data.clone()).meta(data);
                if let Some(of) = of {
                    new = new.user(user(of));
                }
                if let Some(stamp) = stamp {
                    new = new.stamp(*back(&self.stamps, stamp)?);
                }
                match sessions.create(new).await.unwrap() {
                    Created::Created { id, session } => {
                        let shown = self.show(&session);
                        self.cookies.push(id.expose().to_string());
                        self.loaded.push(session);
                        shown
                    }
                    Created::Revoked => "revoked".to_owned(),
                }
            }
            Step::Load(at) => match sessions.load(back(&self.cookies, at)?).await.unwrap() {
                Found::Live(session) => {
                    let shown = self.show(&session);
                    self.loaded.push(session);
                    shown
                }
                other => format!("{other:?}"),
            },
            Step::Save(at) => {
                let saved = sessions.save(back(&self.loaded, at)?, data).await;
                format!("{:?}", saved.unwrap())
            }
            Step::Update(at) => {
                let change = |old: &bytes::Bytes| [&old[..], b"+"].concat().into();
                let updated = sessions.update(back(&self.cookies, at)?, change).await;
                match updated.unwrap() {
                    Some(session) => self.show(&session),
                    None => "none".to_owned(),
                }
            }
            Step::Change(at) => {
                let session = back(&self.loaded, at)?;
                let made = sessions
                    .regenerate(session, Reason::PrivilegeChange, None)
                    .await;
                self.regenerated(made.unwrap())
            }
            Step::Rotate(at) => {
                let session = back(&self.loaded, at)?;
                let made = sessions.regenerate(session, Reason::Rotation, None).await;
                self.regenerated(made.unwrap())
            }
            Step::Login {
                session,
                user: of,
                stamp,
            } => {
                let session = back(&self.loaded, session)?;
                let of = Some((user(of), *back(&self.stamps, stamp)?));
                let made = sessions
                    .regenerate(session, Reason::PrivilegeChange, of)
                    .await;
                self.regenerated(made.unwrap())
            }
            Step::Delete(at) => {
                let deleted = sessions.delete(back(&self.loaded, at)?).await;
                format!("{}", deleted.unwrap())
            }
            Step::Revoke(at) => {
                let revoked = sessions.revoke(back(&self.handles, at)?).await;
                format!("{}", revoked.unwrap())
            }
            Step::List(of) => {
                let listed = sessions.list_for_user(user(of)).await.unwrap();
                let shown = listed
                    .iter()
                    .map(|listed| format!("{} {}", self.name(&listed.handle), listed.meta));
                shown.collect::<Vec<_>>().join(", ")
            }
            Step::RevokeAll { user: of, except } => {
                let except = match except {
                    Some(at) => Some(back(&self.loaded, at)?),
                    None => None,
                };
                sessions.revoke_all(user(of), except).await.unwrap();
                String::new()
            }
            Step::NewSecret => {
                let previous = [b'a' + self.secret; 32];
                self.secret += 1;
                let keys = keys(self.secret).previous(&previous).unwrap();
                self.sessions = Sessions::new(Arc::clone(&self.store), keys);
                String::new()
            }
        })
    }
}

fn keys(secret: u8) -> SessionKeys {
    SessionKeys::new(&[b'a' + secret; 32]).unwrap()
}

#[test]
fn memory_and_redis_give_the_same_answers() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(server());
    let mut runner = TestRunner::new(Config {
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    });
    let settings = (prop::bool::ANY, 0_usize..3);
    let steps = prop::collection::vec(step(), 1..60);
    let result = runner.run(&(settings, steps), |((has_grace, most), steps)| {
        runtime.block_on(async {
            // Nothing ends by itself in a trace.
            let grace = Duration::from_secs(if has_grace { 60 } else { 0 });
            let options = SessionOptions::default()
                .max_per_user(most)
                .regenerate_grace(grace);
            let client = client(server.url()).await;
            let namespace = Namespace::new("web").unwrap();
            let redis = RedisSessions::new(client, &namespace, options).unwrap();
            let mut redis = Side::new(Arc::new(redis));
            let mut memory = Side::new(Arc::new(MemorySessions::new(options).unwrap()));
            for (number, step) in steps.iter().enumerate() {
                let expected = memory.answer(number, step).await;
                let found = redis.answer(number, step).await;
                prop_assert_eq!(found, expected, "{} {:?}", number, step);
            }
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
