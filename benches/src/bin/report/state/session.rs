//! Sessions, against `GET` and `SET`, and against `tower-sessions-redis-store`.

use std::{sync::Arc, time::SystemTime};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use state_core::{
    Namespace,
    session::{Created, Found, NewSession, Saved, Session, SessionKeys, SessionOptions, Sessions},
};
use state_redis::session::RedisSessions;
use tower_sessions_core::{
    SessionStore as _,
    session::{Id, Record},
};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{ClientLike as _, Config, Pool},
};

use super::{BYTES, Bare, CALLS, DAY, Work, expect, some_bytes, together::Rivals};
use crate::{
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

const SESSIONS: usize = 64;

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let options = SessionOptions::default();
    let store = RedisSessions::new(bare.client.clone(), &Namespace::new("bench")?, options)?;
    let keys = SessionKeys::new(b"a key of a benchmark, which protects nothing")?;
    let sessions = Sessions::new(Arc::new(store), keys);
    let (cookie, mut session) = create(&sessions).await?;
    let (plain, data) = (bare.key("session"), some_bytes());
    bare.run("SET", &[plain.as_bytes(), &data]).await?;
    let measure = alternate(
        CALLS,
        async || timed(async { Ok(sessions.load(&cookie).await?) }).await,
        async || timed(bare.run("GET", &[plain.as_bytes()])).await,
    )
    .await?;
    outcome.ratio("state.session.load_over_get", &measure, 1.5);
    let measure = alternate(
        CALLS,
        async || {
            let data = data.clone();
            let took = timed(async {
                let Saved::Saved { .. } = sessions.save(&session, data).await? else {
                    bail!("the session is saved");
                };
                Ok(())
            })
            .await?;
            let Found::Live(found) = sessions.load(&cookie).await? else {
                bail!("the session is there");
            };
            session = found;
            Ok(took)
        },
        async || timed(bare.run("SET", &[plain.as_bytes(), &data])).await,
    )
    .await?;
    outcome.compare("state.session.save_over_set", &measure, None);

    let mut cookies = Vec::new();
    for _ in 0..SESSIONS {
        cookies.push(create(&sessions).await?.0);
    }
    let cookies: Arc<[String]> = cookies.into();
    let loads: Work = Arc::new(move |task, _| {
        let (sessions, cookies) = (sessions.clone(), Arc::clone(&cookies));
        Box::pin(async move {
            let found = sessions.load(&cookies[task % SESSIONS]).await?;
            expect(matches!(found, Found::Live(_)), "the session is there")
        })
    });
    let (alone, kept) = of_tower_sessions(bare).await?;
    let name = "state.session.load.throughput64_over_tower_sessions_redis_store";
    let load = Rivals::new(Arc::clone(&loads), alone, 40);
    load.over_redis(name, bare, outcome).await?;
    // Every load of ours keeps the session alive; the peer has to save it for that.
    let name = "state.session.throughput64_over_tower_sessions_redis_store";
    let request = Rivals::new(loads, kept, 40);
    request.over_redis(name, bare, outcome).await
}

async fn create(sessions: &Sessions) -> Result<(String, Session)> {
    let stamp = sessions.begin_login().await?;
    let new = NewSession::new(some_bytes()).user("alice").stamp(stamp);
    match sessions.create(new).await? {
        Created::Created { id, session } => Ok((id.expose().to_string(), session)),
        Created::Revoked => bail!("nobody revoked the login"),
    }
}

/// On a pool of six, as its documentation has it: a load alone, and a load with the save that
/// keeps a session alive that is only read.
async fn of_tower_sessions(bare: &Bare) -> Result<(Work, Work)> {
    let config = Config::from_url(&bare.url)?;
    let pool = Pool::new(config, None, None, None, 6)?;
    // Runs until the program ends.
    drop(pool.connect());
    pool.wait_for_connect().await?;
    let store = RedisStore::new(pool);
    #[expect(clippy::disallowed_methods, reason = "the peer wants the time of day")]
    let until = SystemTime::now() + DAY;
    let mut ids: Vec<Id> = Vec::new();
    for _ in 0..SESSIONS {
        let mut record = Record {
            id: Id::default(),
            data: [("data".to_owned(), Value::from("x".repeat(BYTES)))].into(),
            expiry_date: until.into(),
        };
        store.create(&mut record).await?;
        ids.push(record.id);
    }
    let ids: Arc<[Id]> = ids.into();
    let with_save = |saves: bool| -> Work {
        let (store, ids) = (store.clone(), Arc::clone(&ids));
        Arc::new(move |task, _| {
            let (store, ids) = (store.clone(), Arc::clone(&ids));
            Box::pin(async move {
                let found = store.load(&ids[task % SESSIONS]).await?;
                let record = found.context("the peer has the session")?;
                if saves {
                    store.save(&record).await?;
                }
                Ok(())
            })
        })
    };
    Ok((with_save(false), with_save(true)))
}
