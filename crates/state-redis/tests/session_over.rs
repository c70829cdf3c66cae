//! What is over stays over, and leaves nothing.

mod support;

use std::{sync::Arc, time::Duration};

use redis_client::{Client, redis};
use redis_harness::Server;
use state_core::{
    Namespace,
    session::{
        Created, Found, NewSession, Reason, Regenerated, Session, SessionKeys, SessionOptions,
        Sessions,
    },
};
use state_redis::session::RedisSessions;
use state_testkit::Passage as _;

use crate::support::{ServerTime, client, server};

const SECRET: &[u8] = b"a secret of 32 bytes, or of more";
const SHORT: Duration = Duration::from_millis(20);

fn sessions(client: &Client, options: SessionOptions) -> Sessions {
    let namespace = Namespace::new("web").expect("a name");
    let store = RedisSessions::new(client.clone(), &namespace, options);
    let keys = SessionKeys::new(SECRET).expect("long enough");
    Sessions::new(Arc::new(store.expect("valid options")), keys)
}

async fn login(sessions: &Sessions, new: NewSession) -> (String, Session) {
    match sessions.create(new).await.expect("an answer") {
        Created::Created { id, session } => (id.expose().to_string(), session),
        Created::Revoked => panic!("it was revoked"),
    }
}

async fn indexed(server: &Server, client: &Client) -> Vec<String> {
    let key = format!("{}:sess:{{web}}:u:alice", client.key_prefix().as_str());
    let mut connection = server.connection().await;
    let range = redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).to_owned();
    range.query_async(&mut connection).await.expect("an index")
}

#[tokio::test]
async fn n_se_9_index_that_nobody_lists_does_not_grow() {
    let server = server().await;
    let client = client(server.url()).await;
    let long = sessions(&client, SessionOptions::default());
    let short = sessions(&client, SessionOptions::default().max_age(SHORT));
    let of = || NewSession::new("data").user("alice");
    // It stays, and with it the index.
    let (_, stays) = login(&long, of()).await;
    for _ in 0..2 {
        login(&short, of()).await;
        ServerTime(client.clone()).pass(SHORT).await;
        let (_, last) = login(&long, of()).await;
        let mut expected = [stays.handle.as_str(), last.handle.as_str()];
        expected.sort_unstable();
        let mut found = indexed(&server, &client).await;
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(long.delete(&last).await.expect("an answer"));
        // What was logged out is listed out.
        let listed = long.list_for_user("alice").await.expect("an answer");
        assert_eq!(listed.len(), 1);
    }
    // A session of nobody that becomes the user's looks through the index, too.
    login(&short, of()).await;
    ServerTime(client.clone()).pass(SHORT).await;
    let (_, nobodys) = login(&long, NewSession::new("cart")).await;
    let stamp = long.begin_login().await.expect("an answer");
    let user = Some(("alice", stamp));
    let made = long
        .regenerate(&nobodys, Reason::PrivilegeChange, user)
        .await;
    let Ok(Regenerated::Regenerated { session, .. }) = made else {
        panic!("{made:?}");
    };
    let mut expected = [stays.handle.as_str(), session.handle.as_str()];
    expected.sort_unstable();
    let mut found = indexed(&server, &client).await;
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn what_is_over_is_not_made_good_again_by_being_spared() {
    let server = server().await;
    let client = client(server.url()).await;
    let sessions_of = |options| sessions(&client, options);
    let sessions = sessions_of(SessionOptions::default());
    let of = || NewSession::new("data").user("alice");
    let revoke_others = async |by: &Sessions, session: &Session| {
        let revoked = by.revoke_all("alice", Some(session)).await;
        revoked.expect("an answer");
    };

    // A thief's request was under way when the owner ended everything.
    let (stolen, thiefs) = login(&sessions, of()).await;
    let (owned, owners) = login(&sessions, of()).await;
    revoke_others(&sessions, &owners).await;
    revoke_others(&sessions, &thiefs).await;
    assert_eq!(
        sessions.load(&stolen).await.expect("an answer"),
        Found::Revoked
    );
    // It ended the others nevertheless: whoever is in doubt logs in again.
    assert_eq!(
        sessions.load(&owned).await.expect("an answer"),
        Found::Revoked
    );

    // One that is too old by a setting that became shorter.
    let (late, session) = login(&sessions, of()).await;
    ServerTime(client.clone()).pass(SHORT).await;
    let shorter = sessions_of(SessionOptions::default().max_age(SHORT));
    revoke_others(&shorter, &session).await;
    // By the longer age it was revoked; had it been spared it would be good.
    assert_eq!(
        sessions.load(&late).await.expect("an answer"),
        Found::Revoked
    );
}
